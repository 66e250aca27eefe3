/** Whether a time begins with a day that there is: JavaScript takes a 30th of February for the 2nd of March. Pure. */
export function isOfCalendar(text: string): boolean {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().slice(0, 10) === text.slice(0, 10);
}

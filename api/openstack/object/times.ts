/** Times as Swift writes and reads them. */

/** Seconds with five decimals: `1764541155.12300`. */
export const timestampOf = (time: Date): string => (time.getTime() / 1000).toFixed(5).padStart(16, '0');

/** Of listings: UTC without a zone, with microseconds. */
export const listedTime = (time: Date): string => time.toISOString().replace(/(\.\d{3})Z$/, '$1000');

/** Rounded up, so that nothing was written after the time that is told. */
export const wholeSecond = (time: Date): Date => new Date(Math.ceil(time.getTime() / 1000) * 1000);

export const httpDate = (time: Date): string => wholeSecond(time).toUTCString();

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const time = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
/** RFC 9110, section 5.6.7: the form of today and the two of old; of each the name of the day is not looked at. */
const forms = [
  new RegExp(String.raw`^\w{3}, (?<day>\d\d) (?<month>\w{3}) (?<year>\d{4}) ${time} (?:GMT|UTC|[+-]0000)$`),
  new RegExp(String.raw`^\w{6,9}, (?<day>\d\d)-(?<month>\w{3})-(?<year>\d\d) ${time} GMT$`),
  new RegExp(String.raw`^\w{3} (?<month>\w{3}) (?<day>[ \d]?\d) ${time} (?<year>\d{4})$`),
];

/** Undefined: no date, which a conditional request overlooks. */
export function parseHttpDate(text: string): Date | undefined {
  for (const form of forms) {
    const { groups } = form.exec(text) ?? {};
    const month = groups ? months.indexOf(groups.month!.toLowerCase()) : -1;
    if (!groups || month < 0) continue;
    const short = Number(groups.year);
    const year = groups.year!.length === 2 ? short + (short < 70 ? 2000 : 1900) : short;
    const { day, hour, minute, second } = groups;
    const milliseconds = Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second));
    return Number.isNaN(milliseconds) ? undefined : new Date(milliseconds);
  }
  return undefined;
}

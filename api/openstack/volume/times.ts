/** Cinder's times: microseconds and no zone. A client library in wide use reads no others. */

export function cinderTime(date: Date): string;
export function cinderTime(date: Date | null): string | null;
export function cinderTime(date: Date | null): string | null {
  return date ? `${date.toISOString().slice(0, -1)}000` : null;
}

/** What of a service processor's answers is believed, whatever it speaks. Pure. */

/** For people and databases: one line, without control characters. */
export const plain = (value: unknown, maxLength = 200): string =>
  typeof value === 'string' ? value.replaceAll(/[\p{Cc}\p{Cs}]+/gu, ' ').slice(0, maxLength) : '';

/** What a sensor says, in watts; undefined where it says nothing that can be. */
export function wattsIn(value: unknown): number | undefined {
  const watts = typeof value === 'string' && value.length < 20 ? Number.parseFloat(value) : value;
  return typeof watts === 'number' && Number.isFinite(watts) && watts >= 0 && watts <= 100_000 ? watts : undefined;
}

/** Of maker, model and serial number what is said. */
export const labelOf = (parts: readonly unknown[]): string =>
  parts
    .map((part) => plain(part, 60).trim())
    .filter((part) => part !== '')
    .join(' ');

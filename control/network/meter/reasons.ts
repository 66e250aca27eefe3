/** What meters refuse (see contract/errors.ts). */
export interface MeterReasons {
  meter_not_found: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends MeterReasons {}
}

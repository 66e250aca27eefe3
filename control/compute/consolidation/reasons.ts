/** What is refused about hosts in standby (see contract/errors.ts). Of the native dialect alone. */
export interface ConsolidationReasons {
  host_standby_not_found: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ConsolidationReasons {}
}

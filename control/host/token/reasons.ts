/** Why a machine does not become a host, or a host is not served as one (see contract/errors.ts). */

export interface HostTokenReasons {
  host_token_not_found: { id: string };
  /** `name` is the only one that the token is good for. */
  host_token_refused: { why: 'unknown' | 'expired' | 'used' | 'name'; name: string | null };
  host_join_name_taken: { name: string };
  host_join_address_taken: { address: string; host: string };
  /** `why`: what calling it back met, for people. */
  host_join_address_not_reached: { address: string; port: number; why: string };
  host_join_version_unfit: { version: string; own: string };
  /** Above 0: the machine's clock is ahead. */
  host_join_clock_off: { offset_ms: number };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends HostTokenReasons {}
}

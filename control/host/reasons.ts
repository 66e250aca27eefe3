/** What the hosts' area refuses, and what hosts themselves refuse (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

export interface HostReasons {
  host_not_found: { id: string };
  host_unreachable: { host: string };
  host_answer_malformed: NoFields;
  /** `said` is the host's own text, for people. */
  host_refused: { host: string; host_code: string; said: string };
  upload_cut_off: NoFields;
}

/** Told to hosts and to who administers them, by no dialect. */
export interface HostLinkReasons {
  host_name_taken: { id: string; name: string; by: string };
  protocol_broken: { why: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends HostReasons, HostLinkReasons {}
}

/** That a host has no power, as evidence: by the word of its BMC, of this very silence, and fresh. SQL, nothing else. */
import { sql } from 'kysely';
import type { BmcAccepted } from './proven.ts';

/** Kept with what was decided by it; times in ISO 8601. */
export interface PowerOffSeen {
  /** In whose row (host_power_off) the rest stands. */
  id: string;
  /** Null: it was off when it was first looked at. */
  asked_at: string | null;
  off_at: string;
  /** The system's `@odata.id`, what it calls itself, and what it said when it was asked. */
  system: string | null;
  label: string | null;
  said: string | null;
  /** By whose word the machine behind the BMC is the host; null: by its UUID. Absent: of an older release. */
  accepted?: BmcAccepted | null;
}

/** A machine takes longer than this from its button to its first guest. */
const freshMs = 10_000;

/** Of `host h`; null: there is no such word. A host that was heard since has another `last_seen_at`. */
export const poweredOff = sql<PowerOffSeen | null>`(select json_build_object('id', p.id, 'asked_at', p.asked_at, 'off_at', p.off_at,
    'system', p.system, 'label', p.label, 'said', p.said, 'accepted', b.accepted)
  from host_power_off p join host_bmc b on b.host_id = p.host_id
  where p.host_id = h.id and p.silent_since = h.last_seen_at and not h.connected and h.powered_off_at is not null and p.ended is null
    and b.contradicted_at is null and p.off_at > clock_timestamp() - ${freshMs}::double precision * interval '1 millisecond')`;

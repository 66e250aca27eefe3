import type { Generated, JSONColumnType } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';
import type { Answer, Told } from '../reachability/index.ts';

export type AssertionKind = 'must' | 'never';
export type OnViolation = 'refuse' | 'alarm';
export type AssertionState = 'holds' | 'violated' | 'unknown';

/** Why it does not hold, as its project may see it; or which end is gone, or that too much hangs together for an answer. */
export type Finding =
  | ({ missing?: undefined; open_ports: Told['openPorts'] } & Pick<Answer, 'there' | 'back' | 'stops'>)
  | { missing: 'from' | 'to' | 'answer' };

export interface ReachabilityAssertionTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  kind: AssertionKind;
  /** The id of a port or a server, or an address. */
  source: string;
  destination: string;
  ip_version: 4 | 6 | null;
  /** IANA's number. */
  protocol: number;
  /** Null: all, or there are none. */
  port: number | null;
  on_violation: Generated<OnViolation>;
  state: AssertionState;
  state_since: Generated<Date>;
  finding: JSONColumnType<Finding> | null;
  /** What it was decided by: a change of one of these decides it anew. */
  ground: Generated<string[]>;
  /** True only within a transaction. */
  undecided: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface ReachabilityAssertionTables {
  reachability_assertion: ReachabilityAssertionTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends ReachabilityAssertionTables {}
}

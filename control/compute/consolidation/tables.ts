import type { Generated, Selectable } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

/** See migrations/1042-host-standby.sql. */
export interface HostStandbyTable {
  host_id: string;
  desired: Generated<'standby' | 'awake'>;
  reason: string;
  wake_reason: string | null;
  next_at: Timestamp;
  asked: Generated<number>;
  asked_at: Timestamp | null;
  off_at: Timestamp | null;
  wake_began_at: Timestamp | null;
  wake_asked: Generated<number>;
  wake_asked_at: Timestamp | null;
  overdue_at: Timestamp | null;
  error: string | null;
  changed_in: Generated<string>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type HostStandbyRow = Selectable<HostStandbyTable>;

declare module '../../kit/database/schema.ts' {
  interface Schema {
    host_standby: HostStandbyTable;
  }
}

/** Tables of power as Kysely sees them; the columns' meaning stands in migrations 0960 and 0961. */
import type { Generated, Selectable } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { BmcAccepted } from './proven.ts';

export interface HostBmcTable {
  host_id: string;
  url: string;
  user_name: string;
  sealed: Buffer;
  fingerprint256: string | null;
  ca: string | null;
  system: string | null;
  fences: Generated<boolean>;
  contradicted_at: Timestamp | null;
  /** See migrations/1043-host-bmc-wake-seconds.sql. */
  wake_seconds: number | null;
  accepted: Json<BmcAccepted | null>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type HostBmcRow = Selectable<HostBmcTable>;

export interface HostPowerOffTable {
  id: string;
  host_id: string;
  silent_since: Timestamp;
  next_at: Timestamp;
  asked: Generated<number>;
  asked_at: Timestamp | null;
  said: string | null;
  system: string | null;
  label: string | null;
  off_at: Timestamp | null;
  error: string | null;
  ended: 'heard' | 'contradicted' | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** See migrations/1044-host-watts.sql. */
export interface HostWattsTable {
  host_id: string;
  watts: number | null;
  source: 'bmc' | 'rapl' | null;
  measured_at: Timestamp | null;
  next_at: Timestamp;
}

interface PowerTables {
  host_watts: HostWattsTable;
  host_bmc: HostBmcTable;
  host_power_off: HostPowerOffTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PowerTables {}
}

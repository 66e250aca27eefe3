/**
 * The tables as Kysely sees them. Here are the kit's own; each resource adds its tables in its `tables.ts`.
 * The truth is migrations/*.sql; `schema.db.test.ts` holds the column names of the two together.
 */
import type { ColumnType, Generated } from 'kysely';

/** `timestamptz`: read as Date, written as Date or ISO text. */
export type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>;
/** `jsonb`: read as the value, written as JSON text (see {@link json}). */
export type Json<T> = ColumnType<T, string | undefined, string>;

/** The text to write into a jsonb column. */
export const json = (value: unknown): string => JSON.stringify(value);

/** The given columns without those that were not given. */
export function defined<T extends object>(columns: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as never;
}

export interface ChangeTable {
  sequence: Generated<number>;
  transaction_id: Generated<string>;
  at: Timestamp;
  resource_type: string;
  resource_id: string;
  action: 'created' | 'updated' | 'deleted';
  project_id: string | null;
  generation: number | null;
  actor_id: string | null;
  request_id: string | null;
  body: Json<Record<string, unknown>>;
  /** Only what was seen has changed, nothing that is desired. */
  observed_only: Generated<boolean>;
}

export interface OperationTable {
  id: string;
  project_id: string | null;
  resource_type: string;
  resource_id: string;
  verb: string;
  generation: number;
  state: Generated<'running' | 'succeeded' | 'failed'>;
  owner: string;
  waiting_for: string | null;
  deadline: Timestamp;
  attempt: Generated<number>;
  error_code: string | null;
  error_message: string | null;
  actor_id: string | null;
  request_id: string | null;
  created_at: Timestamp;
  updated_at: Timestamp;
  finished_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  /** Those who were told that it failed don't want to hear of it any more. */
  dismissed_at: Timestamp | null;
}

export interface DecisionTable {
  id: string;
  project_id: string | null;
  resource_type: string;
  resource_id: string;
  kind: string;
  outcome: string;
  inputs: Json<Record<string, unknown>>;
  explanation: Json<Record<string, unknown>>;
  created_at: Timestamp;
}

export interface ControlProcessTable {
  id: string;
  machine: string;
  url: string;
  version: string;
  started_at: Timestamp;
  seen_at: Timestamp;
}

export interface CloudTable {
  only_row: Generated<boolean>;
  id: string;
  region: string;
  incarnation: Generated<string>;
  incarnation_place: Generated<string>;
  incarnation_reason: Generated<string>;
  incarnation_at: Timestamp;
  created_at: Timestamp;
}

export interface AccountedIncarnationTable {
  incarnation: string;
  at: Timestamp;
}

export interface QuotaTable {
  id: string;
  project_id: string | null;
  resource: string;
  maximum: number;
}

export interface LeaseTable {
  role: string;
  holder: string;
  epoch: number;
  expires_at: Timestamp;
}

export interface FoundationTables {
  change: ChangeTable;
  operation: OperationTable;
  decision: DecisionTable;
  cloud: CloudTable;
  accounted_incarnation: AccountedIncarnationTable;
  quota: QuotaTable;
  lease: LeaseTable;
  control_process: ControlProcessTable;
}

/**
 * Every table. Open: each resource's `tables.ts` adds its own (`declare module`), so the kit knows no resource.
 */
export interface Schema extends FoundationTables {}

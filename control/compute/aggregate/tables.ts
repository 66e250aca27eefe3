/** The aggregates' tables as Kysely sees them; the columns' meaning stands in migration 0200. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface AggregateTable {
  id: string;
  number: Generated<number>;
  name: string;
  availability_zone: string | null;
  /** Without the zone, which Nova shows among it. */
  metadata: Json<Record<string, string>>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface AggregateHostTable {
  aggregate_id: string;
  host_id: string;
}

interface AggregateTables {
  aggregate: AggregateTable;
  aggregate_host: AggregateHostTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends AggregateTables {}
}

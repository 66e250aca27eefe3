/** The table of QoS specs as Kysely sees it; the columns' meaning stands in migration 0330. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { QosConsumer } from '../volume-type/index.ts';

export interface QosSpecsTable {
  id: string;
  name: string;
  consumer: Generated<QosConsumer>;
  specs: Json<Record<string, string>>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface QosSpecsTables {
  qos_specs: QosSpecsTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends QosSpecsTables {}
}

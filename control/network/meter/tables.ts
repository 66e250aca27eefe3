/** What has passed the things of the network, and what labels have counted, as Kysely sees it. */
import type { Generated, GeneratedAlways } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export const meteredTypes = ['port', 'floating_ip', 'router', 'metering_label'] as const;
export type MeteredType = (typeof meteredTypes)[number];

export interface MeterTable {
  /** The metered thing's own. */
  id: string;
  port_id: string | null;
  floating_ip_id: string | null;
  router_id: string | null;
  metering_label_id: string | null;
  resource_type: GeneratedAlways<MeteredType>;
  project_id: string;
  rx_bytes: Generated<number>;
  rx_packets: Generated<number>;
  tx_bytes: Generated<number>;
  tx_packets: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** What a host said last of one of its counters. */
interface MeterReadingTable {
  host_id: string;
  source: string;
  /** Null: it is gone. */
  meter_id: string | null;
  rx_bytes: number;
  rx_packets: number;
  tx_bytes: number;
  tx_packets: number;
  updated_at: Timestamp;
}

interface MeterTables {
  meter: MeterTable;
  meter_reading: MeterReadingTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends MeterTables {}
}

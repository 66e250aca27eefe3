/** See migrations/0741-bandwidth.sql: a function of it writes the promises, nobody else does. */
export interface PortBandwidthTable {
  port_id: string;
  host_id: string;
  /** '': what tunnels run over. */
  physical_network: string;
  egress_kbps: number;
  ingress_kbps: number;
}

interface BandwidthTables {
  port_bandwidth: PortBandwidthTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends BandwidthTables {}
}

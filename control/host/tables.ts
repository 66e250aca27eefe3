import type { ColumnType, Generated, Selectable } from 'kysely';
import type { DesiredLayer, DesiredServer, HostFacts, ImageFormat, TunnelFault } from '../../contract/host/index.ts';
import type { Json, Timestamp } from '../kit/database/schema.ts';

/** What a host may be lost together with: a rack, a power feed, a switch. */
const failureDomainKinds = ['rack', 'feed', 'switch'] as const;
export type FailureDomainKind = (typeof failureDomainKinds)[number];
export type FailureDomains = Partial<Record<FailureDomainKind, string>>;

/** Whose word something is; `at` in ISO 8601. See migrations/0887-host-word-by.sql. */
export interface HostWordBy {
  user_id: string;
  user_name: string;
  at: string;
}

/** That a host shall be empty; see migrations/0950-host-maintenance.sql. */
export interface HostMaintenance {
  /** `shutdown`: its machine goes down or starts again; `consolidation`: it shall be switched off while nobody needs it. */
  cause: 'administrator' | 'shutdown' | 'consolidation';
  reason: string | null;
  /** Null: the host itself, or the cloud. */
  by: HostWordBy | null;
  /** ISO 8601. */
  since: string;
  /** What was said of new servers before, and will be again. */
  before: Pick<HostRow, 'enabled' | 'disabled_reason' | 'disabled_by'>;
  /** Of a shutdown: the start of the machine that ends with it. */
  boot_id?: string;
}

export interface HostTable {
  id: string;
  name: string;
  availability_zone: Generated<string>;
  enabled: Generated<boolean>;
  disabled_reason: string | null;
  /** Null where it is open, or nobody knows any more. */
  disabled_by: Json<HostWordBy | null>;
  /** An administrator's word that it is down, whatever its stream says; a host that comes back does not end it. */
  forced_down: Generated<boolean>;
  forced_down_by: Json<HostWordBy | null>;
  /** Empty until the host's first connection. */
  facts: Json<Partial<HostFacts>>;
  physical_networks: Generated<string[]>;
  /** What placement may hand out; see capacity.ts. */
  vcpus: Generated<number>;
  memory_mib: Generated<number>;
  disk_gib: Generated<number>;
  /** Administrators' own, `CUSTOM_…`; see migrations/0888-host-inventory.sql. */
  traits: Generated<string[]>;
  vcpus_ratio: number | null;
  memory_ratio: number | null;
  disk_ratio: number | null;
  vcpus_reserved: number | null;
  memory_reserved_mib: number | null;
  disk_reserved_gib: number | null;
  provider_generation: Generated<number>;
  /** See migrations/0890-failure-domains.sql. */
  failure_domains: Json<FailureDomains>;
  maintenance: Json<HostMaintenance | null>;
  connected: Generated<boolean>;
  connection_id: string | null;
  /** Administrators' note on its part in the network. */
  agent_description: Generated<string>;
  last_seen_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  /** See migrations/0915-host-lease.sql. */
  lease_ends_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  /** See migrations/0962-host-powered-off.sql. */
  powered_off_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  /** See migrations/1000-host-left.sql. */
  left_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  /** See migrations/1020-host-connected-at.sql. */
  connected_at: ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
  created_at: Timestamp;
  updated_at: Timestamp;
  /** Which transaction last changed what placement reads; see migrations/0140-placement-changed.sql. */
  changed_in: Generated<string>;
}

export type HostRow = Selectable<HostTable>;

/** What a host's cards give and what of it is promised; see migrations/0741-bandwidth.sql. */
export interface HostBandwidthTable {
  host_id: string;
  /** '': what tunnels run over. */
  physical_network: string;
  egress_kbps: Generated<number>;
  ingress_kbps: Generated<number>;
  /** A trigger's. */
  used_egress_kbps: Generated<number>;
  used_ingress_kbps: Generated<number>;
}

/** Of what a host says of its tunnels; see migrations/0980-host-tunnels.sql. */
export interface BrokenTunnel {
  host_id: string;
  address: string;
  fault: TunnelFault;
}

export interface HostTunnelsTable {
  host_id: string;
  peers: number;
  tried: number;
  oldest_ms: number | null;
  broken: Json<BrokenTunnel[]>;
  faults: number;
  said_at: Timestamp;
  changed_in: Generated<string>;
}

/** What a host must still hear of: see migrations/0011-server-absence.sql. */
export interface ServerAbsenceTable {
  host_id: string;
  server_id: string;
  epoch: number;
  generation: number;
  created_at: Timestamp;
}

/** Hosts' word; see migrations/0012-quarantine.sql and 0525-quarantined-layer.sql. */
export interface QuarantinedServerTable {
  host_id: string;
  server_id: string;
  reason: 'missing' | 'older' | 'unclaimed';
  since: Timestamp;
  guest: boolean;
  way: 'arriving' | 'left' | null;
  document: Json<DesiredServer> | null;
  bytes: Generated<number>;
}

export interface QuarantinedImageTable {
  host_id: string;
  image_id: string;
  format: ImageFormat;
  size_bytes: number;
  virtual_size_bytes: number | null;
  sha256: string;
  md5: string | null;
}

export interface QuarantinedLayerTable {
  host_id: string;
  layer_id: string;
  reason: 'missing' | 'older';
  since: Timestamp;
  document: Json<DesiredLayer>;
  bytes: Generated<number>;
}

interface HostTables {
  host: HostTable;
  host_bandwidth: HostBandwidthTable;
  host_tunnels: HostTunnelsTable;
  server_absence: ServerAbsenceTable;
  quarantined_server: QuarantinedServerTable;
  quarantined_layer: QuarantinedLayerTable;
  quarantined_image: QuarantinedImageTable;
}

declare module '../kit/database/schema.ts' {
  interface Schema extends HostTables {}
}

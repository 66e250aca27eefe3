import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface AddressPair {
  ip_address: string;
  mac_address: string;
}

export interface DhcpOption {
  opt_name: string;
  opt_value: string;
  ip_version: 4 | 6;
}

/** A second, in thousands of bits, and how many of them may come at once. */
export interface CardLimit {
  rate_kbit: number;
  burst_kbit: number;
}

/** What may pass a server's card each way, as its guest sees it; absent: as much as comes. */
export interface CardLimits {
  inbound?: CardLimit;
  outbound?: CardLimit;
}

export interface PortTable {
  id: string;
  project_id: string;
  network_id: string;
  name: Generated<string>;
  description: Generated<string>;
  mac: string;
  admin_state_up: Generated<boolean>;
  device_id: Generated<string>;
  device_owner: Generated<string>;
  port_security_enabled: Generated<boolean>;
  allowed_address_pairs: Json<AddressPair[]>;
  extra_dhcp_opts: Json<DhcpOption[]>;
  dns_name: Generated<string>;
  /** Before the network's; '' where it has none. */
  dns_domain: Generated<string>;
  binding_vnic_type: Generated<string>;
  host_id: string | null;
  /** Its server is on its live way there; written by a trigger with the server's migration. */
  migrating_to: string | null;
  binding_host: Generated<string>;
  delete_with_device: Generated<boolean>;
  observed_up: Generated<boolean>;
  /** What the flavor of its server lets through; written with the binding. */
  card_limits: Json<CardLimits>;
  /** It gets its addresses with its host. */
  ip_deferred: Generated<boolean>;
  qos_policy_id: string | null;
  /** Kept and shown: a guest's card hangs on no link of its own. */
  propagate_uplink_status: Generated<boolean>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface PortIpTable {
  port_id: string;
  subnet_id: string;
  network_id: string;
  ip: string;
  position: Generated<number>;
}

export interface PortSecurityGroupTable {
  port_id: string;
  security_group_id: string;
}

interface PortTables {
  port: PortTable;
  port_ip: PortIpTable;
  port_security_group: PortSecurityGroupTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PortTables {}
}

/** The form in which the intent functions state rows of the northbound database. */
import type { Columns } from '../../../protocols/ovsdb/index.ts';
import type { Unit } from './units.ts';

/** Names a row: the unit that it is stamped with, and its key, unique within unit and table. */
export interface RowName {
  table: string;
  owner: Unit;
  key: string;
}

export interface DesiredRow {
  table: string;
  key: string;
  /** Columns that we own in this row. Others (`up`, counters) are left alone. external_ids are owned whole. */
  columns: Columns;
  /** Human-readable extras in external_ids, beside the stamps. */
  labels?: Readonly<Record<string, string>>;
  /** The row that holds this one by a strong reference, for tables whose rows would vanish without. */
  parent?: RowName & { column: string };
  /** Columns that name at most one row elsewhere. */
  references?: Readonly<Record<string, RowName | null>>;
  /** Port groups that this port is in, by name. They belong to other units. */
  groups?: readonly (RowName & { name: string })[];
}

/** Stamps: every row that we made carries the first two; rows without are nobody's business. */
export const stamps = {
  owner: 'bothy:owner',
  key: 'bothy:key',
  /** Owner of the parent row, where that is another unit. */
  parent: 'bothy:parent',
  /** Names of the port groups that the port was put into. */
  groups: 'bothy:groups',
  name: 'bothy:name',
  /** Of a host's variables: the ports that they lead to. */
  ports: 'bothy:ports',
  /** On the global row: which history of the database the rows follow. */
  incarnation: 'bothy:incarnation',
  /** On the global row: of the lease under which alone is written, see fence.ts. */
  epoch: 'bothy:epoch',
} as const;

/** Names under which rows are known to OVN and to people with ovn-nbctl. */
export const names = {
  switch: (networkId: string) => `network-${networkId}`,
  localnet: (networkId: string) => `provider-${networkId}`,
  router: (routerId: string) => `router-${routerId}`,
  routerPort: (portId: string) => `router-port-${portId}`,
  /** As ovn-northd calls the end of a gateway that is on one chassis. */
  chassisRedirect: (portId: string) => `cr-router-port-${portId}`,
  /** The link of a router with its NAT64 engine. */
  nat64: (routerId: string) => ({
    switch: `nat64-link-${routerId}`,
    switchPort: `nat64-near-${routerId}`,
    routerPort: `nat64-router-port-${routerId}`,
  }),
  /** The router of a network by which guests come to its local IPs. */
  localIps: (networkId: string) => ({
    router: `local-ips-${networkId}`,
    routerPort: `local-ips-router-port-${networkId}`,
    switchPort: `local-ips-near-${networkId}`,
    loadBalancer: `local-ips-${networkId}`,
  }),
  /** Of a local IP; what they say is of each host. In a match a name is [A-Za-z_.][A-Za-z0-9_.]*. */
  localIpVariables: (localIpId: string) => {
    const address = `local_ip_${localIpId.replaceAll('-', '_')}`;
    return { address, port: `${address}_port` };
  },
  portForwarding: (part: string) => `port_forwarding-${part}`,
  gatewayChassis: (portId: string, hostId: string) => `${portId}_${hostId}`,
  /** Used in match expressions, where a name is [A-Za-z_.][A-Za-z0-9_.]*. */
  portGroup: (securityGroupId: string) => `sg_${securityGroupId.replaceAll('-', '_')}`,
  /** As above; a set is of one IP version. */
  addressSet: (addressGroupId: string, version: 'ip4' | 'ip6') =>
    `ag_${addressGroupId.replaceAll('-', '_')}_${version}`,
  dropGroup: 'bothy_drop',
} as const;

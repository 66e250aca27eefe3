/** What of ours is in the northbound database: rows that carry our stamps, found by unit. Reads the copy, writes nothing. */
import {
  barrierColumns,
  isUuid,
  type Monitored,
  map,
  type Replica,
  type Row,
  type RowIndex,
} from '../../../protocols/ovsdb/index.ts';
import { type RowName, stamps } from './desired.ts';
import { kindOf, parseUnit, type Unit } from './units.ts';

/**
 * The columns that we own, and the stamps. Not copied: the references that hold child rows (a child that exists is
 * held) and the members of port groups; sets of ten thousand would make each single change cost as much.
 */
export const monitored: Monitored = {
  NB_Global: [...barrierColumns, 'options', 'external_ids'],
  Logical_Switch: ['name', 'other_config', 'external_ids'],
  Logical_Switch_Port: [
    ...['name', 'type', 'options', 'parent_name', 'tag', 'addresses', 'port_security', 'enabled', 'up'],
    ...['dhcpv4_options', 'dhcpv6_options', 'external_ids'],
  ],
  Port_Group: ['name', 'external_ids'],
  Address_Set: ['name', 'addresses', 'external_ids'],
  ACL: ['priority', 'direction', 'match', 'action', 'log', 'external_ids'],
  QoS: ['priority', 'direction', 'match', 'action', 'bandwidth', 'external_ids'],
  Logical_Router: ['name', 'enabled', 'options', 'external_ids'],
  Logical_Router_Port: ['name', 'mac', 'networks', 'enabled', 'ipv6_ra_configs', 'options', 'external_ids'],
  Gateway_Chassis: ['name', 'chassis_name', 'priority', 'external_ids'],
  Logical_Router_Static_Route: ['ip_prefix', 'nexthop', 'output_port', 'external_ids'],
  Logical_Router_Policy: ['priority', 'match', 'action', 'nexthops', 'external_ids'],
  NAT: ['type', 'external_ip', 'logical_ip', 'logical_port', 'external_mac', 'gateway_port', 'options', 'external_ids'],
  Load_Balancer: ['name', 'protocol', 'vips', 'options', 'external_ids'],
  DHCP_Options: ['cidr', 'options', 'external_ids'],
  Chassis_Template_Var: ['chassis', 'variables', 'external_ids'],
};

/** Tables whose rows live by themselves; a row of the others lives only while another row holds it. A load balancer does, and is held all the same. */
export const rootTables: ReadonlySet<string> = new Set([
  'Logical_Switch',
  'Logical_Router',
  'Port_Group',
  'Address_Set',
  'Load_Balancer',
  'DHCP_Options',
  'Chassis_Template_Var',
]);

const ourTables = Object.keys(monitored).filter((table) => table !== 'NB_Global');

export const stamp = (row: Row, name: string): string | undefined => map(row, 'external_ids')[name];
export const ownerOf = (row: Row): Unit | undefined => parseUnit(stamp(row, stamps.owner));

/** Which row holds this one, and in which column. */
export type Holder = RowName & { column: string };

export const formatHolder = ({ owner, key, table, column }: Holder): string => [owner, key, table, column].join(' ');

export function holderOf(row: Row): Holder | undefined {
  const [owner, key = '', table = '', column = ''] = stamp(row, stamps.parent)?.split(' ') ?? [];
  const unit = parseUnit(owner);
  return unit && { owner: unit, key, table, column };
}

export interface ActualRow {
  table: string;
  key: string;
  row: Row;
}

export class Actual {
  readonly #byOwner = new Map<string, RowIndex>();
  readonly #portsByGroup: RowIndex;
  readonly #natByKey: RowIndex;
  readonly #routerPortByKey: RowIndex;
  readonly #routerByChassis: RowIndex;
  readonly #variablesByPort: RowIndex;
  readonly #groupByName: RowIndex;
  readonly #groups: () => Iterable<Row>;
  #largeGroups: string[] = [];

  /** Makes the indexes; call before the client starts. */
  constructor(replica: Replica) {
    for (const table of ourTables) this.#byOwner.set(table, replica.index(table, ownerOf));
    this.#portsByGroup = replica.index('Logical_Switch_Port', groupsOf);
    this.#natByKey = replica.index('NAT', (row) => stamp(row, stamps.key));
    this.#routerPortByKey = replica.index('Logical_Router_Port', (row) => stamp(row, stamps.key));
    this.#routerByChassis = replica.index('Gateway_Chassis', (row) => String(row.chassis_name));
    this.#variablesByPort = replica.index('Chassis_Template_Var', portsOf);
    this.#groupByName = replica.index('Port_Group', (row) => String(row.name));
    this.#groups = () => replica.rows('Port_Group').values();
  }

  rowsOf(owner: Unit): ActualRow[] {
    return ourTables.flatMap((table) =>
      this.#byOwner
        .get(table)!
        .get(owner)
        .map((row) => ({ table, key: stamp(row, stamps.key) ?? '', row })),
    );
  }

  find(name: RowName): Row | undefined {
    return this.#byOwner
      .get(name.table)!
      .get(name.owner)
      .find((row) => stamp(row, stamps.key) === name.key);
  }

  /** Parents that a stamp names: one, unless somebody made a second. */
  findAll(name: RowName): Row[] {
    return this.#byOwner
      .get(name.table)!
      .get(name.owner)
      .filter((row) => stamp(row, stamps.key) === name.key);
  }

  /** All units that have rows, some of them several times; what changes meanwhile may be in it or not. */
  *owners(): Iterable<Unit> {
    for (const index of this.#byOwner.values()) yield* index.keys() as Iterable<Unit>;
  }

  /** Our group of this name. */
  group(name: string): Row | undefined {
    return this.#groupByName.get(name).find((row) => ownerOf(row) !== undefined);
  }

  groupSize(name: string): number {
    return this.#portsByGroup.size(name);
  }

  /** Groups that had more members than this at the last measure. */
  largeGroups(): Row[] {
    return this.#largeGroups.flatMap((name) => this.group(name) ?? []);
  }

  measureGroups(largest: number): void {
    this.#largeGroups = [];
    for (const { name } of this.#groups()) {
      if (this.groupSize(String(name)) > largest) this.#largeGroups.push(String(name));
    }
  }

  portsInGroup(group: string): Row[] {
    return this.#portsByGroup.get(group);
  }

  /** The router that has a row with this key (a floating IP's rule, a port), if any: the truth may have forgotten it. */
  routerWith(table: 'NAT' | 'Logical_Router_Port', key: string): Unit | undefined {
    const row = (table === 'NAT' ? this.#natByKey : this.#routerPortByKey).get(key)[0];
    return row && ownerOf(row);
  }

  /** Hosts on which a local IP leads to the port. */
  hostsLeadingTo(portId: string): Unit[] {
    return this.#variablesByPort.get(portId).flatMap((row) => ownerOf(row) ?? []);
  }

  /** Routers whose gateway may run on the host. */
  routersOnChassis(hostId: string): Set<Unit> {
    return new Set(this.#routerByChassis.get(hostId).flatMap((row) => ownerOf(row) ?? []));
  }
}

const wordsOf = (row: Row, name: string): string[] => stamp(row, name)?.split(' ').filter(Boolean) ?? [];
export const groupsOf = (row: Row): string[] => wordsOf(row, stamps.groups);
const portsOf = (row: Row): string[] => wordsOf(row, stamps.ports);

/** A port's state as OVN reports it; undefined for rows that are no guest's or service's port of ours. */
export function portStatus(row: Row): { id: string; up: boolean } | undefined {
  const owner = ownerOf(row);
  if (!owner || kindOf(owner) !== 'port' || !isUuid(String(row.name))) return undefined;
  return { id: String(row.name), up: row.up === true };
}

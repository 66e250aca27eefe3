/**
 * A unit is what is projected together, in one OVSDB transaction: everything that one network, security group, port or
 * router means in the northbound database. `cloud/drop` is the one group that all filtered ports are in.
 */
import type { Change } from '../../kit/change-log/changes.ts';

export type UnitKind = 'cloud' | 'network' | 'security_group' | 'port' | 'router';
export type Unit = `${UnitKind}/${string}`;

/** Units of an earlier phase are in place before those of a later one refer to their rows. */
export const phases: readonly UnitKind[] = ['cloud', 'network', 'security_group', 'port', 'router'];

/** Of the ids in unit names; in the northbound database anything may stand. */
export const idForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const dropUnit: Unit = 'cloud/drop';
export const unit = (kind: UnitKind, id: string): Unit => `${kind}/${id}`;
export const kindOf = (name: Unit): UnitKind => name.slice(0, name.indexOf('/')) as UnitKind;
export const idOf = (name: Unit): string => name.slice(name.indexOf('/') + 1);

export function parseUnit(text: string | undefined): Unit | undefined {
  const [kind, id] = text?.split('/') ?? [];
  return id && phases.includes(kind as UnitKind) ? (text as Unit) : undefined;
}

/** What a change touches: units by name, and sets of units that only the database can name (see load.ts `expand`). */
export interface Touched {
  units: Set<Unit>;
  /** All ports of these networks. */
  portsOfNetworks: Set<string>;
  /** All routers with an interface or a gateway on these networks. */
  routersOfNetworks: Set<string>;
  /** All routers that have a floating IP for these ports. */
  routersOfPorts: Set<string>;
  /** Ports of which only the database knows whether they are a router's or the metadata service's. */
  servicePorts: Set<string>;
}

export const nothingTouched = (): Touched => ({
  units: new Set(),
  portsOfNetworks: new Set(),
  routersOfNetworks: new Set(),
  routersOfPorts: new Set(),
  servicePorts: new Set(),
});

/** The resources whose changes touch anything; hosts: see hosts.ts. */
export const concerning: ReadonlySet<string> = new Set([
  ...['network', 'subnet', 'port', 'port_ip', 'port_security_group', 'router', 'floating_ip', 'security_group'],
  ...['security_group_rule', 'host'],
]);

/** Pure: adds what the change touches. The body says where to look; it is never projected itself. */
export function touch(
  touched: Touched,
  change: Pick<Change, 'resource_type' | 'resource_id' | 'action' | 'body'>,
): void {
  const { resource_id: id, body } = change;
  const text = (column: string) => (typeof body[column] === 'string' ? (body[column] as string) : undefined);
  switch (change.resource_type) {
    case 'network':
      touched.units.add(unit('network', id));
      if (change.action === 'updated') touched.routersOfNetworks.add(id);
      return;
    case 'subnet': {
      const network = text('network_id');
      if (!network) return;
      touched.units.add(unit('network', network));
      touched.portsOfNetworks.add(network);
      touched.routersOfNetworks.add(network);
      return;
    }
    case 'port': {
      touched.units.add(unit('port', id));
      const owner = text('device_owner') ?? '';
      if (owner.startsWith('network:router')) touched.units.add(unit('router', text('device_id') ?? ''));
      else if (owner === 'network:distributed') touched.units.add(unit('network', text('network_id') ?? ''));
      else touched.routersOfPorts.add(id);
      return;
    }
    case 'port_ip':
      touched.units.add(unit('port', id));
      touched.servicePorts.add(id);
      return;
    case 'port_security_group':
      touched.units.add(unit('port', id));
      return;
    case 'router':
      touched.units.add(unit('router', id));
      return;
    case 'floating_ip':
      if (text('router_id')) touched.units.add(unit('router', text('router_id')!));
      return;
    case 'security_group':
      touched.units.add(unit('security_group', id));
      return;
    case 'security_group_rule':
      touched.units.add(unit('security_group', text('security_group_id') ?? ''));
      return;
  }
}

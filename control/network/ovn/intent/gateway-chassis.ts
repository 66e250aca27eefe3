/** On which hosts a router's gateway may be: which of them OVN takes is the first that lives (gateway.ts). */
import { type DesiredRow, names } from '../desired.ts';
import type { IndexedModel, PortRow, RouterRow } from '../model.ts';
import { unit } from '../units.ts';

/** The hosts that may carry the router's gateway, the best one first. Empty: none has its physical network. */
export function hostsOf(model: IndexedModel, router: RouterRow, gateway: PortRow): string[] {
  const physical = model.networks.get(gateway.network_id)?.provider_physical_network ?? null;
  const chosen = model.hosts.choose(router.id, physical, router.availability_zone_hints);
  return router.ha ? chosen : chosen.slice(0, 1);
}

export function gatewayChassis(
  model: IndexedModel,
  router: RouterRow,
  gateway: PortRow,
  named: (key: string) => string,
): DesiredRow[] {
  if (gateway.ips.length === 0) return [];
  const hosts = hostsOf(model, router, gateway);
  const owner = unit('router', router.id);
  return hosts.map((host, place) => ({
    table: 'Gateway_Chassis',
    key: named(host),
    columns: { name: names.gatewayChassis(gateway.id, host), chassis_name: host, priority: hosts.length - place },
    parent: { table: 'Logical_Router_Port', owner, key: gateway.id, column: 'gateway_chassis' },
  }));
}

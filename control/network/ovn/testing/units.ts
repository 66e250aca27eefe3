/** Not for production use. */
import type { IndexedModel } from '../model.ts';
import { dropUnit, type Unit, unit } from '../units.ts';

/** Every unit of a model, in the order in which they refer to each other. */
export function allUnits(model: IndexedModel): Unit[] {
  return [
    dropUnit,
    ...[...model.hosts.ids()].map((id) => unit('host', id)),
    ...[...model.networks.keys()].map((id) => unit('network', id)),
    ...[...model.addressGroups.keys()].map((id) => unit('address_group', id)),
    ...[...model.securityGroups.keys()].map((id) => unit('security_group', id)),
    ...[...model.ports.keys()].map((id) => unit('port', id)),
    ...[...model.routers.keys()].map((id) => unit('router', id)),
  ];
}

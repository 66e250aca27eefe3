/**
 * A unit is what is projected together, in one OVSDB transaction: everything that one host, network, address group, security group, port or
 * router means in the northbound database. `cloud/drop` is the one group that all filtered ports are in.
 */
export type UnitKind = 'cloud' | 'host' | 'network' | 'address_group' | 'security_group' | 'port' | 'router';
export type Unit = `${UnitKind}/${string}`;

/** Units of an earlier phase are in place before those of a later one refer to their rows. */
export const phases: readonly UnitKind[] = [
  'cloud',
  'host',
  'network',
  'address_group',
  'security_group',
  'port',
  'router',
];

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

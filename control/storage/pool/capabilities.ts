/**
 * What a volume type asks of pools, read as Cinder's scheduler reads it (cinder/scheduler/filters/capabilities_filter.py and
 * extra_specs_ops.py): specs without a scope, or of the scope `capabilities`, are compared with what a pool can; other scopes are for
 * others. Pure.
 */
import { type RawBuilder, sql } from 'kysely';
import type { PoolKind, PoolTier } from './tables.ts';

export interface PoolTraits {
  name: string;
  tier: PoolTier;
  availability_zone: string;
  kind: PoolKind;
  /** Its host has a portal for machines outside. */
  exports: boolean;
}

/** {@link PoolTraits.exports} of the host that the query calls `h`. */
export const hostExportsSql: RawBuilder<boolean> = sql<boolean>`(h.facts ? 'iscsiPortal')`;

/** What a pool says that it is and can: `capabilities` of the API, and what specs are compared with. */
export const capabilitiesOf = ({
  name,
  tier,
  kind,
  exports,
}: Omit<PoolTraits, 'availability_zone'>): Readonly<Record<string, string>> => ({
  volume_backend_name: name,
  vendor_name: kind === 'rbd' ? 'Ceph' : 'Bothy',
  /** How a machine that is not its host comes to its volumes; `file`: not at all. */
  storage_protocol: kind === 'rbd' ? 'ceph' : exports ? 'iSCSI' : 'file',
  tier,
  /** What is there outlives a restart of its host. */
  durable: tier === 'ram' ? 'False' : 'True',
  thin_provisioning_support: 'True',
  thick_provisioning_support: 'False',
  multiattach: 'False',
  /** What is there can be brought to another host, or from there. */
  replication_enabled: kind === 'rbd' || tier === 'ram' ? 'False' : 'True',
  /** By rounds, and by a second copy that each write waits for. */
  replication_type: kind === 'rbd' || tier === 'ram' ? '' : 'async sync',
  // A cluster snapshots each image by itself.
  consistent_group_snapshot_enabled: kind === 'rbd' ? 'False' : 'True',
  QoS_support: 'True',
});

/** Specs that are about a volume and not about where it lies. */
const notOfPools = new Set(['multiattach']);

/** The specs of the type that the pool does not meet, by name. */
export function unmetSpecs(extraSpecs: Readonly<Record<string, string>>, pool: PoolTraits): string[] {
  const capabilities = capabilitiesOf(pool);
  return Object.entries(extraSpecs).flatMap(([key, wanted]) => {
    if (key === 'bothy:tier') return meets(pool.tier, wanted) ? [] : [key];
    if (key === 'RESKEY:availability_zones') {
      const zones = wanted.split(',').map((zone) => zone.trim());
      return zones.includes(pool.availability_zone) ? [] : [key];
    }
    const [scope, name] = key.includes(':') ? splitAt(key, key.indexOf(':')) : ['capabilities', key];
    if (scope !== 'capabilities' || notOfPools.has(name)) return [];
    // A volume without a replica lies anywhere.
    if (name === 'replication_enabled' && meets('False', wanted)) return [];
    if (name === 'replication_type' && !replicates(extraSpecs)) return [];
    return Object.hasOwn(capabilities, name) && meets(capabilities[name]!, wanted) ? [] : [key];
  });
}

const replicates = (extraSpecs: Readonly<Record<string, string>>): boolean =>
  extraSpecs.replication_enabled !== undefined && meets('True', extraSpecs.replication_enabled);

const splitAt = (text: string, at: number): [string, string] => [text.slice(0, at), text.slice(at + 1)];

/** `<is>`, `<or>`, `<in>` and the comparisons of text (`s==`) and numbers (`>=`), or the word itself. */
function meets(has: string, wanted: string): boolean {
  const words = wanted.trim().split(/\s+/);
  const [operator = '', ...rest] = words;
  switch (operator) {
    case '<is>':
      return isTrue(has) === isTrue(rest[0] ?? '');
    case '<or>':
      return rest.filter((word) => word !== '<or>').includes(has);
    case '<in>':
      return rest.every((word) => word === '<in>' || has.includes(word));
  }
  const compare = Object.hasOwn(comparisons, operator) ? comparisons[operator]! : undefined;
  return compare ? rest.length > 0 && compare(has, rest.join(' ')) : has === wanted.trim();
}

const isTrue = (word: string): boolean => ['true', 't', 'yes', 'y', 'on', '1'].includes(word.toLowerCase());

const comparisons: Readonly<Record<string, (has: string, wanted: string) => boolean>> = {
  '=': (has, wanted) => Number(has) >= Number(wanted),
  '==': (has, wanted) => Number(has) === Number(wanted),
  '>=': (has, wanted) => Number(has) >= Number(wanted),
  '<=': (has, wanted) => Number(has) <= Number(wanted),
  '!=': (has, wanted) => Number(has) !== Number(wanted),
  's==': (has, wanted) => has === wanted,
  's!=': (has, wanted) => has !== wanted,
  's<': (has, wanted) => has < wanted,
  's<=': (has, wanted) => has <= wanted,
  's>': (has, wanted) => has > wanted,
  's>=': (has, wanted) => has >= wanted,
};

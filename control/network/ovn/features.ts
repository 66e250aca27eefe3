/**
 * What the OVN that is there can do of what things here depend on: asked of its northbound schema and of what ovn-northd says of itself in the
 * global row, never assumed of a release. Pure. docs/mapping-ovn.md has what depends on each; nothing is written that a release since 22.12 lacks.
 */
import { type DatabaseSchema, map, type Row } from '../../../protocols/ovsdb/index.ts';

export interface OvnFeatures {
  /** ovn-northd's, as it calls itself: 23.03.1-20.27.0-70.6; null: it has not said so yet. */
  version: string | null;
  /** What is missing, and what follows; sentences for administrators. */
  lacks: readonly { feature: FeatureName; without: string }[];
}

export type FeatureName = 'dhcpv6_fqdn' | 'acl_sampling';

interface Found {
  schema: DatabaseSchema;
  /** Major and minor. */
  release: readonly [number, number] | undefined;
}

interface Feature {
  name: FeatureName;
  has: (found: Found) => boolean;
  without: string;
}

const features: readonly Feature[] = [
  {
    // No column is its own, so ovn-northd's release must say it: NEWS of OVN 23.09.0.
    name: 'dhcpv6_fqdn',
    has: ({ release }) => release !== undefined && (release[0] > 23 || (release[0] === 23 && release[1] >= 9)),
    without: 'servers could not be told their own name by DHCPv6',
  },
  {
    // A table of OVN 24.09.0.
    name: 'acl_sampling',
    has: ({ schema }) => schema.tables.has('Sample_Collector'),
    without: 'nothing could tell a project what its security groups let through or drop',
  },
];

/** @param global the row of NB_Global, where there is one */
export function featuresOf(schema: DatabaseSchema, global: Row | undefined): OvnFeatures {
  const version = (global && map(global, 'options').northd_internal_version) ?? null;
  const numbers = /^(\d+)\.(\d+)/.exec(version ?? '');
  const release = numbers ? ([Number(numbers[1]), Number(numbers[2])] as const) : undefined;
  const lacking = features.filter(({ has }) => !has({ schema, release }));
  return { version, lacks: lacking.map(({ name, without }) => ({ feature: name, without })) };
}

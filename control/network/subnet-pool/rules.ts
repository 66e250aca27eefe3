/** What a subnet pool may be. Pure; refusals speak as Neutron does. */
import { CloudError } from '../../../contract/errors.ts';
import { bitsOf, parseCidr } from '../../kit/address.ts';
import { compact, isWithin } from './space.ts';

export interface PrefixLengths {
  min_prefix_length?: number | undefined;
  max_prefix_length?: number | undefined;
  default_prefix_length?: number | undefined;
}

const defaultMinimum = { 4: 8, 6: 64 } as const;

/** @throws CloudError `invalid` */
export function readPrefixes(prefixes: readonly string[]): { ip_version: 4 | 6; prefixes: string[] } {
  const version = prefixes.length === 0 ? undefined : parseCidr(prefixes[0]!)?.version;
  if (version === undefined) throw new CloudError('invalid', 'empty_subnet_pool_prefix_list', {});
  if (prefixes.some((prefix) => parseCidr(prefix)?.version !== version)) {
    throw new CloudError('invalid', 'prefix_version_mismatch', {});
  }
  return { ip_version: version, prefixes: compact(version, prefixes) };
}

/** A pool's prefixes after a change: they may only grow. @throws CloudError `invalid` */
export function grownPrefixes(
  now: { ip_version: 4 | 6; prefixes: readonly string[] },
  wanted: readonly string[],
): string[] {
  const { ip_version, prefixes } = readPrefixes(wanted);
  if (ip_version !== now.ip_version) throw new CloudError('invalid', 'prefix_version_mismatch', {});
  if (!isWithin(now.prefixes, prefixes)) {
    throw new CloudError('invalid', 'illegal_subnet_pool_prefix_update', { why: 'not_a_superset' });
  }
  return prefixes;
}

/** The three lengths, those that nobody gave by Neutron's defaults. @throws CloudError `invalid` */
export function readPrefixLengths(
  version: 4 | 6,
  wish: PrefixLengths,
): Required<{ [K in keyof PrefixLengths]: number }> {
  const minimum = wish.min_prefix_length ?? defaultMinimum[version];
  const maximum = wish.max_prefix_length ?? bitsOf(version);
  const byDefault = wish.default_prefix_length ?? minimum;
  const bounds = (bound: string, length: number, other: string, otherLength: number) =>
    new CloudError('invalid', 'illegal_subnet_pool_prefix_bounds', { bound, length, other, other_length: otherLength });
  if (minimum > maximum) throw bounds('min_prefixlen', minimum, 'max_prefixlen', maximum);
  if (maximum > bitsOf(version)) throw bounds('max_prefixlen', maximum, 'ip_version_max', bitsOf(version));
  if (byDefault < minimum) throw bounds('default_prefixlen', byDefault, 'min_prefixlen', minimum);
  if (byDefault > maximum) throw bounds('default_prefixlen', byDefault, 'max_prefixlen', maximum);
  return { min_prefix_length: minimum, max_prefix_length: maximum, default_prefix_length: byDefault };
}

/** What no volume here can be yet, whatever its type asks. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import { cacheWords, replicationWords, type VolumeTypeRow } from '../volume-type/index.ts';

/** @throws CloudError `invalid` for a type whose volumes several machines have at a time, or that have both a cache and a replica */
export function requireMakeable(type: Pick<VolumeTypeRow, 'name' | 'extra_specs'>): void {
  const { multiattach = '' } = type.extra_specs;
  if (/^<is>\s*true$/i.test(multiattach)) {
    throw new CloudError('invalid', 'volume_type_unfit', { type: type.name, why: 'multiattach' });
  }
  if (cacheWords(type.extra_specs) && replicationWords(type.extra_specs)) {
    throw new CloudError('invalid', 'volume_type_unfit', { type: type.name, why: 'cache_and_replica' });
  }
}

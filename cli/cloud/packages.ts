/** Debian packages that a machine needs by what its settings name, beside those that each needs. Pure. */
import { clusterPackages, exportPackages, type NeededPackage } from '../install/packages.ts';
import type { Settings } from '../settings.ts';
import { storagePools } from './storage-pools.ts';

export function packagesBySettings({
  values,
}: {
  values: Pick<Settings['values'], 'iscsi_portal' | 'storage_pools'>;
}): NeededPackage[] {
  const inCluster = storagePools(values.storage_pools)?.some(({ rbd }) => rbd !== undefined) === true;
  return [...(values.iscsi_portal === '' ? [] : exportPackages), ...(inCluster ? clusterPackages : [])];
}

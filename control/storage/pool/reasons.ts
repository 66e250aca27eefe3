/** What the administrators' own words about pools are refused for (see contract/errors.ts). */
import type { StoragePoolTable } from './tables.ts';

export interface StoragePoolReasons {
  storage_pool_not_found: { id: string };
  storage_pool_host_not_found: { id: string };
  /** `by`: who has named the pool that is there. */
  storage_pool_name_taken: { name: string; host: string; by: 'settings' | 'api' };
  storage_pool_place_taken: { source: string; host: string; pool: string };
  /** A directory or a device is named from the root on; UUID=… and LABEL=… name file systems. */
  storage_pool_source_unfit: { kind: StoragePoolTable['kind']; source: string };
  /** The settings of its host say what it is; `what` can't be changed here. */
  storage_pool_of_settings: { name: string; host: string; what: string };
  storage_pool_not_empty: { id: string; volumes: number; layers: number };
  storage_pools_too_many: { host: string; most: number };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends StoragePoolReasons {}
}

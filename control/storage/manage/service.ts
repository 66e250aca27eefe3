/**
 * Files that administrators laid into pools of hosts (`<pool>/manage`) become volumes. What lies there the pool's host is asked, outside of any
 * transaction; then the volume is made as any other, in that pool, with the file as its source, and its host takes the file over by copy.
 *
 * Owns nothing. If the process dies after the question nothing was asked for; after the transaction the volume comes about.
 */
import { CloudError } from '../../../contract/errors.ts';
import type { ManageableFiles } from '../../../contract/host/index.ts';
import { endpointOf, type HostClient } from '../../host/index.ts';
import { type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { BackendRow, BackendService } from '../backend/index.ts';
import { emptyWish, gibBytes, gibOf, type ListedVolume, type VolumeService, type VolumeWish } from '../volume/index.ts';

export interface ManageOptions {
  database: Database;
  backends: Pick<BackendService, 'get'>;
  volumes: Pick<VolumeService, 'create'>;
  client: Pick<HostClient, 'manageable'>;
}

export type ManageableFile = ManageableFiles['files'][number];

export interface ManageWish extends Pick<VolumeWish, 'name' | 'description' | 'type' | 'metadata' | 'zone'> {
  /** `host@pool`. */
  backend: string;
  /** The file's. */
  fileName: string;
  bootable: boolean;
}

export class ManageService {
  readonly #options: ManageOptions;

  constructor(options: ManageOptions) {
    this.#options = options;
  }

  /** What could become volumes of the pool, by name. @throws CloudError `forbidden`, `not_found`; `unavailable` where its host does not answer */
  async list(caller: Caller, backend: string): Promise<ManageableFile[]> {
    requireAdmin(caller, 'list what could become volumes');
    return this.#filesOf(await this.#options.backends.get(caller, backend));
  }

  /** The file of a pool becomes a volume of the caller's project. @throws CloudError as {@link list}; `invalid` where it is no disk */
  async manage(caller: Caller, { backend, fileName, bootable, ...wish }: ManageWish): Promise<ListedVolume> {
    requireAdmin(caller, 'manage a volume');
    const pool = await this.#options.backends.get(caller, backend);
    const file = (await this.#filesOf(pool)).find(({ name }) => name === fileName);
    const unfit = (why: string) => new CloudError('invalid', 'managed_file_unfit', { name: fileName, why });
    if (!file) throw unfit(`there is no such file in the directory manage of pool ${backend}`);
    if (file.problem !== null || file.sizeBytes === null) throw unfit(file.problem ?? 'its size can not be told');
    if (file.sizeBytes > Number.MAX_SAFE_INTEGER - gibBytes) throw unfit('it is too large');
    return this.#options.volumes.create(caller, {
      ...{ ...emptyWish, ...wish, sizeGib: gibOf(file.sizeBytes) },
      managed: { name: fileName, poolId: pool.id, hostId: pool.host_id, bootable },
    });
  }

  async #filesOf(pool: BackendRow): Promise<ManageableFile[]> {
    if (pool.kind === 'rbd') return [];
    const host = await endpointOf(this.#options.database.query, pool.host_id);
    if (!host) throw notFound('host', pool.host_id);
    return (await this.#options.client.manageable(host, pool.name)).files;
  }
}

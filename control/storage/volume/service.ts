/**
 * What the dialects may do with volumes. Decides and writes what shall be; never waits for a host.
 *
 * Owns the rows of volumes. If the process dies, a transaction has happened or has not.
 */
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import { type EncryptionRow, encryptionOf } from '../volume-type/index.ts';
import { type ActDependencies, done, onLockedVolume } from './act.ts';
import { createVolume, type VolumeWish } from './create.ts';
import { extendVolume } from './extend.ts';
import {
  countVolumes,
  listVolumes,
  summarizeVolumes,
  type VolumeFilter,
  type VolumePage,
  type VolumeSummary,
} from './list.ts';
import { migrateVolume } from './migrate.ts';
import { type DeleteOptions, deleteVolume } from './remove.ts';
import { type ResetWish, resetVolume } from './reset.ts';
import { retypeVolume } from './retype.ts';
import { reimageVolume, revertVolume } from './revert.ts';
import { ofServerImage, type ShownImages } from './server-image.ts';
import { volumeStatus } from './states.ts';
import { changeVolume, findVolume, noteVolume, type Reach, reachOf } from './store.ts';
import { unmanageVolume } from './unmanage.ts';
import { type Uploaded, type UploadWish, uploadVolume } from './upload.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

/** Of all projects; administrators only, others get their own as in Cinder. */
export interface ListOptions {
  allProjects: boolean;
}

export type MetadataKind = 'metadata' | 'image_metadata';

export class VolumeService {
  readonly #deps: ActDependencies & { images: ShownImages };

  constructor(deps: ActDependencies & { images: ShownImages }) {
    this.#deps = deps;
  }

  /**
   * @param options.serverImages an image of a server that boots from a volume stands for the snapshot that it names
   * @throws CloudError `invalid`, `forbidden`, `not_found`, `quota_exceeded`
   */
  async create(caller: Caller, asked: VolumeWish, { serverImages = false } = {}): Promise<ListedVolume> {
    const wish = serverImages ? await ofServerImage(this.#deps.images, caller, asked) : asked;
    const volume = await createVolume(this.#deps, caller, wish);
    this.#deps.log.info({ requestId: caller.requestId, volumeId: volume.id }, 'volume creation accepted');
    return volume;
  }

  /** @throws CloudError `not_found`, also for a volume that is hidden from the caller */
  get(caller: Caller, id: string): Promise<ListedVolume> {
    return findVolume(this.#deps.database.query, reachOf(caller), id);
  }

  /** @throws CloudError `not_found` for a marker that is hidden or none */
  list(caller: Caller, page: VolumePage, options: ListOptions): Promise<ListedVolume[]> {
    return listVolumes(this.#deps.database.query, listReach(caller, options), page);
  }

  /** How it is encrypted, as its type says, and with which key; the key's id alone where it is not. @throws CloudError `not_found` */
  async encryption(caller: Caller, id: string): Promise<{ keyId: string | null; type: EncryptionRow | undefined }> {
    const { key_id: keyId, volume_type_id } = await this.get(caller, id);
    return { keyId, type: keyId === null ? undefined : await encryptionOf(this.#deps.database.query, volume_type_id) };
  }

  count(caller: Caller, filter: VolumeFilter, options: ListOptions): Promise<number> {
    return countVolumes(this.#deps.database.query, listReach(caller, options), filter);
  }

  summary(caller: Caller, options: ListOptions): Promise<VolumeSummary> {
    return summarizeVolumes(this.#deps.database.query, listReach(caller, options));
  }

  /** What people wrote on it. */
  async update(
    caller: Caller,
    id: string,
    notes: { name?: string; description?: string | null; metadata?: Record<string, string> },
  ): Promise<ListedVolume> {
    await this.#change(caller, id, 'update a volume', async (tx, volume) => {
      if (volumeStatus(volume) === 'maintenance') requireStatus(volume, 'metadata', ['available']);
      await noteVolume(tx, id, {
        ...notes,
        ...(notes.metadata && { metadata: { ...volume.metadata, ...notes.metadata } }),
      });
    });
    return this.get(caller, id);
  }

  /** Replaces what `edit` answers for the present metadata. @returns the new ones */
  editMetadata(
    caller: Caller,
    id: string,
    kind: MetadataKind,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    return this.#change(caller, id, 'change a volume’s metadata', async (tx, volume) => {
      const status = volumeStatus(volume);
      if (status === 'maintenance' || status === 'uploading') {
        const fields = { id, call: 'metadata', status, wanted: ['available', 'in-use'] } as const;
        throw new CloudError('invalid', 'volume_status_unfit', fields);
      }
      const changed = edit({ ...volume[kind] });
      await noteVolume(tx, id, { [kind]: changed });
      return changed;
    });
  }

  /** Administrators: its content is laid into its pool, for whoever takes it from there, and it goes. */
  unmanage(caller: Caller, id: string): Promise<void> {
    return unmanageVolume(this.#deps, caller, id);
  }

  async setBootable(caller: Caller, id: string, bootable: boolean): Promise<void> {
    await this.#change(caller, id, 'change whether a volume is bootable', async (tx, volume) => {
      await changeVolume(tx, id, { bootable });
      await done(tx, actorOf(caller), volume, 'setBootable');
    });
  }

  async setReadOnly(caller: Caller, id: string, readOnly: boolean): Promise<void> {
    await this.#change(caller, id, 'change whether a volume is read-only', async (tx, volume) => {
      requireStatus(volume, 'read_only', ['available']);
      await changeVolume(tx, id, { readOnly });
      await tellServers(tx, [id]);
      await done(tx, actorOf(caller), volume, 'setReadOnly');
    });
  }

  /** @throws CloudError `invalid` where somebody has it, or it has snapshots that shall stay */
  delete(caller: Caller, id: string, options: DeleteOptions): Promise<void> {
    return deleteVolume(this.#deps, caller, id, options);
  }

  extend(caller: Caller, id: string, wish: { sizeGib: number; inUse: boolean }): Promise<void> {
    return extendVolume(this.#deps, caller, id, wish);
  }

  revert(caller: Caller, id: string, snapshotId: string | null): Promise<void> {
    return revertVolume(this.#deps, caller, id, snapshotId);
  }

  reimage(caller: Caller, id: string, wish: { imageId: string; reserved: boolean }): Promise<void> {
    return reimageVolume(this.#deps, caller, id, wish);
  }

  upload(caller: Caller, id: string, wish: UploadWish): Promise<Uploaded> {
    return uploadVolume(this.#deps, caller, id, wish);
  }

  retype(caller: Caller, id: string, wish: { type: string; policy: 'never' | 'on-demand' }): Promise<void> {
    return retypeVolume(this.#deps, caller, id, wish);
  }

  reset(caller: Caller, id: string, wish: ResetWish): Promise<void> {
    return resetVolume(this.#deps, caller, id, wish);
  }

  migrate(caller: Caller, id: string, wish: { backend: string | null; cluster: string | null }): Promise<void> {
    return migrateVolume(this.#deps, caller, id, wish);
  }

  #change<T>(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, volume: ListedVolume & { id: string }) => Promise<T>,
  ): Promise<T> {
    return onLockedVolume(this.#deps, caller, id, doing, work);
  }
}

const listReach = (caller: Caller, { allProjects }: ListOptions): Reach =>
  allProjects && isAdmin(caller) ? 'all' : { projectId: requireProject(caller, 'list volumes') };

/**
 * What a backup holds comes back: as a new volume, or into one that nobody has. That one keeps what it holds until its host has made a
 * layer of all that the backup holds, which becomes its top then (../volume/controller.ts); so a restore that fails costs nothing.
 */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { isOwed } from '../cache/index.ts';
import { insertLayer, type LayerSource } from '../layer/index.ts';
import { requireRoom } from '../pool/index.ts';
import {
  begin,
  changeVolume,
  createVolumeIn,
  emptyWish,
  gibBytes,
  type ListedVolume,
  lockVolume,
  reachOf,
  requireStatus,
  restoreDeadlineMs,
  type VolumeImages,
  type VolumeWish,
} from '../volume/index.ts';
import { encryptionWith } from '../volume-key/index.ts';
import { type ListedBackup, lockBackup, requireBackupStatus } from './store.ts';

export interface RestoreDependencies {
  database: Database;
  images: VolumeImages;
}

export interface Restored {
  volumeId: string;
  volumeName: string;
}

/** Into a volume that is there, or (null) a new one. @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
export function restoreBackup(
  deps: RestoreDependencies,
  caller: Caller,
  id: string,
  { volumeId, name }: { volumeId: string | null; name: string | null },
): Promise<Restored> {
  const projectId = requireProjectMember(caller, 'restore a backup');
  return deps.database.transaction(actorOf(caller), async (tx) => {
    // Whoever changes a volume holds its lock, and takes it before others'.
    if (volumeId !== null) await lockVolume(tx, reachOf(caller), volumeId);
    const backup = await lockBackup(tx, caller, id);
    requireBackupStatus(backup, ['available']);
    if (volumeId !== null) return intoVolume(tx, caller, backup, volumeId);
    const { name: former, description, metadata } = backup.volume;
    const volumeName = name ?? (former || `restore_backup_${backup.id}`);
    const wish = { ...emptyWish, name: volumeName, description, metadata, sizeGib: null };
    return { volumeId: await newVolume(tx, deps, caller, { backup, projectId, wish }), volumeName };
  });
}

/** A new volume as it is wished for, of what the backup holds. @returns its id */
export function createVolumeOfBackup(
  deps: RestoreDependencies,
  caller: Caller,
  id: string,
  wish: VolumeWish,
): Promise<string> {
  const projectId = requireProjectMember(caller, 'create a volume');
  return deps.database.transaction(actorOf(caller), async (tx) => {
    const backup = await lockBackup(tx, caller, id);
    requireBackupStatus(backup, ['available']);
    return newVolume(tx, deps, caller, { backup, projectId, wish });
  });
}

async function newVolume(
  tx: Tx,
  deps: RestoreDependencies,
  caller: Caller,
  { backup, projectId, wish }: { backup: ListedBackup; projectId: string; wish: VolumeWish },
): Promise<string> {
  const restored = {
    ...{ source: sourceOf(backup), sizeGib: backup.size_gib, bootable: backup.volume.bootable },
    ...{ imageMetadata: backup.volume.image_metadata, keyId: backup.key_id },
  };
  // Of what is encrypted another type than its own would be refused.
  const type = wish.type ?? (backup.key_id === null ? null : (backup.volume.type_id ?? null));
  const hostId = await hostThatIsThere(tx, backup.host_id);
  const { id } = await createVolumeIn(tx, deps, caller, { projectId, wish: { ...wish, type, hostId, restored } });
  return id;
}

/** Where its file lies. While that host is away any other may do: the directory is theirs, too, or the restore says what is missing. */
async function hostThatIsThere(tx: Tx, hostId: string | null): Promise<string | null> {
  const { rows } = await sql`select from host where id = ${hostId} and connected`.execute(tx);
  return rows.length > 0 ? hostId : null;
}

/** @throws CloudError `invalid` where it is smaller than the backup's, not as encrypted, or somebody has it; `conflict` while somebody waits for its cache */
async function intoVolume(tx: Tx, caller: Caller, backup: ListedBackup, volumeId: string): Promise<Restored> {
  const volume = await lockVolume(tx, reachOf(caller), volumeId);
  const { id, name, size_gib, host_id, pool_id } = volume;
  requireStatus(volume, 'restore', ['available']);
  await requireAsSealed(tx, volume, backup);
  if (await isOwed(tx, volume)) throw new CloudError('conflict', 'volume_cache_sinks', { id });
  if (size_gib < backup.size_gib)
    throw new CloudError('invalid', 'backup_volume_too_small', { size_gib, minimum_gib: backup.size_gib });
  if (host_id === null || pool_id === null) throw new Error('an available volume has no pool');
  const sizeBytes = size_gib * gibBytes;
  await requireRoom(tx, pool_id, sizeBytes);
  const layerId = await insertLayer(tx, {
    ...{ volumeId: id, pool: { id: pool_id, host_id }, sizeBytes, base: null, source: sourceOf(backup) },
    keyId: backup.key_id ?? volume.key_id,
    ...(volume.cache_pool_id !== null && { cache: { role: 'base', fullBytes: null } }),
  });
  const { bootable, metadata, image_metadata } = backup.volume;
  const into = { layer_id: layerId, bootable, metadata, image_metadata };
  const generation = await changeVolume(tx, id, { task: { kind: 'restore', backup_id: backup.id, into } });
  await begin(tx, actorOf(caller), volume, {
    ...{ verb: 'restore', generation, waitingFor: 'the host to restore the backup', limitMs: restoreDeadlineMs },
  });
  return { volumeId: id, volumeName: name };
}

/** What is in the clear may become encrypted, and what is encrypted stays so, with its own key. */
async function requireAsSealed(tx: Tx, { key_id, type_name }: ListedVolume, backup: ListedBackup): Promise<void> {
  if (backup.key_id === null) return;
  const [ofBackup, ofVolume] = [
    await encryptionWith(tx, backup.key_id),
    key_id === null ? undefined : await encryptionWith(tx, key_id),
  ];
  if (!isDeepStrictEqual(ofBackup, ofVolume))
    throw new CloudError('invalid', 'volume_encryption_differs', { type: type_name, of: 'backup' });
}

const sourceOf = ({ id, file_name: name, sha256, key_id }: ListedBackup): LayerSource => ({
  ...{ backup_id: id, name, sha256 },
  ...(key_id !== null && { encrypted: true }),
});

/**
 * Creation of volumes: the one transaction that decides. Type, source, image and quota are read together; then a pool is chosen and the
 * rows are written: the volume, its first layer, for a clone the layer that freezes what it is made of, the operation and the job.
 *
 * Where no pool takes it the volume is made all the same, as Cinder does, with the reason as its fault: it can be looked at and deleted.
 */
import { isDeepStrictEqual } from 'node:util';
import { CloudError } from '../../../contract/errors.ts';
import { type ImageId, type LayerId, newId, type VolumeId, type VolumeKeyId } from '../../../contract/ids.ts';
import { fileFormat } from '../../image/index.ts';
import { actorOf, type Caller, requireProjectMember } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { insertLayer, type LayerSource, type NewLayer } from '../layer/index.ts';
import { type PoolSearch, type PoolState, type PoolWish, placeOf, poolsFor, recordPoolChoice } from '../pool/index.ts';
import { insertReplica } from '../replica/index.ts';
import { encryptionWith, insertKey, type VolumeEncryption } from '../volume-key/index.ts';
import { cacheWords, holdTypeOf, iopsOfType, servedEncryption, type VolumeTypeRow } from '../volume-type/index.ts';
import { freezeTop } from './freeze.ts';
import { requireGroup } from './group.ts';
import { type PlaceWish, readHints, requireZone } from './hints.ts';
import { insertVolume } from './insert.ts';
import { requireMakeable } from './makeable.ts';
import { requireTypeQuota, requireVolumeQuota, typesAreLimited } from './quota.ts';
import { chooseBoth } from './replicated.ts';
import { requireSizeOfType, sizeFor } from './sizes.ts';
import { findSource, type SourceWish, type VolumeSource } from './source.ts';
import type { VolumeTask } from './tables.ts';
import { faultOf, gibBytes, type ImageFacts, imageMetadataOf, type ListedVolume, type VolumeRow } from './volume.ts';

/** What a volume needs to know of its image. */
export interface VolumeImage extends ImageFacts {
  virtual_size_bytes: number | null;
  sha256: string | null;
  key_id: string | null;
}

/** Part of ImageService (control/image). */
export interface VolumeImages {
  /** @throws CloudError when the image is hidden from the caller or not active */
  findForVolume(db: Queryable, caller: Caller, imageId: string): Promise<VolumeImage>;
}

export interface VolumeWish extends SourceWish, PlaceWish {
  name: string;
  description: string | null;
  /** Null: as large as what it is made of. */
  sizeGib: number | null;
  /** Id or name; null: its source's, or the project's default. */
  type: string | null;
  imageId: string | null;
  /** The group that it is in from the beginning. */
  groupId: string | null;
  metadata: Record<string, string>;
  /** The volume that it is made of is frozen in one moment with others that say the same (freeze.ts). Never a caller's own wish. */
  moment?: string | undefined;
  /** The host that it must be on: its server's. Never a caller's own wish. */
  hostId?: string | null;
  /** The backup that its content comes from. Never a caller's own wish either. */
  restored?: RestoredContent;
  /** The file of a pool that its content comes from. Never a caller's own wish either. */
  managed?: ManagedContent;
}

export interface ManagedContent {
  name: string;
  poolId: string;
  hostId: string;
  bootable: boolean;
}

export interface RestoredContent {
  source: LayerSource;
  sizeGib: number;
  bootable: boolean;
  imageMetadata: Record<string, string> | null;
  /** It is encrypted with it; null: it is in the clear. */
  keyId: string | null;
}

export const emptyWish: VolumeWish = {
  ...{ name: '', description: null, sizeGib: null, type: null, imageId: null, zone: null, groupId: null, metadata: {} },
  ...{ snapshotId: null, sourceVolumeId: null, sameHost: [], differentHost: [], localTo: null },
};

export interface CreateDependencies {
  database: Database;
  images: VolumeImages;
}

const createDeadlineMs = 10 * 60_000;
/** An image may have to come from another host first. */
export const createFromImageDeadlineMs = 60 * 60_000;
/** All of its bytes are copied. */
export const restoreDeadlineMs = 6 * 3600_000;

/** @throws CloudError `invalid`, `forbidden`, `not_found`, `quota_exceeded` */
export function createVolume(deps: CreateDependencies, caller: Caller, wish: VolumeWish): Promise<ListedVolume> {
  const projectId = requireProjectMember(caller, 'create a volume');
  const made = deps.database.transaction(actorOf(caller), async (tx) => {
    const { written } = await decide(tx, deps, caller, { projectId, wish });
    return withCommit(written);
  });
  return made.catch((error) => {
    // Somebody deleted the type since it was read.
    if (violatedConstraint(error) === 'volume_volume_type_id_fkey') throw notFound('volume_type', wish.type ?? '');
    throw error;
  });
}

export interface MadeVolume {
  id: VolumeId;
  sizeGib: number;
  /** Null where no pool takes it: `fault` says why. */
  hostId: string | null;
  layerId: LayerId | null;
  fault: string | null;
}

/** The same in a transaction of somebody else, who also makes the server that has it. */
export async function createVolumeIn(
  tx: Tx,
  deps: Pick<CreateDependencies, 'images'>,
  caller: Caller,
  asked: { projectId: string; wish: VolumeWish },
): Promise<MadeVolume> {
  const { made, written } = await decide(tx, deps, caller, asked);
  await written;
  return made;
}

/** What is made, and the last statements that make it, which refuse nothing. */
interface Decided {
  made: MadeVolume;
  written: Promise<ListedVolume>;
}

async function decide(
  tx: Tx,
  deps: Pick<CreateDependencies, 'images'>,
  caller: Caller,
  { projectId, wish }: { projectId: string; wish: VolumeWish },
): Promise<Decided> {
  requireOneSource(wish);
  const [source, image, asked, limited, hints] = await Promise.all([
    findSource(tx, caller, wish),
    wish.imageId === null ? null : deps.images.findForVolume(tx, caller, wish.imageId),
    holdTypeOf(tx, projectId, wish.type),
    typesAreLimited(tx),
    readHints(tx, projectId, wish),
  ]);
  const type = source && wish.type === null ? source.type : asked;
  const sizeGib = sizeFor(wish, source, image);
  requireSizeOfType(type, sizeGib);
  requireMakeable(type);
  const group =
    wish.groupId === null ? null : await requireGroup(tx, caller, { groupId: wish.groupId, typeId: type.id });
  // As Cinder: where its group is, whatever else is asked for.
  const placed = { ...wish, zone: group?.zone ?? wish.zone };
  requireZone(placed, hints, source);
  const search: PoolSearch = {
    hostId: source?.host_id ?? wish.hostId ?? wish.managed?.hostId ?? hints.same,
    poolId: wish.managed?.poolId ?? null,
    ...{ notOnHosts: hints.different, imageId: image?.id ?? null, cache: cacheWords(type.extra_specs) },
  };
  // From here on others wait, for the quota and for the pools: all that is read before the choice travels together.
  const [encryption, from, iops, madeOf, , , pools] = await Promise.all([
    encryptionFor(tx, type, { source, image, restored: wish.restored }),
    // Its top is frozen: what is built on is written to by nobody.
    source?.pool_id ? placeOf(tx, source.pool_id, false) : null,
    type.qos_specs_id === null ? 0 : iopsOfType(tx, type.id, sizeGib),
    image && imageBase(tx, image),
    requireVolumeQuota(tx, projectId, { volumes: 1, gigabytes: sizeGib, each: sizeGib }),
    limited ? requireTypeQuota(tx, projectId, type, { volumes: 1, gigabytes: sizeGib }) : undefined,
    poolsFor(tx, search),
  ]);
  const found = { search, from, iops, pools };
  return place(tx, { caller, projectId, wish: placed, source, image, madeOf, type, encryption, sizeGib, found });
}

interface Ingredients {
  caller: Caller;
  projectId: string;
  wish: VolumeWish;
  source: VolumeSource | null;
  image: VolumeImage | null;
  /** The image as its first layer has it. */
  madeOf: NewLayer['base'];
  type: VolumeTypeRow;
  /** With a key of its own; undefined: in the clear, or as its source. */
  encryption: VolumeEncryption | undefined;
  sizeGib: number;
  found: { search: PoolSearch; pools: PoolState[] } & Pick<PoolWish, 'from' | 'iops'>;
}

async function place(tx: Tx, all: Ingredients): Promise<Decided> {
  const { caller, projectId, wish, source, image, madeOf, type, encryption, sizeGib } = all;
  const id = newId<VolumeId>();
  const { search, pools, from, iops } = all.found;
  const cache = cacheWords(type.extra_specs);
  const sourceKey = (source ?? sealedBackup(wish))?.key_id ?? null;
  const poolWish: PoolWish = {
    ...{ sizeBytes: sizeGib * gibBytes, extraSpecs: type.extra_specs, availabilityZone: wish.zone, ...search },
    hostOf: source?.host_id || wish.managed ? 'source' : wish.hostId ? 'server' : 'hint',
    ...{ from, iops, encrypted: encryption !== undefined || sourceKey !== null },
  };
  const { found, replica } = await chooseBoth(tx, { wish: poolWish, pools, type });
  const { pool, cachePool } = found;
  // The file stays where it is.
  if (wish.managed && !pool) throw new CloudError('no_capacity', 'no_pool', { why: found.message, fix: found.fix });
  const fault = pool ? null : [found.message, found.fix].filter((text) => text !== '').join(': ');
  const layerId = pool ? newId<LayerId>() : null;
  const row = {
    ...{ id, project_id: projectId, user_id: caller.userId, name: wish.name, description: wish.description },
    ...{ size_gib: sizeGib, volume_type_id: type.id, availability_zone: wish.zone, metadata: wish.metadata },
    ...{ host_id: pool?.host_id ?? null, pool_id: pool?.id ?? null, layer_id: layerId },
    ...natureOf(all),
    ...{ cache_pool_id: cachePool?.id ?? null, cache_bytes: cachePool && cache ? cache.bytes : null },
    cache_policy: cachePool && cache ? cache.policy : null,
    ...{ source_volume_id: source?.kind === 'volume' ? source.id : null, source_image_id: image?.id ?? null },
    source_snapshot_id: source?.kind === 'snapshot' ? source.id : null,
    group_id: wish.groupId,
    fault: fault === null ? null : faultOf('no_capacity', fault, 1),
    desired_task: pool ? taskOf(wish) : null,
  };
  const keyId = pool && encryption ? await insertKey(tx, encryption) : sourceKey;
  const layers =
    pool && layerId
      ? insertFirstLayer(tx, {
          ...{ volumeId: id, layerId, pool, cached: cachePool !== null, sizeGib, source, image: madeOf, keyId, wish },
        })
      : undefined;
  // What it builds on may be gone: that is known before anything else is said.
  if (source) await layers;
  const deadlineMs =
    wish.restored || wish.managed ? restoreDeadlineMs : image ? createFromImageDeadlineMs : createDeadlineMs;
  const written = Promise.all([
    layers,
    insertVolume(tx, actorOf(caller), row, { deadlineMs }),
    recordPoolChoice(tx, { projectId, volumeId: id, wish: poolWish, found }),
    replica && insertReplica(tx, { volumeId: id, ...replica }),
  ]).then(([, volume]) => shown(volume, all, { pool, keyId: pool && keyId, replicated: replica !== undefined }));
  written.catch(() => {});
  return { made: { id, sizeGib, hostId: row.host_id, layerId, fault }, written };
}

/** What it is besides its content: as what it is made of was. */
function natureOf({ image, source, wish: { restored, managed } }: Ingredients) {
  if (managed) return { bootable: managed.bootable, image_metadata: null };
  if (restored) return { bootable: restored.bootable, image_metadata: restored.imageMetadata };
  const bootable = image !== null || (source?.bootable ?? false);
  return { bootable, image_metadata: image ? imageMetadataOf(image) : (source?.image_metadata ?? null) };
}

const taskOf = ({ restored }: VolumeWish): VolumeTask | null =>
  restored ? { kind: 'restore', backup_id: restored.source.backup_id, into: null } : null;

/** As a read of it would show it. */
const shown = (
  volume: VolumeRow,
  { type, sizeGib }: Ingredients,
  { pool, keyId, replicated }: { pool: PoolState | null; keyId: string | null; replicated: boolean },
): ListedVolume => ({
  ...{ ...volume, key_id: keyId },
  ...{ type_name: type.name, host_name: pool?.host_name ?? null, host_zone: pool?.availability_zone ?? null },
  ...{ pool_name: pool?.name ?? null, layer_bytes: pool ? sizeGib * gibBytes : 0 },
  ...{ attachment: null, replication_status: replicated ? 'enabling' : null },
});

async function insertFirstLayer(
  tx: Tx,
  layer: {
    volumeId: VolumeId;
    layerId: LayerId;
    pool: PoolState;
    cached: boolean;
    sizeGib: number;
    keyId: string | null;
    image: NewLayer['base'];
  } & Pick<Ingredients, 'source' | 'wish'>,
): Promise<void> {
  const { volumeId, layerId: id, pool, cached, sizeGib, source, image, keyId, wish } = layer;
  const parentId =
    source?.kind === 'volume' ? (await freezeTop(tx, source, { moment: wish.moment })).frozen : source?.layer_id;
  const base = parentId ? { parentId } : image;
  const cache = cached && { cache: { role: 'base', fullBytes: null } as const };
  const from = wish.restored?.source ?? (wish.managed && { managed: wish.managed.name });
  const content = from && { source: from };
  await insertLayer(tx, { id, volumeId, pool, sizeBytes: sizeGib * gibBytes, base, keyId, ...cache, ...content });
}

export async function imageBase(tx: Tx, image: VolumeImage): Promise<NonNullable<NewLayer['base']>> {
  const keyId = image.key_id as VolumeKeyId | null;
  const encryption = keyId === null ? undefined : await encryptionWith(tx, keyId);
  return {
    imageId: image.id as ImageId,
    image: {
      format: fileFormat({ ...image, disk_format: image.disk_format! }),
      ...{ size_bytes: image.size_bytes ?? 0, sha256: image.sha256 },
      ...(keyId !== null && encryption && { encryption: { keyId, ...encryption } }),
    },
  };
}

function requireOneSource(wish: VolumeWish): void {
  const backup = wish.restored?.source.backup_id ?? null;
  const named = { snapshot: wish.snapshotId, imageRef: wish.imageId, source_volume: wish.sourceVolumeId, backup };
  const sources = Object.entries(named).flatMap(([name, id]) => (id === null ? [] : [name]));
  if (sources.length > 1) throw new CloudError('invalid', 'volume_sources_exclusive', { sources });
}

/**
 * How the new volume is encrypted with a key of its own. What is made of an encrypted volume has the key of that; of an encrypted image it is a copy.
 * @throws CloudError `invalid` where no host does it so; where its source is encrypted in another way, as Cinder; where its image is, and it would not be
 */
async function encryptionFor(
  tx: Tx,
  type: VolumeTypeRow,
  of: Pick<Ingredients, 'source' | 'image'> & { restored: RestoredContent | undefined },
): Promise<VolumeEncryption | undefined> {
  const { source, image, restored } = of;
  const encryption = await servedEncryption(tx, type);
  if (!encryption && image) requireClear(image, type.name);
  const from = source ?? sealedBackup({ restored });
  if (!from) return encryption;
  const present = from.key_id === null ? undefined : await encryptionWith(tx, from.key_id);
  if (!isDeepStrictEqual(encryption, present)) {
    throw new CloudError('invalid', 'volume_encryption_differs', { type: type.name, of: from.kind });
  }
  return undefined;
}

/** Whose type is in the clear is made of no encrypted image: nobody would see that what was sealed is no more. @throws CloudError `invalid` */
export function requireClear({ key_id }: Pick<VolumeImage, 'key_id'>, type: string): void {
  if (key_id !== null) throw new CloudError('invalid', 'volume_encryption_differs', { type, of: 'image' });
}

/** Undefined where there is none, or one in the clear, of which a volume may be encrypted in any way. */
const sealedBackup = ({ restored }: Pick<VolumeWish, 'restored'>) =>
  restored && restored.keyId !== null ? { kind: 'backup' as const, key_id: restored.keyId } : undefined;

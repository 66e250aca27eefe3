/**
 * A layer: one file of a volume's content on a host. A volume is the top of a chain of them, and only a top is ever written; a snapshot
 * is a layer that nobody writes to any more. What a layer builds on is its document's word, never its file's.
 */
import type { Static } from 'typebox';
import type {
  BackupId,
  HostId,
  ImageId,
  LayerId,
  ProjectId,
  SnapshotId,
  UserId,
  VolumeId,
  VolumeKeyId,
} from '../ids.ts';
import { boolean, count, id, integer, list, literal, nullable, object, oneOf, optional, text } from '../schema/type.ts';
import { desiredExport, observedExport } from './export.ts';
import { desiredImage, hostUrl } from './image.ts';
import { hostLimits, layerLimits as limits, migrationLimits } from './limits.ts';
import { capturedImage } from './service.ts';

/** Lower-case hex. */
const sha256 = text(64, { pattern: '^[0-9a-f]{64}$' });

/** A pool of a host, by its own name for it. */
export const poolName = text(limits.poolNameLength, { pattern: '^[a-z0-9][a-z0-9-]*$' });

/** Of a file in the directory `manage` of a pool: neither an option nor a protocol to any program, and not hidden. */
export const managedName = text(limits.managedNameLength, { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' });

/** Formats that an image is made in of a volume. */
export const capturedFormats = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'] as const;

/** How a layer's file is encrypted: LUKS (version 1) within qcow2. The key itself is asked for (messages.ts), and kept nowhere. */
export const layerEncryption = object({
  keyId: id<VolumeKeyId>(),
  cipher: oneOf('aes-xts-plain64'),
  /** As Linux counts it: XTS takes half of it for each of two keys. */
  keySizeBits: oneOf(256, 512),
});
export type LayerEncryption = Static<typeof layerEncryption>;

/**
 * Whose the content is: of all that the database knows of it, what could not be made up where the database is lost. The host keeps it with the document, acts
 * on none of it, and gives it back (quarantine.ts).
 */
export const layerRecord = object({
  /** Of the volume whose top it is. */
  volume: optional(
    object({
      id: id<VolumeId>(),
      projectId: id<ProjectId>(),
      userId: id<UserId>(),
      name: text(limits.recordedNameLength),
      typeName: text(limits.recordedNameLength),
      bootable: boolean,
      cache: optional(
        object({
          pool: poolName,
          bytes: integer(1, Number.MAX_SAFE_INTEGER),
          policy: oneOf('write-back', 'write-through'),
        }),
      ),
    }),
  ),
  /** Those that are of it. */
  snapshots: optional(
    list(
      object({
        id: id<SnapshotId>(),
        volumeId: id<VolumeId>(),
        projectId: id<ProjectId>(),
        userId: id<UserId>(),
        name: text(limits.recordedNameLength),
      }),
      limits.recordedSnapshots,
      { distinct: 'id' },
    ),
  ),
});
export type LayerRecord = Static<typeof layerRecord>;

export const desiredLayer = object({
  id: id<LayerId>(),
  /** Of which volume it was made; for people. */
  volumeId: id<VolumeId>(),
  /** Ownership: a host writes a layer only under the epoch it was given. */
  epoch: count,
  generation: count,
  presence: oneOf('present', 'absent'),
  pool: poolName,
  /** As a guest sees it. Only grows. */
  sizeBytes: integer(1, Number.MAX_SAFE_INTEGER),
  /**
   * What it builds on, at most one of the two: a layer of this host, or an image. Null both: nothing, it is zeros where nobody has written.
   * Where its file builds on something else it is made to build on this one, its content kept.
   */
  parentId: nullable(id<LayerId>()),
  image: nullable(desiredImage),
  /** How the image is encrypted, which is a qcow2 then. Absent: it is in the clear. */
  imageEncryption: optional(layerEncryption),
  /**
   * What is written to it is encrypted; what it builds on is as that is. An image is copied into it before it is ready: it does not build on
   * one. Absent: it is in the clear.
   */
  encryption: optional(layerEncryption),
  /** Its content comes from there, once, before it is ready; beyond its end zeros. Absent: from what it builds on. */
  source: optional(
    nullable(
      object({
        backupId: id<BackupId>(),
        name: text(limits.backupNameLength),
        sha256: nullable(sha256),
        /** With the layer's own key. Absent: it is in the clear. */
        encrypted: optional(boolean),
      }),
    ),
  ),
  /**
   * Its content comes from a file that an administrator laid into the directory `manage` of its pool, once, before it is ready; beyond its
   * end zeros. The file goes when its content is here for good, and is back at its place where nothing comes of it. Absent: from elsewhere.
   */
  managed: optional(object({ name: managedName })),
  /**
   * Its file is a copy of one of another host, taken once, before it is ready: what that one holds above what it builds on there, and so this one above
   * what it builds on here, which is of the same kind and holds the same. So a chain comes layer by layer, from the lowest up, and what came in part is
   * thrown away. Encrypted content stays as it is, with its key. Absent: from elsewhere.
   */
  copyOf: optional(
    object({
      layerId: id<LayerId>(),
      /** The HTTPS service of the host that has it. */
      host: hostUrl,
      /** That host, by its certificate: nothing tells its bytes from another's. Absent (an older control): any host. */
      hostId: optional(id<HostId>()),
      /** For a replica of a volume: it waits for none but such. Absent: it is not, or an older control does not say. */
      replica: optional(boolean),
      /** Of a replica, as part of all that its volume holds, which may take hours: what was written lately does not wait for it. Absent: it does. */
      whole: optional(boolean),
    }),
  ),
  /** Hosts that may take a copy of its file ({@link hostPaths.layer}), which is read-only then and of no cache. Absent: none. */
  copiedBy: optional(list(id<HostId>(), limits.copies)),
  /**
   * It is of a volume with a cache, and its alone. `writes`: a generation of the cache, to which its guest writes, and what the guest reads
   * through it stays in it; `full` is said when its file takes so much. `base`: below generations, or the top of a volume that no guest has;
   * generations that are no more needed sink into it, so what it holds is not final, also where nobody else writes to it any more.
   * `reads`: the generation is in the volume's own pool, and what its guest reads from below it stays in files of that other pool, of so many bytes in
   * all, which are nobody's only copy. Absent: it stays in the generation itself.
   */
  cache: optional(
    nullable(
      object({
        role: oneOf('base', 'writes'),
        fullBytes: nullable(integer(1, Number.MAX_SAFE_INTEGER)),
        reads: optional(object({ pool: poolName, bytes: integer(1, Number.MAX_SAFE_INTEGER) })),
      }),
    ),
  ),
  /** Where its file builds on generations, these go down into what it shall build on, which is a `base`, and not up into it. */
  sinks: optional(boolean),
  /** Control wants to know soon when anything was first written to it. */
  watched: optional(boolean),
  /**
   * It is the second copy of a volume whose guest runs on another host: that guest's QEMU writes to it (NBD, TLS with this key, in hex, 256 bits), and each write is on the disk before it is
   * answered. Absent: nobody does.
   */
  receives: optional(object({ key: text(64, { pattern: '^[0-9a-f]{64}$' }) })),
  /** The top of a volume that a machine outside has, and nobody else. Absent: none has it. */
  export: optional(desiredExport),
  /**
   * It comes on its volume in the same moment as others that say the same come on theirs, as far as one guest has them: what they cover is of one moment.
   * Absent: in one of its own.
   */
  moment: optional(id<string>()),
  /** Nobody writes to it any more, and what it holds is final as soon as no guest has it open as the top of its volume. */
  readOnly: boolean,
  /** Images to be made of its content into this host's store; named until their outcome is known. */
  captures: optional(
    list(
      object({
        imageId: id<ImageId>(),
        format: oneOf(...capturedFormats),
        /** The image's own, of a qcow2. Absent: the image is in the clear, which one of an encrypted layer never is. */
        encryption: optional(layerEncryption),
      }),
      limits.captures,
      { distinct: 'imageId' },
    ),
  ),
  /** Files to be made of its content in the directory for backups, encrypted with its key if it has one; named until their outcome is known. */
  backups: optional(
    list(
      object({
        id: id<BackupId>(),
        /** Of the file. */
        name: text(limits.backupNameLength),
        /** The file holds only what differs from that of this backup, which is encrypted with the same key, or as this one in the clear. */
        parentName: nullable(text(limits.backupNameLength)),
        /** It goes into the directory `manage` of its pool, as a plain qcow2: it is for whoever takes it from there. */
        managed: optional(boolean),
      }),
      limits.backups,
      { distinct: 'id' },
    ),
  ),
  record: optional(layerRecord),
  /** Control's name for this content. */
  stamp: optional(text(limits.stampLength)),
});
export type DesiredLayer = Static<typeof desiredLayer>;

/** What a layer that shall not be must say: the rest of its document may be anything. */
export const deletedLayer = object({
  id: id<LayerId>(),
  epoch: count,
  generation: count,
  presence: literal('absent'),
});

/** The least that says "this shall not exist on your machine". */
export const absentLayer = ({
  id,
  epoch,
  generation,
}: Pick<DesiredLayer, 'id' | 'epoch' | 'generation'>): DesiredLayer => ({
  ...{ id, epoch, generation, presence: 'absent' },
  ...{ volumeId: '00000000-0000-0000-0000-000000000000' as VolumeId, pool: 'none', sizeBytes: 1 },
  ...{ parentId: null, image: null, readOnly: true },
});

const outcomeError = nullable(
  object({ code: text(hostLimits.errorCodeLength), message: text(hostLimits.errorMessageLength) }),
);

/**
 * What a volume's cache has done since its host began to count; `run` is another one when it began anew. A read is a guest's; a miss is one that
 * brought something into the cache, or may have.
 */
export const cacheUse = object({
  run: id<string>(),
  reads: count,
  misses: count,
  promotedBytes: count,
  /** How often most of what was read was not there and then was, and how long that took the last time. */
  warmings: count,
  lastWarmingMs: nullable(count),
  /** Of so many generations it is known what came into them: what was in the one before, in the one before that, …, and in none of those. */
  generations: count,
  againBytes: list(count, limits.cacheHistory),
  freshBytes: count,
});
export type CacheUse = Static<typeof cacheUse>;

export const observedLayer = object({
  id: id<LayerId>(),
  epoch: count,
  generation: count,
  /**
   * building: a step is under way; ready: the file is as its document says; absent: nothing of it is left; failed: the host gave up on
   * this generation, `error` says why.
   */
  state: oneOf('building', 'ready', 'absent', 'failed'),
  sizeBytes: count,
  /** What its file takes of the pool; of a copy for a replica that is not whole yet: what of it has come. */
  allocatedBytes: count,
  /** Of the generation that a guest writes to. Absent: nothing new. */
  use: optional(cacheUse),
  /** A generation of a cache takes as much as its document says that it may. Absent: it does not. */
  full: optional(boolean),
  /** Of one that is watched: whether anything was written to it since it was made. Absent: it is not known, or not asked. */
  written: optional(boolean),
  /** Where writes to a second copy are taken; another place is another beginning. Absent: nowhere. */
  receiver: optional(object({ address: text(migrationLimits.addressLength), port: integer(1, 65_535) })),
  /** What its document asks for, open. Absent: nothing is. */
  export: optional(observedExport),
  captures: optional(
    list(object({ imageId: id<ImageId>(), result: nullable(capturedImage), error: outcomeError }), limits.captures),
  ),
  backups: optional(
    list(
      object({
        id: id<BackupId>(),
        result: nullable(object({ sizeBytes: count, sha256 })),
        error: outcomeError,
      }),
      limits.backups,
    ),
  ),
  /** What the host is doing or waiting for, for people. */
  step: nullable(text(hostLimits.stepLength)),
  error: outcomeError,
});
export type ObservedLayer = Static<typeof observedLayer>;

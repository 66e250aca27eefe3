/**
 * Bytes of objects on a host's disks; control's alone, but for one blob that control lets another host fetch. A blob is written once, under an
 * intent of control's, and never changed. Small ones are records in packs, large ones files; both are checked by what lies beside them
 * (protocols/blobs), and what does not pass is never sent.
 */
import type { Static } from 'typebox';
import type { BlobId, HostId, ObjectIntentId } from '../ids.ts';
import { count, id, integer, list, nullable, object, oneOf, optional, text } from '../schema/type.ts';
import { hostUrl } from './image.ts';
import { hostLimits, objectLimits as limits } from './limits.ts';

export const objectDiskName = text(limits.diskNameLength, { pattern: '^[a-z0-9][a-z0-9-]*$' });

/** As a pack or a blob's file is named in the directory of its intent. No other name is ever opened. */
export const blobFilePattern = '^([0-9a-z]{1,32}\\.pack|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$';
const blobFile = text(limits.fileNameLength, { pattern: blobFilePattern });

/** Where on a disk a file of an intent lies: for the host, and for control where it may read the disk itself. */
export const objectFilePath = (disk: string, intent: ObjectIntentId, file: string): string =>
  `${disk}/${objectIntentsDirectory}/${intent}/${file}`;
export const objectIntentsDirectory = 'intents';

/** What a host can compute while a blob streams in. As lower-case hex; of a CRC its bytes with the highest first, as S3 encodes them. */
export const blobDigestNames = ['md5', 'sha1', 'sha256', 'crc32', 'crc32c', 'crc64nvme'] as const;
export type BlobDigestName = (typeof blobDigestNames)[number];

/**
 * A query names the disk as `disk` and the intent as `intent`. What is wrong is said by code: `invalid` (400) a request that is none, `not_found`
 * (404) a disk or a blob that is not there, `corrupt` (409) bytes that are not those that were written, `conflict` (409) a blob that is there
 * already, `too_large` (413), `no_capacity` (507) a full disk, `unavailable` (503) a disk that is read-only, gone or not this host's.
 */
export const objectPaths = {
  /** GET: {@link ObjectDisks}. */
  disks: '/v1/objects/disks',
  /**
   * POST ?disk&intent: blobs back to back, each as 16 bytes of its id, 4 bytes of its length (the highest first) and its bytes; at most
   * {@link objectLimits.packedBytes} of one and {@link objectLimits.batchBytes} of all. {@link WrittenBlobs} in their order once all are durable;
   * where it is refused none is ever acknowledged.
   */
  blobs: '/v1/objects/blobs',
  /**
   * PUT ?disk&intent&maxBytes&digests=md5,crc32: streams one in, with a Content-Length where its size is known: {@link StoredBlob} once it is
   * durable; of what is cut off or refused nothing stays. GET ?disk&intent&file&offset&length (Range allowed) streams it out, verified; a stream
   * that meets bytes that don't pass is cut. DELETE ?disk&intent: the file of a large one; idempotent.
   */
  blob: (blob: BlobId) => `/v1/objects/blobs/${blob}`,
  /** DELETE ?disk&intent&file: a whole pack; idempotent. */
  packs: '/v1/objects/packs',
  /** GET ?disk: {@link IntentFiles}; empty where there is no such directory. DELETE ?disk: its directory, `conflict` where it is not empty; idempotent. */
  intent: (intent: ObjectIntentId) => `/v1/objects/intents/${intent}`,
  /**
   * POST {@link CopyBlobs}: {@link CopiedBlobs} in their order, all durable. From the same disk (compaction), another one of this host, or another
   * host that was told by `grants`.
   */
  copies: '/v1/objects/copies',
  /** POST {@link GrantBlobs}: another host may GET these for a while. Forgotten when the host's process ends. */
  grants: '/v1/objects/grants',
  /** GET ?disk: {@link BlobFaults}, what reads and the scrub found. DELETE ?disk&intent&file: these were seen to. */
  faults: '/v1/objects/faults',
} as const;

/** Of a disk, between two hellos and in a hello. */
export const objectDiskLevel = object({
  name: objectDiskName,
  path: text(4096, { pattern: '^/' }),
  totalBytes: count,
  freeBytes: count,
  /** Why nothing may be written there; null: it is well. */
  problem: nullable(text(hostLimits.reasonLength)),
  /** Files that {@link BlobFaults} names. */
  faults: optional(count),
});
export const objectDiskLevels = list(objectDiskLevel, limits.disks, { distinct: 'name' });
export type ObjectDiskLevel = Static<typeof objectDiskLevel>;

export const objectDisks = object({ disks: objectDiskLevels });
export type ObjectDisks = Static<typeof objectDisks>;

/** Of a record the pack and where its header begins in it; of a file its name and 0. */
export const blobPlace = object({ file: blobFile, offset: count });
export type BlobPlace = Static<typeof blobPlace>;

export const writtenBlobs = object({ places: list(blobPlace, limits.batchBlobs) });
export type WrittenBlobs = Static<typeof writtenBlobs>;

const digest = optional(text(64, { pattern: '^[0-9a-f]+$' }));
export const storedBlob = object({
  file: blobFile,
  sizeBytes: count,
  /** Those that were asked for. */
  digests: object({ md5: digest, sha1: digest, sha256: digest, crc32: digest, crc32c: digest, crc64nvme: digest }),
});
export type StoredBlob = Static<typeof storedBlob>;

export const intentFiles = object({
  files: list(object({ name: blobFile, sizeBytes: count }), limits.intentFiles),
});
export type IntentFiles = Static<typeof intentFiles>;

/** A blob and where it lies on a disk. */
export const storedPlace = object({
  blob: id<BlobId>(),
  intent: id<ObjectIntentId>(),
  file: blobFile,
  offset: count,
  length: integer(0, limits.blobBytes),
});
export type StoredPlace = Static<typeof storedPlace>;

/** Under the copying intent each blob keeps its id. */
export const copyBlobs = object({
  disk: objectDiskName,
  intent: id<ObjectIntentId>(),
  from: object({
    disk: objectDiskName,
    /** Absent: this host's own. */
    host: optional(object({ id: id<HostId>(), url: hostUrl })),
  }),
  blobs: list(storedPlace, limits.copiedBlobs),
});
export type CopyBlobs = Static<typeof copyBlobs>;

/** Of each its new place, or why there is none. */
export const copiedBlobs = object({
  copies: list(
    object({
      place: nullable(blobPlace),
      problem: nullable(object({ code: oneOf('corrupt', 'not_found'), message: text(hostLimits.reasonLength) })),
    }),
    limits.copiedBlobs,
  ),
});
export type CopiedBlobs = Static<typeof copiedBlobs>;

export const grantBlobs = object({
  disk: objectDiskName,
  to: id<HostId>(),
  /** At most an hour. */
  forMs: integer(1, 3_600_000),
  blobs: list(storedPlace, limits.copiedBlobs),
});
export type GrantBlobs = Static<typeof grantBlobs>;

/**
 * Bytes on a disk that are not what was written. Whether they are anybody's, rows say: what a crash left behind a pack's last record is found
 * too. Of a file that is gone (`missing`) only reads tell.
 */
export const blobFaults = object({
  /** Since when the scrub has been through the whole disk, and how far it is now. Null: not yet. */
  scrubbedAt: nullable(count),
  faults: list(
    object({
      intent: id<ObjectIntentId>(),
      file: blobFile,
      kind: oneOf('corrupt', 'missing'),
      /** From here on, so many bytes of the file; whatever record begins there is touched. */
      offset: count,
      length: count,
    }),
    limits.faults,
  ),
});
export type BlobFaults = Static<typeof blobFaults>;

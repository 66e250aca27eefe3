/** What an object is, who asks for one and how: the words that the services of this area share. Types and pure functions. */
import type { Readable } from 'node:stream';
import type { Bytes } from '../../protocols/bytes/index.ts';
import type { Caller } from '../kit/caller.ts';

/** What may be done in a container: read an object, list, write (also delete), and what its owner may: change the container itself. */
export type Right = 'read' | 'list' | 'write' | 'own';

/** A caller with what the request said beside. */
export interface Visit {
  caller: Caller | null;
  /** The request's `Referer`, for containers that are read from some places. */
  referrer?: string | undefined;
  /** Rights that a signature gave, which the dialect has checked (temporary URLs, signed forms). Good for the request's container. */
  granted?: readonly Right[] | undefined;
  /** The only place that they are good for: a symlink must not lead them elsewhere. Absent: the cloud itself asks. */
  grantedIn?: { projectId: string } | { containerId: string } | undefined;
}

/** Null: nobody has logged in. */
export type Visitor = Caller | Visit | null;

export const visitOf = (visitor: Visitor): Visit =>
  visitor === null ? { caller: null } : 'caller' in visitor ? visitor : { caller: visitor };

export interface Where {
  projectId: string;
  container: string;
}

/** Kept and told as they came. */
export interface ObjectHeaders {
  contentEncoding?: string;
  contentDisposition?: string;
  cacheControl?: string;
  contentLanguage?: string;
  expires?: string;
  /** Others that a dialect keeps, by their names in lower case. */
  [name: string]: string | undefined;
}

export const checksumAlgorithms = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];
/** In base64. `type` says what of: the whole object, or its parts' checksums. */
export type Checksums = Partial<Record<ChecksumAlgorithm, string>> & { type?: 'FULL_OBJECT' | 'COMPOSITE' };

/** To compute and keep; with a value, in base64, also to verify. A function is asked after the last byte. */
export interface ChecksumWish {
  algorithm: ChecksumAlgorithm;
  value?: string | (() => string | undefined);
}

/** Against deletion: until a time, or until somebody ends it. */
export interface ObjectLock {
  mode?: 'GOVERNANCE' | 'COMPLIANCE';
  /** ISO 8601. */
  retainUntil?: string;
  legalHold?: boolean;
}

/** A piece of a static large object; of another object, or bytes of the manifest itself. */
export interface Segment {
  /** Of the same account. */
  container?: string;
  name?: string;
  /** Inline, in base64. */
  data?: string;
  /** Of the piece, after its range is taken. */
  sizeBytes: number;
  etag?: string;
  /** Inclusive, of the object's own bytes. */
  range?: { first: number; last: number };
  /** The object is a static large object itself. */
  isManifest?: boolean;
  contentType?: string;
  /** ISO 8601. */
  modifiedAt?: string;
}

export type Manifest =
  /** `count`: how many segments there are, in lists, which do not tell them. */
  | { kind: 'slo'; segments: Segment[]; count?: number; sizeBytes: number; etag: string }
  | { kind: 'dlo'; container: string; prefix: string }
  | { kind: 'symlink'; projectId?: string; container: string; name: string; etag?: string; sizeBytes?: number };

export interface Conditions {
  /** One of these entity tags (without quotes), or any at all: `*`. */
  ifMatch?: string | readonly string[];
  ifNoneMatch?: string | readonly string[];
  ifModifiedSince?: Date;
  ifUnmodifiedSince?: Date;
}

export interface ObjectWish extends Conditions {
  contentType: string;
  metadata?: Record<string, string>;
  headers?: ObjectHeaders;
  expiresAt?: Date | undefined;
  manifest?: Manifest | undefined;
  /** To verify, in hex: of the body, which is the entity tag. */
  md5?: string | undefined;
  checksums?: readonly ChecksumWish[];
  tags?: Record<string, string>;
  lock?: ObjectLock;
  /** Instead of the body's MD5. */
  etag?: string;
}

/** Of a wish what an upload keeps until it is complete. */
export type StoredWish = Pick<ObjectWish, 'contentType' | 'metadata' | 'headers' | 'tags' | 'lock'> & {
  expiresAt?: string;
  checksumAlgorithm?: ChecksumAlgorithm;
  checksumType?: 'FULL_OBJECT' | 'COMPOSITE';
};

/** What dialects keep with a container, each under its own name; JSON. */
export type ContainerSettings = Record<string, unknown>;

export interface ObjectSource {
  bytes: Readable;
  /** Where it is known; a body of another length is cut off. */
  sizeBytes?: number | undefined;
}

/** A version as dialects see it. */
export interface ObjectInfo {
  containerId: string;
  name: string;
  /** Within its name; `null` for what was made while nobody wanted versions. */
  versionId: string;
  current: boolean;
  deleteMarker: boolean;
  /** Of a manifest the size of what is stored by its name, mostly 0. */
  sizeBytes: number;
  etag: string;
  contentType: string;
  metadata: Record<string, string>;
  headers: ObjectHeaders;
  checksums: Checksums;
  tags: Record<string, string>;
  lock: ObjectLock | null;
  manifest: Manifest | null;
  /** How many parts it was made of; 0: none. */
  parts: number;
  ownerId: string;
  expiresAt: Date | null;
  createdAt: Date;
  /** Also when its metadata changed last. */
  updatedAt: Date;
}

export interface ObjectRange {
  /** Both inclusive. */
  first: number;
  last: number;
}

/** `buffer`: the whole of them, where they are at hand. */
export interface ObjectBytes extends Bytes {
  readonly buffer?: Buffer;
}

export interface OpenOptions {
  versionId?: string | undefined;
  /** Of one that was made of parts: that one's bytes alone. */
  part?: number | undefined;
  /** A manifest or a symlink as it is, not what it leads to. */
  raw?: boolean;
  /** Of what is read. */
  conditions?: Conditions;
}

/** An object, and what its manifest leads to where it has one. */
export interface LedObject {
  /** What a symlink leads to, where it was followed. */
  object: ObjectInfo;
  /** Of what is read. */
  sizeBytes: number;
  etag: string;
  /** Where that is, if a symlink led there. */
  resolved?: { projectId: string; container: string; name: string };
}

export interface OpenedObject extends LedObject {
  /** Bytes of the whole, over all parts and segments. They have to be sent, or destroyed. */
  read(range?: ObjectRange): Promise<ObjectBytes>;
  /** Where a part was asked for: which of the whole's bytes it is. Without another range those are read. */
  part?: ObjectRange;
}

export interface ContainerInfo {
  id: string;
  projectId: string;
  name: string;
  bucketName: string | null;
  metadata: Record<string, string>;
  readAcl: string;
  writeAcl: string;
  versioning: 'none' | 'enabled' | 'suspended';
  quotaBytes: number | null;
  quotaObjects: number | null;
  settings: ContainerSettings;
  objects: number;
  bytes: number;
  pastObjects: number;
  pastBytes: number;
  createdAt: Date;
  updatedAt: Date;
}

export type ListedContainer = Pick<ContainerInfo, 'name' | 'objects' | 'bytes' | 'createdAt'>;

/** Absent: as it is. In `metadata` and `settings` a null takes the key away. */
export interface ContainerChange {
  metadata?: Record<string, string | null>;
  readAcl?: string;
  writeAcl?: string;
  versioning?: 'none' | 'enabled' | 'suspended';
  quotaBytes?: number | null;
  quotaObjects?: number | null;
  settings?: Record<string, unknown>;
}

export interface AccountInfo {
  projectId: string;
  metadata: Record<string, string>;
  quotaBytes: number | null;
  containers: number;
  objects: number;
  bytes: number;
  createdAt: Date | null;
}

export interface ListWish {
  prefix?: string | undefined;
  delimiter?: string | undefined;
  /** What comes after it, in the order of the list. */
  marker?: string | undefined;
  /** Up to it, without it. */
  endMarker?: string | undefined;
  reverse?: boolean | undefined;
  limit?: number | undefined;
}

/** Entries of a listing, in UTF-8's order of bytes. Objects come without metadata, headers, tags, lock and segments. */
export interface Listed<Entry> {
  entries: (Entry | { prefix: string })[];
  more: boolean;
}

/** That is not complete. */
export interface UploadInfo {
  uploadId: string;
  name: string;
  wish: StoredWish;
  initiatorId: string;
  createdAt: Date;
}

/** In how many parts and which: see ObjectInfo. */
export interface PartInfo {
  number: number;
  sizeBytes: number;
  etag: string;
  checksums: Checksums;
  createdAt?: Date;
}

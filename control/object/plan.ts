/**
 * What a batch of changes does to rows: decided one after the other over what the transaction holds, so that each sees what those before it did. Pure.
 */
import { CloudError } from '../../contract/errors.ts';
import { denied, type Guarded, mayAccess } from './access.ts';
import type { WrittenBlob } from './blobs.ts';
import { failedWrite } from './conditions.ts';
import type { Checksums, Conditions, Manifest, ObjectHeaders, ObjectLock, Visitor } from './object.ts';
import type { Versioning } from './tables.ts';

/** A version that is going to be. */
export interface NewObject {
  id: string;
  sizeBytes: number;
  etag: string;
  contentType: string;
  metadata: Record<string, string> | null;
  headers: ObjectHeaders | null;
  checksums: Checksums | null;
  tags: Record<string, string> | null;
  lock: ObjectLock | null;
  manifest: Manifest | null;
  ownerId: string;
  expiresAt: Date | null;
}

/** A part of a new version; its blob is in rows already. */
export interface NewPart {
  number: number;
  blobId: string | null;
  sizeBytes: number;
  etag: string;
  checksums: Checksums | null;
}

interface Changing {
  visitor: Visitor;
  containerId: string;
  projectId: string;
  /** For who is told that it is gone. */
  container: string;
  name: string;
  conditions: Conditions;
}

export interface PutChange extends Changing {
  kind: 'put';
  object: NewObject;
  /** Null: no bytes, or `parts`. */
  blob: WrittenBlob | null;
  parts?: readonly NewPart[];
  /** What becomes the object, with all that its parts took until now. */
  upload?: { id: string; bytes: number };
}

export interface DeleteChange extends Changing {
  kind: 'delete';
  /** For a delete marker. */
  markerId: string;
  /** For whose time is over; nothing else is to be deleted. */
  onlyExpired?: boolean;
}

/** Absent: as it is. */
export interface UpdateChange extends Changing {
  kind: 'update';
  set: {
    contentType?: string;
    metadata?: Record<string, string>;
    headers?: ObjectHeaders;
    tags?: Record<string, string> | null;
    lock?: ObjectLock | null;
    manifest?: Manifest | null;
    expiresAt?: Date | null;
  };
}

export type Change = PutChange | DeleteChange | UpdateChange;

export interface HeldContainer extends Guarded {
  id: string;
  versioning: Versioning;
  quotaBytes: number | null;
  quotaObjects: number | null;
  objects: number;
  bytes: number;
  pastObjects: number;
  pastBytes: number;
  uploadBytes: number;
}

export interface HeldAccount {
  projectId: string;
  quotaBytes: number | null;
  objects: number;
  bytes: number;
  /** The cloud's quota of the project. */
  maxObjects: number | null;
  maxBytes: number | null;
}

export interface HeldVersion {
  sequence: number;
  id: string;
  current: boolean;
  nullVersion: boolean;
  deleteMarker: boolean;
  sizeBytes: number;
  etag: string;
  blobId: string | null;
  parts: number;
  lock: ObjectLock | null;
  expired: boolean;
  updatedAt: Date;
}

export interface Held {
  now: Date;
  accounts: ReadonlyMap<string, HeldAccount>;
  containers: ReadonlyMap<string, HeldContainer>;
  /** By {@link keyOf}. */
  current: ReadonlyMap<string, HeldVersion>;
  /** Null versions that are not current; only of containers that keep versions. */
  pastNull: ReadonlyMap<string, HeldVersion>;
  /** Intents that are open, and held so. */
  intents: ReadonlySet<string>;
}

export const keyOf = ({ containerId, name }: { containerId: string; name: string }): string => `${containerId}/${name}`;

type VersionKey = { containerId: string; name: string; sequence: number };

export interface Insert extends Changing {
  object: NewObject;
  current: boolean;
  nullVersion: boolean;
  deleteMarker: boolean;
  blobId: string | null;
  parts: number;
}

/** What is written in the end. */
export class Plan {
  readonly held: Held;
  readonly remove: VersionKey[] = [];
  readonly demote: VersionKey[] = [];
  /** Past versions that are the newest again. */
  readonly promote: VersionKey[] = [];
  readonly insert: Insert[] = [];
  readonly update: (VersionKey & UpdateChange['set'])[] = [];
  readonly blobs: WrittenBlob[] = [];
  /** Of parts that are replaced or given up. What rows name that go (`remove`) goes with them. */
  readonly removeBlobs: string[] = [];
  /** Objects whose parts go along. */
  readonly removeParts: string[] = [];
  readonly parts: { objectId: string; parts: readonly NewPart[] }[] = [];
  readonly uploads: string[] = [];

  constructor(held: Held) {
    this.held = held;
  }
}

export type Decided =
  | { kind: 'done'; id: string; before: HeldVersion | undefined; deleteMarker: boolean; nullVersion: boolean }
  | { kind: 'refused'; error: CloudError };

const refused = (error: CloudError): Decided => ({ kind: 'refused', error });

export function decide(plan: Plan, change: Change): Decided {
  const { held } = plan;
  const container = held.containers.get(change.containerId);
  const account = held.accounts.get(change.projectId);
  if (!container || !account) {
    return refused(new CloudError('not_found', 'container_not_found', { container: change.container }));
  }
  if (!mayAccess(change.visitor, container, 'write')) return refused(denied(change.visitor, 'write'));
  const before = held.current.get(keyOf(change));
  const validators = before && !before.expired ? before : undefined;
  const failed = failedWrite(change.conditions, validators);
  if (failed && !(change.kind === 'put' && before?.id === change.object.id)) return refused(failed);
  switch (change.kind) {
    case 'put':
      return put(plan, change, { container, account, before });
    case 'delete':
      return remove(plan, change, { container, account, before });
    case 'update': {
      if (!before || before.expired) return refused(notThere(change));
      plan.update.push({ ...change, sequence: before.sequence, ...change.set });
      return done(before.id, before, { deleteMarker: false, nullVersion: before.nullVersion });
    }
  }
}

interface Around {
  container: HeldContainer;
  account: HeldAccount;
  before: HeldVersion | undefined;
}

const done = (
  id: string,
  before: HeldVersion | undefined,
  { deleteMarker, nullVersion }: { deleteMarker: boolean; nullVersion: boolean },
): Decided => ({ kind: 'done', id, before, deleteMarker, nullVersion });

export const notThere = ({ container, name }: { container: string; name: string }): CloudError =>
  new CloudError('not_found', 'object_not_found', { container, name });

function put(plan: Plan, change: PutChange, around: Around): Decided {
  const { object, blob } = change;
  const { container, account, before } = around;
  // It was done before, and the answer lost.
  if (before?.id === object.id)
    return done(object.id, undefined, { deleteMarker: false, nullVersion: before.nullVersion });
  if (blob?.copies.some(({ intentId }) => !plan.held.intents.has(intentId))) {
    return refused(new CloudError('unavailable', 'object_intent_closed', {}));
  }
  const { leave, removed } = leaving(plan, change, around);
  const locked = removed.find((version) => isLocked(version, plan.held.now));
  if (locked) return refused(new CloudError('conflict', 'object_locked', { name: change.name }));
  const more =
    object.sizeBytes - removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - (change.upload?.bytes ?? 0);
  const refusal = overQuota({ container, account }, { bytes: more, objects: before ? 0 : 1 });
  if (refusal) return refused(refusal);
  leave();
  const nullVersion = container.versioning !== 'enabled';
  const parts = change.parts ?? [];
  plan.insert.push({
    ...change,
    ...{ current: true, nullVersion, deleteMarker: false, blobId: blob?.id ?? null, parts: parts.length },
  });
  if (blob) plan.blobs.push(blob);
  if (parts.length > 0) plan.parts.push({ objectId: object.id, parts });
  if (change.upload) {
    plan.uploads.push(change.upload.id);
    container.uploadBytes -= change.upload.bytes;
    account.bytes -= change.upload.bytes;
  }
  container.objects++;
  account.objects++;
  container.bytes += object.sizeBytes;
  account.bytes += object.sizeBytes;
  return done(object.id, before, { deleteMarker: false, nullVersion });
}

function remove(plan: Plan, change: DeleteChange, around: Around): Decided {
  const { container, before } = around;
  if (!before && container.versioning === 'none') return refused(notThere(change));
  if (change.onlyExpired && !before?.expired) return refused(notThere(change));
  const { leave, removed } = leaving(plan, change, around);
  if (removed.some((version) => isLocked(version, plan.held.now))) {
    return refused(new CloudError('conflict', 'object_locked', { name: change.name }));
  }
  if (before?.expired && container.versioning === 'none') {
    leave();
    return refused(notThere(change));
  }
  leave();
  if (container.versioning === 'none') return done(before!.id, before, { deleteMarker: false, nullVersion: true });
  const nullVersion = container.versioning === 'suspended';
  plan.insert.push({
    ...change,
    object: markerOf(change.markerId),
    ...{ current: false, nullVersion, deleteMarker: true, blobId: null, parts: 0 },
  });
  container.pastObjects++;
  return done(change.markerId, before, { deleteMarker: true, nullVersion });
}

const markerOf = (id: string): NewObject => ({
  ...{ id, sizeBytes: 0, etag: '', contentType: '', ownerId: '', expiresAt: null },
  ...{ metadata: null, headers: null, checksums: null, tags: null, lock: null, manifest: null },
});

/** What makes room for another newest version: the rows that go, and the one that stays as a past version. */
function leaving(plan: Plan, change: Change, { container, account, before }: Around) {
  const keeps = container.versioning;
  const stays = before && (keeps === 'enabled' || (keeps === 'suspended' && !before.nullVersion)) ? before : undefined;
  const pastNull = keeps === 'suspended' ? plan.held.pastNull.get(keyOf(change)) : undefined;
  const removed = [...(before && !stays ? [before] : []), ...(pastNull ? [pastNull] : [])];
  const leave = () => {
    for (const version of removed) removeVersion(plan, { container, account }, change, version);
    if (!stays) return;
    plan.demote.push({ containerId: change.containerId, name: change.name, sequence: stays.sequence });
    container.objects--;
    account.objects--;
    container.bytes -= stays.sizeBytes;
    container.pastObjects++;
    container.pastBytes += stays.sizeBytes;
  };
  return { leave, removed };
}

/** The version goes, and what it names with it. */
export function removeVersion(
  plan: Plan,
  { container, account }: Pick<Around, 'container' | 'account'>,
  { containerId, name }: { containerId: string; name: string },
  version: HeldVersion,
): void {
  plan.remove.push({ containerId, name, sequence: version.sequence });
  if (version.parts > 0) plan.removeParts.push(version.id);
  account.bytes -= version.sizeBytes;
  if (version.current) {
    container.objects--;
    account.objects--;
    container.bytes -= version.sizeBytes;
  } else {
    container.pastObjects--;
    container.pastBytes -= version.sizeBytes;
  }
}

export const isLocked = ({ lock }: Pick<HeldVersion, 'lock'>, now: Date): boolean =>
  lock !== null &&
  (lock.legalHold === true || (lock.retainUntil !== undefined && new Date(lock.retainUntil).getTime() > now.getTime()));

/** Less than before is never refused. */
export function overQuota(
  { container, account }: { container: HeldContainer; account: HeldAccount },
  more: { bytes: number; objects: number },
): CloudError | undefined {
  const held = container.bytes + container.pastBytes + container.uploadBytes;
  const over = (limit: number | null, used: number, wanted: number) =>
    limit !== null && limit >= 0 && wanted > 0 && used + wanted > limit;
  if (over(container.quotaBytes, held, more.bytes) || over(container.quotaObjects, container.objects, more.objects)) {
    return new CloudError('quota_exceeded', 'object_quota_exceeded', { of: 'container' });
  }
  if (over(account.quotaBytes, account.bytes, more.bytes)) {
    return new CloudError('quota_exceeded', 'object_quota_exceeded', { of: 'account' });
  }
  for (const [resource, limit, used, wanted] of [
    ['object_bytes', account.maxBytes, account.bytes, more.bytes],
    ['objects', account.maxObjects, account.objects, more.objects],
  ] as const) {
    if (over(limit, used, wanted)) {
      return new CloudError('quota_exceeded', 'quota_exceeded', { resource, limit: limit!, used, wanted });
    }
  }
  return undefined;
}

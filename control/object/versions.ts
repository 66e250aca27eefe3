/**
 * Versions by their names: removed for good, changed, listed. Not in batches, but under the same locks in the same order as those (commit.ts).
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { Database, Queryable, Tx } from '../kit/database/database.ts';
import { cloudActor } from '../kit/database/database.ts';
import { denied, type Guarded, mayAccess } from './access.ts';
import { hold, type NamedVersion, sequenceOf, versionColumns, versionName } from './commit.ts';
import { failedWrite } from './conditions.ts';
import { type InfoRow, infoOf, listedColumns } from './find.ts';
import { commonPrefix, successor } from './names.ts';
import type { Conditions, Listed, ListWish, ObjectInfo, ObjectLock, Visitor } from './object.ts';
import { type HeldVersion, isLocked, Plan, removeVersion, type UpdateChange } from './plan.ts';
import { run } from './statements.ts';
import { write } from './write.ts';

/** Which version of what. */
export interface VersionWish {
  visitor: Visitor;
  projectId: string;
  containerId: string;
  container: string;
  name: string;
  versionId: string;
  conditions: Conditions;
  /** Of retention that those with the right may pass over. */
  bypassGovernance: boolean;
}

const versionText = `select ${versionColumns} from object o where o.container_id = $1 and o.name = $2
  and (o.sequence = $3 or ($3 is null and o.null_version))`;
const newestOtherText = `select ${versionColumns} from object o where o.container_id = $1 and o.name = $2 and o.sequence <> $3
  order by o.sequence desc limit 1`;

const noVersion = ({ name, versionId: version }: Pick<VersionWish, 'name' | 'versionId'>): CloudError =>
  new CloudError('not_found', 'object_version_not_found', { name, version });

/** @throws CloudError `not_found`, `conflict` (locked, a condition), `forbidden` */
export function deleteVersion(
  database: Database,
  wish: VersionWish,
): Promise<{ versionId: string; deleteMarker: boolean }> {
  return database.transaction(cloudActor, async (tx) => {
    const { plan, version, container, account } = await holdVersion(tx, wish);
    if (isHeld(version, plan.held.now, mayBypass(wish, container))) {
      throw new CloudError('conflict', 'object_locked', { name: wish.name });
    }
    const [other] = await run<NamedVersion>(tx, newestOtherText, [wish.containerId, wish.name, version.sequence]);
    removeVersion(plan, { container, account }, wish, version);
    if (other && other.sequence < version.sequence && !other.deleteMarker && !other.current) {
      plan.promote.push({ containerId: wish.containerId, name: wish.name, sequence: other.sequence });
      container.pastObjects--;
      container.pastBytes -= other.sizeBytes;
      container.objects++;
      account.objects++;
      container.bytes += other.sizeBytes;
    }
    await write(tx, plan);
    return { versionId: nameOf(version), deleteMarker: version.deleteMarker };
  });
}

/** Tags and locks; the rest of a version stays for ever. @throws CloudError as {@link deleteVersion} */
export function updateVersion(
  database: Database,
  wish: VersionWish,
  set: UpdateChange['set'],
): Promise<{ updatedAt: Date; versionId: string }> {
  return database.transaction(cloudActor, async (tx) => {
    const { plan, version, container } = await holdVersion(tx, wish);
    if (version.deleteMarker) throw isMarker(wish.name, nameOf(version));
    if (set.lock !== undefined && !mayChangeLock(version.lock, set.lock, plan.held.now, mayBypass(wish, container))) {
      throw new CloudError('conflict', 'object_locked', { name: wish.name });
    }
    plan.update.push({ containerId: wish.containerId, name: wish.name, sequence: version.sequence, ...set });
    await write(tx, plan);
    return { updatedAt: version.updatedAt, versionId: nameOf(version) };
  });
}

export const isMarker = (name: string, version: string): CloudError =>
  new CloudError('conflict', 'object_is_delete_marker', { name, version });

const nameOf = ({ nullVersion, sequence }: HeldVersion): string => (nullVersion ? 'null' : versionName(sequence));

async function holdVersion(tx: Tx, wish: VersionWish) {
  const sequence = wish.versionId === 'null' ? null : sequenceOf(wish.versionId);
  if (sequence === undefined) throw noVersion(wish);
  const plan = new Plan(await hold(tx, [{ ...wish, kind: 'delete' }]));
  const container = plan.held.containers.get(wish.containerId);
  const account = plan.held.accounts.get(wish.projectId);
  if (!container || !account) {
    throw new CloudError('not_found', 'container_not_found', { container: wish.container });
  }
  if (!mayAccess(wish.visitor, container, 'write')) throw denied(wish.visitor, 'write');
  const [version] = await run<NamedVersion>(tx, versionText, [wish.containerId, wish.name, sequence]);
  if (!version) throw noVersion(wish);
  const failed = failedWrite(wish.conditions, version);
  if (failed) throw failed;
  return { plan, version, container, account };
}

/** Whoever may only write there is who it is locked against. */
const mayBypass = ({ bypassGovernance, visitor }: VersionWish, container: Guarded): boolean =>
  bypassGovernance && mayAccess(visitor, container, 'own');

const isHeld = (version: HeldVersion, now: Date, bypassGovernance: boolean): boolean =>
  isLocked(version, now) &&
  !(bypassGovernance && version.lock?.mode === 'GOVERNANCE' && version.lock.legalHold !== true);

/** Retention is only ever made longer; by those with the right its weaker kind also shorter. A legal hold comes and goes. */
function mayChangeLock(
  before: ObjectLock | null,
  after: ObjectLock | null,
  now: Date,
  bypassGovernance: boolean,
): boolean {
  const until = (lock: ObjectLock | null) => (lock?.retainUntil ? new Date(lock.retainUntil).getTime() : 0);
  if (until(before) <= now.getTime()) return true;
  const weaker = until(after) < until(before) || (before?.mode === 'COMPLIANCE' && after?.mode !== 'COMPLIANCE');
  return !weaker || (bypassGovernance && before?.mode === 'GOVERNANCE');
}

export interface VersionListWish extends Omit<ListWish, 'endMarker' | 'reverse'> {
  /** With `marker`: the versions of that name that are older than this one, then the next names. */
  versionMarker?: string | undefined;
}

const few = 8;

/** By name, the newest first; delete markers too. Below a prefix nothing is read. */
export async function listVersions(
  db: Queryable,
  containerId: string,
  wish: VersionListWish & { limit: number },
): Promise<Listed<ObjectInfo>> {
  const entries: (ObjectInfo | { prefix: string })[] = [];
  const { prefix = '', limit } = wish;
  let from = startOf(wish);
  // Behind each prefix the listing begins anew: what was read beyond it was read for nothing.
  let most = wish.delimiter ? few : limit + 1;
  while (entries.length <= limit) {
    const asked = Math.min(limit + 1 - entries.length, most);
    const rows = await versionsFrom(db, containerId, { prefix, from, limit: asked });
    if (rows.length === 0) break;
    let skipped: string | undefined;
    for (const row of rows) {
      const common = commonPrefix(row.name, wish);
      if (common === undefined) entries.push(infoOf(row));
      else {
        entries.push({ prefix: common });
        skipped = common;
        break;
      }
    }
    if (skipped === undefined) {
      if (rows.length < asked) break;
      most *= 4;
      const last = rows.at(-1)!;
      from = { name: last.name, older: last.sequence };
    } else {
      const next = successor(skipped);
      if (next === undefined) break;
      most = few;
      from = { name: next, older: undefined, inclusive: true };
    }
  }
  return { entries: entries.slice(0, limit), more: entries.length > limit };
}

interface Start {
  name: string;
  /** Of that name those that are older than this one; undefined: none, or with `inclusive` all. */
  older: number | undefined;
  inclusive?: boolean;
}

function startOf({ marker, versionMarker, ...wish }: VersionListWish): Start | undefined {
  if (!marker) return undefined;
  const common = commonPrefix(marker, wish);
  if (common === marker) return { name: successor(marker) ?? marker, older: undefined, inclusive: true };
  return { name: marker, older: versionMarker === undefined ? undefined : (sequenceOf(versionMarker) ?? undefined) };
}

async function versionsFrom(
  db: Queryable,
  containerId: string,
  { prefix, from, limit }: { prefix: string; from: Start | undefined; limit: number },
): Promise<(InfoRow & { sequence: number })[]> {
  const end = prefix === '' ? undefined : successor(prefix);
  const after = from
    ? from.inclusive
      ? sql`and name >= ${from.name}`
      : from.older === undefined
        ? sql`and name > ${from.name}`
        : sql`and name >= ${from.name} and (name > ${from.name} or sequence < ${from.older})`
    : sql``;
  const { rows } = await sql<InfoRow>`select ${sql.raw(listedColumns)} from object o
    where container_id = ${containerId} and name >= ${prefix} ${end === undefined ? sql`` : sql`and name < ${end}`} ${after}
    order by name, sequence desc limit ${limit}`.execute(db);
  return rows;
}

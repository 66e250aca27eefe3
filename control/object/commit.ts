/**
 * Changes of objects, many in one transaction. It holds, in this order: accounts, containers' use, intents (`for share`); then it reads what there is, decides (plan.ts)
 * and writes. Nothing else writes these tables but versions.ts and uploads.ts, which hold the same in the same order.
 *
 * Two changes of one name are never in one batch, and come in the order in which they were asked for.
 */
import type { CloudError } from '../../contract/errors.ts';
import { cloudActor, type Database, type Queryable, type Tx, withCommit } from '../kit/database/database.ts';
import { Gather } from './gather.ts';
import {
  type Change,
  type Decided,
  decide,
  type Held,
  type HeldAccount,
  type HeldContainer,
  type HeldVersion,
  keyOf,
  Plan,
} from './plan.ts';
import { run } from './statements.ts';
import { type Inserted, write } from './write.ts';

/** Of a change that was made. */
export interface Committed {
  id: string;
  versionId: string;
  /** There was one before. */
  replaced: boolean;
  deleteMarker: boolean;
  /** The container keeps versions. */
  versioned: boolean;
  /** When the transaction began: the version's time. */
  at: Date;
}

type Outcome = { done: Committed } | { error: CloudError };

export class Commits {
  readonly #database: Database;
  readonly #gather: Gather<Change, Outcome>;

  constructor(options: { database: Database }) {
    this.#database = options.database;
    this.#gather = new Gather<Change, Outcome>((changes) => this.#commit(changes), {
      ...{ most: 100, atOnce: 1, key: keyOf, again: true },
    });
  }

  /** Done once it answers. @throws CloudError */
  async ask(change: Change): Promise<Committed> {
    const outcome = await this.#gather.ask(change);
    if ('error' in outcome) throw outcome.error;
    return outcome.done;
  }

  #commit(changes: readonly Change[]): Promise<Outcome[]> {
    return this.#database.transaction(cloudActor, async (tx) => {
      const plan = new Plan(await hold(tx, changes));
      const decided = changes.map((change) => decide(plan, change));
      return withCommit(write(tx, plan).then((rows) => outcomes(changes, decided, plan, rows)));
    });
  }
}

function outcomes(
  changes: readonly Change[],
  decided: readonly Decided[],
  { held }: Plan,
  rows: ReadonlyMap<string, Inserted>,
): Outcome[] {
  return decided.map((each, at) => {
    if (each.kind === 'refused') return { error: each.error };
    const { id, before, deleteMarker, nullVersion } = each;
    const versioned = held.containers.get(changes[at]!.containerId)!.versioning !== 'none';
    const sequence = rows.get(id)?.sequence ?? before?.sequence;
    const versionId = nullVersion || sequence === undefined ? 'null' : versionName(sequence);
    return { done: { id, versionId, replaced: before !== undefined, deleteMarker, versioned, at: held.now } };
  });
}

/** A version's name: its place among those of its object. */
export const versionName = (sequence: number): string => sequence.toString(36).padStart(11, '0');

/** Undefined: no version has that name. */
export function sequenceOf(versionId: string): number | undefined {
  const sequence = /^[0-9a-z]{11}$/.test(versionId) ? Number.parseInt(versionId, 36) : Number.NaN;
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

const usedText = `select a.project_id as "projectId", a.quota_bytes as "accountQuota", a.objects as "accountObjects", a.bytes as "accountBytes",
    (select maximum from quota where resource = 'objects' and (project_id = a.project_id or project_id is null)
      order by project_id nulls last limit 1) as "maxObjects",
    (select maximum from quota where resource = 'object_bytes' and (project_id = a.project_id or project_id is null)
      order by project_id nulls last limit 1) as "maxBytes", now() as now,
    u.container_id as id, u.objects, u.bytes, u.past_objects as "pastObjects", u.past_bytes as "pastBytes", u.upload_bytes as "uploadBytes"
  from unnest($1::uuid[], $2::uuid[]) k(project_id, container_id) join object_account a on a.project_id = k.project_id
    join container_use u on u.container_id = k.container_id`;
/** One order for all: by project the account, then its containers. */
const usesText = `${usedText} order by a.project_id, u.container_id for update of a, u`;
/** And which of the intents are open, held so. */
const containersText = `with open as (select id from object_intent where id = any($2::uuid[]) and state = 'open' order by id for share)
  select id, project_id as "projectId", read_acl as "readAcl", write_acl as "writeAcl", settings, versioning,
    quota_bytes as "quotaBytes", quota_objects as "quotaObjects", (select array_agg(id) from open) as open
  from container where id = any($1::uuid[])`;
const versionColumns = `o.container_id as "containerId", o.name, o.sequence, o.id, o.current, o.null_version as "nullVersion",
  o.delete_marker as "deleteMarker", o.size_bytes as "sizeBytes", o.etag, o.blob_id as "blobId", o.parts, o.lock,
  coalesce(o.expires_at <= now(), false) as expired, o.updated_at as "updatedAt"`;
const currentText = `select ${versionColumns} from unnest($1::uuid[], $2::text[]) i(container_id, name)
  join object o on o.container_id = i.container_id and o.name = i.name and o.current`;
const pastNullText = `select ${versionColumns} from unnest($1::uuid[], $2::text[]) i(container_id, name)
  join object o on o.container_id = i.container_id and o.name = i.name and o.null_version and not o.current`;

export type NamedVersion = HeldVersion & { containerId: string; name: string };

interface UseRow extends Omit<HeldAccount, 'quotaBytes' | 'objects' | 'bytes'> {
  accountQuota: number | null;
  accountObjects: number;
  accountBytes: number;
  now: Date;
  id: string;
  objects: number;
  bytes: number;
  pastObjects: number;
  pastBytes: number;
  uploadBytes: number;
}

const useOf = ({ id, objects, bytes, pastObjects, pastBytes, uploadBytes }: UseRow) => ({
  ...{ id, objects, bytes, pastObjects, pastBytes, uploadBytes },
});

const accountOf = ({ projectId, accountQuota, accountObjects, accountBytes, maxObjects, maxBytes }: UseRow) => ({
  ...{ projectId, quotaBytes: accountQuota, objects: accountObjects, bytes: accountBytes, maxObjects, maxBytes },
});

const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

/** Locks, then reads: each statement sees what is committed once those before it have their locks. One round trip. */
export async function hold(
  tx: Tx,
  changes: readonly Pick<Change, 'projectId' | 'containerId' | 'name' | 'kind'>[],
): Promise<Held> {
  const pairs = new Map(changes.map(({ containerId, projectId }) => [containerId, projectId]));
  const intents = sorted(
    (changes as readonly Change[]).flatMap((change) =>
      change.kind === 'put' ? (change.blob?.copies.map(({ intentId }) => intentId) ?? []) : [],
    ),
  );
  const names = [changes.map(({ containerId }) => containerId), changes.map(({ name }) => name)];
  const [uses, containers, current] = await Promise.all([
    run<UseRow>(tx, usesText, [[...pairs.values()], [...pairs.keys()]]),
    run<HeldContainer & { open: string[] | null }>(tx, containersText, [[...pairs.keys()], intents]),
    run<NamedVersion>(tx, currentText, names),
  ]);
  const byId = new Map(containers.map((container) => [container.id, container]));
  const held = new Map(uses.map((use) => [use.id, { ...byId.get(use.id)!, ...useOf(use) }]));
  const keeping = changes.filter(({ containerId }) => held.get(containerId)?.versioning === 'suspended');
  const past =
    keeping.length === 0
      ? []
      : await run<NamedVersion>(tx, pastNullText, [
          keeping.map(({ containerId }) => containerId),
          keeping.map(({ name }) => name),
        ]);
  return {
    now: uses[0]?.now ?? new Date(0),
    accounts: new Map(uses.map((use) => [use.projectId, accountOf(use)])),
    containers: held,
    current: new Map(current.map((version) => [keyOf(version), version])),
    pastNull: new Map(past.map((version) => [keyOf(version), version])),
    intents: new Set(containers[0]?.open ?? []),
  };
}

/** As it is at this moment, held by nobody. Undefined: the container is gone. */
export async function usage(
  db: Queryable,
  projectId: string,
  containerId: string,
): Promise<{ container: HeldContainer; account: HeldAccount } | undefined> {
  const [[use], [container]] = await Promise.all([
    run<UseRow>(db, usedText, [[projectId], [containerId]]),
    run<HeldContainer>(db, containersText, [[containerId], []]),
  ]);
  return use && container && { container: { ...container, ...useOf(use) }, account: accountOf(use) };
}

export { versionColumns };

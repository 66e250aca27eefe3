/**
 * Changes of objects, many in one transaction. It holds, in this order: accounts, containers' use, intents (`for share`); then it reads what there is, decides (plan.ts)
 * and writes. Nothing else writes these tables but versions.ts and uploads.ts, which hold the same in the same order.
 *
 * Two changes of one name are never in one batch, and come in the order in which they were asked for.
 */
import type { CloudError } from '../../contract/errors.ts';
import { Batch } from '../kit/batch.ts';
import { cloudActor, type Database, type Tx, withCommit } from '../kit/database/database.ts';
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
import type { Versioning } from './tables.ts';
import { type Inserted, write } from './write.ts';

/** Of a change that was made. */
export interface Committed {
  id: string;
  versionId: string;
  /** There was one before. */
  replaced: boolean;
  deleteMarker: boolean;
  /** When the transaction began: the version's time. */
  at: Date;
}

type Outcome = { done: Committed } | { error: CloudError };

export class Commits {
  readonly #database: Database;
  readonly #batch: Batch<Change, Outcome>;

  constructor(options: { database: Database }) {
    this.#database = options.database;
    this.#batch = new Batch<Change, Outcome>((changes) => this.#commit(changes), { most: 100, atOnce: 2 }, keyOf);
  }

  /** Done once it answers. @throws CloudError */
  async ask(change: Change): Promise<Committed> {
    const outcome = await this.#batch.ask(change);
    if ('error' in outcome) throw outcome.error;
    return outcome.done;
  }

  #commit(changes: readonly Change[]): Promise<Outcome[]> {
    return this.#database.transaction(cloudActor, async (tx) => {
      const plan = new Plan(await hold(tx, changes));
      const decided = changes.map((change) => decide(plan, change));
      return withCommit(write(tx, plan).then((rows) => outcomes(decided, rows, plan.held.now)));
    });
  }
}

function outcomes(decided: readonly Decided[], rows: ReadonlyMap<string, Inserted>, now: Date): Outcome[] {
  return decided.map((each) => {
    if (each.kind === 'refused') return { error: each.error };
    const { id, before, deleteMarker, nullVersion } = each;
    const sequence = rows.get(id)?.sequence ?? before?.sequence;
    const versionId = nullVersion || sequence === undefined ? 'null' : versionName(sequence);
    return { done: { id, versionId, replaced: before !== undefined, deleteMarker, at: now } };
  });
}

/** A version's name: its place among those of its object. */
export const versionName = (sequence: number): string => sequence.toString(36).padStart(11, '0');

/** Undefined: no version has that name. */
export function sequenceOf(versionId: string): number | undefined {
  const sequence = /^[0-9a-z]{11}$/.test(versionId) ? Number.parseInt(versionId, 36) : Number.NaN;
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

const accountsText = `select project_id as "projectId", quota_bytes as "quotaBytes", objects, bytes,
    (select maximum from quota where resource = 'objects' and (project_id = a.project_id or project_id is null)
      order by project_id nulls last limit 1) as "maxObjects",
    (select maximum from quota where resource = 'object_bytes' and (project_id = a.project_id or project_id is null)
      order by project_id nulls last limit 1) as "maxBytes", now() as now
  from object_account a where project_id = any($1::uuid[]) order by project_id for update`;
const usesText = `select container_id as id, objects, bytes, past_objects as "pastObjects", past_bytes as "pastBytes", upload_bytes as "uploadBytes"
  from container_use where container_id = any($1::uuid[]) order by container_id for update`;
const containersText = `select id, project_id as "projectId", read_acl as "readAcl", write_acl as "writeAcl", settings, versioning,
  quota_bytes as "quotaBytes", quota_objects as "quotaObjects" from container where id = any($1::uuid[])`;
const intentsText = `select id from object_intent where id = any($1::uuid[]) and state = 'open' order by id for share`;
const versionColumns = `o.container_id as "containerId", o.name, o.sequence, o.id, o.current, o.null_version as "nullVersion",
  o.delete_marker as "deleteMarker", o.size_bytes as "sizeBytes", o.etag, o.blob_id as "blobId", o.parts, o.lock,
  coalesce(o.expires_at <= now(), false) as expired, o.updated_at as "updatedAt"`;
const currentText = `select ${versionColumns} from unnest($1::uuid[], $2::text[]) i(container_id, name)
  join object o on o.container_id = i.container_id and o.name = i.name and o.current`;
const pastNullText = `select ${versionColumns} from unnest($1::uuid[], $2::text[]) i(container_id, name)
  join object o on o.container_id = i.container_id and o.name = i.name and o.null_version and not o.current`;

export type NamedVersion = HeldVersion & { containerId: string; name: string };

const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

/** Locks, then reads: each statement sees what is committed once those before it have their locks. One round trip. */
export async function hold(
  tx: Tx,
  changes: readonly Pick<Change, 'projectId' | 'containerId' | 'name' | 'kind'>[],
): Promise<Held> {
  const projects = sorted(changes.map(({ projectId }) => projectId));
  const ids = sorted(changes.map(({ containerId }) => containerId));
  const intents = sorted(
    (changes as readonly Change[]).flatMap((change) =>
      change.kind === 'put' ? (change.blob?.copies.map(({ intentId }) => intentId) ?? []) : [],
    ),
  );
  const names = [changes.map(({ containerId }) => containerId), changes.map(({ name }) => name)];
  const [accounts, uses, open, containers, current] = await Promise.all([
    run<HeldAccount & { now: Date }>(tx, accountsText, [projects]),
    run<{ id: string }>(tx, usesText, [ids]),
    intents.length === 0 ? [] : run<{ id: string }>(tx, intentsText, [intents]),
    run<HeldContainer & { versioning: Versioning }>(tx, containersText, [ids]),
    run<NamedVersion>(tx, currentText, names),
  ]);
  const byId = new Map(containers.map((container) => [container.id, container]));
  const held = new Map(uses.map((use) => [use.id, { ...byId.get(use.id)!, ...use }]));
  const keeping = changes.filter(({ containerId }) => held.get(containerId)?.versioning === 'suspended');
  const past =
    keeping.length === 0
      ? []
      : await run<NamedVersion>(tx, pastNullText, [
          keeping.map(({ containerId }) => containerId),
          keeping.map(({ name }) => name),
        ]);
  return {
    now: accounts[0]?.now ?? new Date(0),
    accounts: new Map(accounts.map((account) => [account.projectId, account])),
    containers: held,
    current: new Map(current.map((version) => [keyOf(version), version])),
    pastNull: new Map(past.map((version) => [keyOf(version), version])),
    intents: new Set(open.map(({ id }) => id)),
  };
}

export { versionColumns };

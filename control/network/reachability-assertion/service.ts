/** Reachability assertions: the operations that the dialects may call. */
import { sql } from 'kysely';
import { newId, parseId } from '../../../contract/ids.ts';
import { canonicalIp, type IpVersion } from '../../kit/address.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { defined, json } from '../../kit/database/schema.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { type Asked, findEnds, readShape, requireOwnEnd, versionsOf } from '../reachability/index.ts';
import { decide, record } from './decide.ts';
import { type ReachabilityAssertionRow, reachabilityAssertionListing } from './reachability-assertion.ts';
import { reachabilityAssertion as descriptor } from './resource.ts';
import type { AssertionKind, OnViolation } from './tables.ts';

export interface AssertionWish extends Asked {
  project_id?: string;
  name?: string;
  description?: string;
  kind: AssertionKind;
  on_violation?: OnViolation;
}

export type AssertionPatch = Pick<AssertionWish, 'name' | 'description' | 'on_violation'>;

export class ReachabilityAssertionService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<ReachabilityAssertionRow[]> {
    return listRows(this.#database.query, caller, reachabilityAssertionListing, query);
  }

  read(caller: Caller, id: string): Promise<ReachabilityAssertionRow> {
    return readRow(this.#database.query, caller, reachabilityAssertionListing, known(id));
  }

  /** Also one that is not true yet: it refuses changes from when it is. @throws CloudError as a question does */
  async create(caller: Caller, wish: AssertionWish): Promise<ReachabilityAssertionRow> {
    const project_id = projectFor(caller, wish.project_id, 'create_reachability_assertion');
    const { name, description, kind, on_violation, version, from, to } = wish;
    const columns = { ...{ name, description, on_violation }, ...readShape(wish), kind };
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await checkQuota(tx, project_id, descriptor.usage, { reachability_assertions: 1 });
      await requireEnds(tx, caller, wish);
      const asserted = {
        ...{ project_id, kind, protocol: columns.protocol, port: columns.port, ip_version: version ?? null },
        ...{ source: canonical(from), destination: canonical(to) },
      };
      const id = newId();
      const { finding, ...found } = await decide(tx, asserted);
      await tx
        .insertInto('reachability_assertion')
        .values({ ...defined(columns), ...asserted, ...found, id, finding: finding && json(finding) })
        .execute();
      return readRow(tx, caller, reachabilityAssertionListing, id);
    });
  }

  /** What it is about stays; how it is called and what becomes of who breaks it may change. */
  async update(caller: Caller, id: string, patch: AssertionPatch): Promise<ReachabilityAssertionRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const operation = 'update_reachability_assertion';
      const now = await lockOwn<ReachabilityAssertionRow>(tx, caller, 'reachability_assertion', known(id), operation);
      await tx
        .updateTable('reachability_assertion')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', now.id)
        .execute();
      // One that alarmed may be untrue since, by a change that is not yet looked at.
      const changed = await readRow(tx, caller, reachabilityAssertionListing, id);
      await record(tx, changed, await decide(tx, changed));
      return readRow(tx, caller, reachabilityAssertionListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'reachability_assertion', known(id), 'delete_reachability_assertion');
      await sql`delete from reachability_assertion where id = ${id}`.execute(tx);
    });
  }
}

/** @throws CloudError `not_found` for what is no id */
function known(id: string): string {
  const parsed = parseId(id);
  if (parsed === undefined) throw notFound('reachability_assertion', id);
  return parsed;
}

const canonical = (end: string): string => canonicalIp(end) ?? parseId(end) ?? end;

async function requireEnds(
  db: Parameters<typeof findEnds>[0],
  caller: Caller,
  { from, to, version }: { from: string; to: string; version?: IpVersion },
): Promise<void> {
  const ends = [await findEnds(db, caller, 'from', from), await findEnds(db, caller, 'to', to)] as const;
  versionsOf(ends.flat(), version);
  await requireOwnEnd(db, caller, ...ends);
}

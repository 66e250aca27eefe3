/**
 * Whether an assertion is true of the rows that a transaction, or the database, has now. Power is left out of account: that a server is off
 * breaks no rule. Whatever hides an end from its project makes the assertion unknown, not violated: who deletes a server may do so.
 */
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { CloudError, hasReason } from '../../../contract/errors.ts';
import { projectItself } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { Turn } from '../../kit/projection/turn.ts';
import {
  answerOf,
  asSeen,
  type End,
  EndFinder,
  type Ground,
  GroundReader,
  loadGround,
  type Places,
  type Told,
  versionsOf,
} from '../reachability/index.ts';
import type { ReachabilityAssertionRow } from './reachability-assertion.ts';
import type { AssertionState, Finding } from './tables.ts';

export type Asserted = Pick<
  ReachabilityAssertionRow,
  'project_id' | 'kind' | 'source' | 'destination' | 'ip_version' | 'protocol' | 'port'
>;

export interface Decision {
  state: AssertionState;
  finding: Finding | null;
  ground: string[];
}

/** What several are decided by, read by all of them together. */
interface Reading {
  db: Queryable;
  reader: GroundReader;
  /** By project. */
  finders: Map<string, EndFinder>;
  /** As if these ports were on these hosts. */
  places?: Places | undefined;
}

/** What one is decided by; only what is missing where that is all that is known. */
type Loaded = { from: End[]; to: End[]; ground: Ground } | { missing: 'from' | 'to' | 'answer' };

export async function decide(db: Queryable, asserted: Asserted): Promise<Decision> {
  const [decided] = await readTogether(db, [asserted]);
  return decided!();
}

/**
 * Each is decided as it is by itself, by rows of its own; the statements that find them are the same for all.
 * @returns for each what decides it, and rejects where it can't be decided: one of them keeps no other from it
 */
export async function readTogether(
  db: Queryable,
  list: readonly Asserted[],
  places?: Places,
): Promise<(() => Promise<Decision>)[]> {
  const reading = { db, reader: new GroundReader(db), finders: new Map(), places };
  const loaded = await Promise.allSettled(list.map((asserted) => load(reading, asserted)));
  return loaded.map((one, n) => async () => {
    if (one.status === 'rejected') throw one.reason;
    return judge(db, list[n]!, one.value);
  });
}

async function load({ db, reader, finders, places }: Reading, asserted: Asserted): Promise<Loaded> {
  const { project_id, source, destination, ip_version } = asserted;
  let finder = finders.get(project_id);
  if (!finder) {
    finder = new EndFinder(db, projectItself(project_id));
    finders.set(project_id, finder);
  }
  const [from, to] = await Promise.all([endsNow(finder, 'from', source), endsNow(finder, 'to', destination)]);
  if (!from || !to) return { missing: from ? 'to' : 'from' };
  versionsOf([...from, ...to], ip_version ?? undefined);
  const ground = await loadGround(db, [...from, ...to], { asIfUp: true, reader, places }).catch(orTooMuch);
  return ground ? { from, to, ground } : { missing: 'answer' };
}

async function judge(db: Queryable, asserted: Asserted, loaded: Loaded): Promise<Decision> {
  if ('missing' in loaded) return { state: 'unknown', finding: loaded, ground: [] };
  const { from, to, ground } = loaded;
  const told = answerNow(asserted, loaded);
  if (!told) return { state: 'unknown', finding: { missing: 'answer' }, ground: [] };
  const ids = new Set([...ground.ids(), ...[...from, ...to].flatMap((end) => end.port ?? [])]);
  const decided = { ground: [...ids].sort() };
  if (isTrue(asserted, told)) return { ...decided, state: 'holds', finding: null };
  const { there, back, stops } = await asSeen(db, projectItself(asserted.project_id), told);
  return { ...decided, state: 'violated', finding: { there, back, stops, open_ports: told.openPorts } };
}

/** Without a port all of them must get there, or none may. */
const isTrue = ({ kind }: Asserted, { reachable, openPorts }: Told): boolean => {
  if (kind === 'never') return !reachable;
  if (openPorts === null) return reachable;
  const [all] = openPorts;
  return all?.[0] === 1 && all[1] === 65_535;
};

function answerNow(
  { ip_version, protocol, port }: Asserted,
  { from, to, ground }: Exclude<Loaded, { missing: string }>,
) {
  const versions = versionsOf([...from, ...to], ip_version ?? undefined);
  try {
    return answerOf(ground, { from, to, versions, shape: { protocol, port } });
  } catch (error) {
    return orTooMuch(error);
  }
}

/** Undefined where so much hangs together that a question is refused: a change is not, for it did not ask. */
function orTooMuch(error: unknown): undefined {
  if (hasReason(error, 'reachability_too_wide') || hasReason(error, 'reachability_too_many_ranges')) return undefined;
  throw error;
}

/** Undefined where nothing of that name is there any more, or its address is that of several. */
const endsNow = (finder: EndFinder, side: 'from' | 'to', given: string) =>
  finder.find(side, given).catch((error: unknown) => {
    const gone = hasReason(error, 'reachability_end_not_found') || hasReason(error, 'reachability_end_ambiguous');
    if (gone) return undefined;
    throw error;
  });

/**
 * Before the commit of a transaction that changed a project's network.
 * @throws CloudError `conflict` where it breaks an assertion
 */
export async function decideUndecided(tx: Tx): Promise<void> {
  const { rows } = await sql<ReachabilityAssertionRow>`
    select * from reachability_assertion where undecided order by id`.execute(tx);
  const unsaid: [ReachabilityAssertionRow, Decision][] = [];
  const turn = new Turn();
  for (const [n, decided] of (await readTogether(tx, rows)).entries()) {
    const [row, decision] = [rows[n]!, await decided()];
    if (decision.state === 'violated') throw violated(row, decision.finding);
    if (saysMore(row, decision)) await record(tx, row, decision);
    else unsaid.push([row, decision]);
    if (turn.over) await turn.rest();
  }
  await recordUnsaid(tx, unsaid);
}

const violated = (row: ReachabilityAssertionRow, finding: Finding | null) =>
  new CloudError('conflict', 'reachability_assertion_violated', {
    ...{ id: row.id, name: row.name, kind: row.kind, from: row.source, to: row.destination },
    stops: (finding?.missing === undefined ? (finding?.stops ?? []) : []).map(({ kind, id, reason }) => ({
      ...{ kind, id, reason },
    })),
  });

/** Of a finding its text: PostgreSQL keeps the names in it in an order of its own. */
const saysMore = (before: ReachabilityAssertionRow, { state, finding }: Decision): boolean =>
  state !== before.state || !isDeepStrictEqual(JSON.parse(JSON.stringify(finding)), before.finding);

/** Whether there is anything to record. */
export const isNews = (before: ReachabilityAssertionRow, decision: Decision): boolean =>
  saysMore(before, decision) || !isDeepStrictEqual(decision.ground, before.ground);

/** A new state is a new generation, which whoever watches is told of. The row is held by the caller. */
export async function record(tx: Tx, before: ReachabilityAssertionRow, decision: Decision): Promise<void> {
  const { state, finding, ground } = decision;
  await tx
    .updateTable('reachability_assertion')
    .set({
      ...{ undecided: false, ground },
      ...(state !== before.state && { state, state_since: sql<Date>`now()` }),
      ...(saysMore(before, decision) && {
        finding: finding && json(finding),
        generation: sql<number>`generation + 1`,
        updated_at: sql<Date>`now()`,
      }),
    })
    .where('id', '=', before.id)
    .execute();
}

/** Of those that are as they were: by what they are decided now. */
async function recordUnsaid(tx: Tx, all: readonly (readonly [ReachabilityAssertionRow, Decision])[]): Promise<void> {
  if (all.length === 0) return;
  const ids = all.map(([{ id }]) => id);
  const grounds = all.map(([, { ground }]) => `{${ground.join(',')}}`);
  await sql`update reachability_assertion t set undecided = false, ground = now.ground::uuid[]
    from unnest(${ids}::uuid[], ${grounds}::text[]) now(id, ground) where t.id = now.id`.execute(tx);
}

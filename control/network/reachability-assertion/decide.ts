/**
 * Whether an assertion is true of the rows that a transaction, or the database, has now. Power is left out of account: that a server is off
 * breaks no rule. Whatever hides an end from its project makes the assertion unknown, not violated: who deletes a server may do so.
 */
import { sql } from 'kysely';
import { CloudError, hasReason } from '../../../contract/errors.ts';
import { projectItself } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import {
  answerOf,
  asSeen,
  type End,
  findEnds,
  type Ground,
  loadGround,
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

export async function decide(db: Queryable, asserted: Asserted): Promise<Decision> {
  const { project_id } = asserted;
  const project = projectItself(project_id);
  const ends: End[][] = [];
  for (const [side, given] of [['from', asserted.source] as const, ['to', asserted.destination] as const]) {
    const found = await endsNow(db, project, side, given);
    if (!found) return { state: 'unknown', finding: { missing: side }, ground: [] };
    ends.push(found);
  }
  const [from, to] = ends as [End[], End[]];
  const answer = await answerNow(db, [from, to], asserted);
  if (!answer) return { state: 'unknown', finding: { missing: 'answer' }, ground: [] };
  const { ground, told } = answer;
  const ids = [...new Set([...ground.ids(), ...[...from, ...to].flatMap((end) => end.port ?? [])])];
  if (isTrue(asserted, told)) return { state: 'holds', finding: null, ground: ids };
  const { there, back, stops } = await asSeen(db, project, told);
  return { state: 'violated', finding: { there, back, stops, open_ports: told.openPorts }, ground: ids };
}

/** Without a port all of them must get there, or none may. */
const isTrue = ({ kind }: Asserted, { reachable, openPorts }: Told): boolean => {
  if (kind === 'never') return !reachable;
  if (openPorts === null) return reachable;
  const [all] = openPorts;
  return all?.[0] === 1 && all[1] === 65_535;
};

/** Undefined where so much hangs together that a question is refused: a change is not, for it did not ask. */
async function answerNow(
  db: Queryable,
  [from, to]: readonly [End[], End[]],
  { ip_version, protocol, port }: Asserted,
): Promise<{ ground: Ground; told: Told } | undefined> {
  const versions = versionsOf([...from, ...to], ip_version ?? undefined);
  try {
    const ground = await loadGround(db, [...from, ...to], { asIfUp: true });
    return { ground, told: answerOf(ground, { from, to, versions, shape: { protocol, port } }) };
  } catch (error) {
    if (hasReason(error, 'reachability_too_wide') || hasReason(error, 'reachability_too_many_ranges')) return undefined;
    throw error;
  }
}

/** Undefined where nothing of that name is there any more, or its address is that of several. */
const endsNow = (db: Queryable, project: ReturnType<typeof projectItself>, side: 'from' | 'to', given: string) =>
  findEnds(db, project, side, given).catch((error: unknown) => {
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
  for (const row of rows) {
    const { state, finding, ground } = await decide(tx, row);
    if (state === 'violated') throw violated(row, finding);
    await record(tx, row, { state, finding, ground });
  }
}

const violated = (row: ReachabilityAssertionRow, finding: Finding | null) =>
  new CloudError('conflict', 'reachability_assertion_violated', {
    ...{ id: row.id, name: row.name, kind: row.kind, from: row.source, to: row.destination },
    stops: (finding?.missing === undefined ? (finding?.stops ?? []) : []).map(({ kind, id, reason }) => ({
      ...{ kind, id, reason },
    })),
  });

/** A new state is a new generation, which whoever watches is told of. The row is held by the caller. */
export async function record(tx: Tx, before: ReachabilityAssertionRow, decision: Decision): Promise<void> {
  const { state, finding, ground } = decision;
  const isNew = state !== before.state;
  const says = isNew || JSON.stringify(finding) !== JSON.stringify(before.finding);
  await tx
    .updateTable('reachability_assertion')
    .set({
      ...{ undecided: false, ground },
      ...(isNew && { state, state_since: sql<Date>`now()` }),
      ...(says && {
        finding: finding && json(finding),
        generation: sql<number>`generation + 1`,
        updated_at: sql<Date>`now()`,
      }),
    })
    .where('id', '=', before.id)
    .execute();
}

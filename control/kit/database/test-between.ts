/**
 * For tests of what a decision rests on: one who decides is stopped between reading and writing, and one who takes away what was read is sent
 * after. Nothing is left to luck: both have begun before either writes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { until } from '../../../test/support/until.ts';
import type { TestDatabase } from './testing.ts';

export type Outcome = 'done' | 'refused';

export interface Between extends AsyncDisposable {
  /**
   * @param table into which the first writes, and nobody can before both have begun
   * @returns whether each was done, or refused by a CloudError
   */
  run(table: string, first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<[Outcome, Outcome]>;
}

const outcomeOf = (work: Promise<unknown>): Promise<Outcome> =>
  work.then(
    () => 'done',
    (error) => {
      assert.equal(error?.name, 'CloudError', String(error?.stack));
      return 'refused';
    },
  );

export async function betweenReadAndWrite({ database, url }: Pick<TestDatabase, 'database' | 'url'>): Promise<Between> {
  const holder = new pg.Client({ connectionString: url.reveal() });
  await holder.connect();
  const waiting = async (): Promise<number> => {
    const { rows } = await sql<{ waiting: number }>`select count(distinct l.pid)::integer as waiting
      from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where not l.granted and a.datname = current_database()`.execute(database.query);
    return rows[0]!.waiting;
  };
  return {
    async run(table, first, second) {
      // Readers and those who lock rows pass it, writers wait.
      await holder.query(`begin; lock table ${table} in share mode`);
      let early: Outcome | undefined;
      const one = outcomeOf(first()).then((outcome) => {
        early = outcome;
        return outcome;
      });
      await until('the first to wait', async () => early !== undefined || (await waiting()) === 1);
      if (early) await holder.query('rollback');
      assert.equal(early, undefined, `the first was not stopped at ${table}`);
      let ended = false;
      const two = outcomeOf(second()).finally(() => {
        ended = true;
      });
      await until('the second to wait or to end', async () => ended || (await waiting()) === 2);
      await holder.query('commit');
      return Promise.all([one, two]);
    },
    [Symbol.asyncDispose]: () => holder.end(),
  };
}

/** Something that is made, and which parts of its world it hangs on. */
export interface Maker<World, Part extends string, Answer = unknown> {
  /** Into which it writes first. */
  table: string;
  make(world: World): Promise<Answer>;
  on: readonly Part[];
}

/**
 * A test for each pair of what is made and what it hangs on: that goes away between the reading and the writing of who makes it. One of both is done, and none ends in an error of ours.
 * @param own.world made anew for each pair
 * @param own.tried makes a CloudError of an answer that refuses, where those are not thrown
 */
export function testMadeWhileDeleted<World, Part extends string, Answer>(
  between: Between,
  own: {
    world(): Promise<World>;
    makers: Readonly<Record<string, Maker<World, Part, Answer>>>;
    ends: Readonly<Record<Part, (world: World) => Promise<Answer>>>;
    tried?(answer: Promise<Answer>): Promise<unknown>;
  },
): void {
  const { world, makers, ends, tried = (answer) => answer } = own;
  for (const [noun, { table, make, on }] of Object.entries<Maker<World, Part, Answer>>(makers)) {
    for (const part of on) {
      test(`${noun}, made while its ${part} is deleted, is refused, or keeps it, or goes along`, async () => {
        const here = await world();
        const outcomes = await between.run(
          table,
          () => tried(make(here)),
          () => tried(ends[part](here)),
        );
        assert.ok(outcomes.includes('done'), String(outcomes));
      });
    }
  }
}

/** Whatever changes, and whenever: pass after pass ends where a projection from empty ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KyselyPlugin, sql } from 'kysely';
import type { Queryable } from '../../control/kit/database/database.ts';
import { bringPage } from '../../control/kit/projection/index.ts';
import { NorthboundTarget } from '../../control/network/ovn/target.ts';
import { AloneLease, alone, dump, MemoryNorthbound } from '../../control/network/ovn/testing/memory-northbound.ts';
import { whole } from '../support/part-of.ts';
import { Random } from '../support/random.ts';
import { ovnBench, settled, smallCloud, until } from './ovn-bench.ts';
import { RandomCloud } from './ovn-random-cloud.ts';

/** The whole northbound database as a projection from nothing makes it. */
async function fromEmpty(db: Queryable): Promise<string[]> {
  const nb = new MemoryNorthbound();
  const target = new NorthboundTarget({ db, client: nb, lease: new AloneLease(), actual: nb.actual, events: alone });
  try {
    for await (const page of target.everything()) {
      for (const { unit, error } of await bringPage(target, page, alone.mayWrite))
        assert.ifError(error && new Error(`${unit}: ${error}`));
    }
  } finally {
    await target.close();
  }
  return dump(nb.database);
}

const rounds = Number(process.env.BOTHY_PROPERTY_ROUNDS ?? (whole ? 12 : 5));
const seeds = process.env.BOTHY_PROPERTY_SEED ? [Number(process.env.BOTHY_PROPERTY_SEED)] : [1, 2];

for (const seed of seeds) {
  test(`random changes, re-parenting among them, end in the rows that a projection from empty gives (seed ${seed})`, async () => {
    await using b = await ovnBench();
    const cloud = new RandomCloud(b.cloud, new Random(seed));
    await cloud.begin();
    await until('it leads', () => b.projector.status().lastFullPass !== null);
    const changes: string[] = [];
    for (let round = 0; round < rounds; round++) {
      for (let n = 0; n < 3; n++) changes.push(await cloud.change());
      const wanted = await fromEmpty(b.db.database.query);
      const what = `round ${round} after ${changes.slice(-3).join(' | ')}`;
      const settled = await until(what, () => same(dump(b.nb), wanted)).then(
        () => true,
        () => false,
      );
      if (settled) continue;
      const [now, there] = [new Set(dump(b.nb)), new Set(wanted)];
      const different = [
        ...[...now.difference(there)].map((line) => `- ${line}`),
        ...[...there.difference(now)].map((line) => `+ ${line}`),
      ];
      assert.fail(`${what}:\n${different.join('\n')}\n${JSON.stringify(b.projector.status(), null, 1)}`);
    }
    assert.deepEqual(b.projector.status().failures, []);
  });
}

const same = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((line, at) => line === b[at]);

/** Holds back what the projector has just read, where the statement has these words and found something: a pass from before found nothing. */
function gate() {
  const held = { words: '', reached: () => {}, open: Promise.resolve() };
  const texts = new WeakMap<object, string>();
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      texts.set(queryId, JSON.stringify(node));
      return node;
    },
    async transformResult({ result, queryId }) {
      if (held.words && result.rows.length > 0 && texts.get(queryId)?.includes(held.words)) {
        held.reached();
        await held.open;
      }
      return result;
    },
  };
  return {
    query: (query: Queryable) => query.withPlugin(plugin) as Queryable,
    /** Answers when a read is held, and a function that lets it go. */
    hold(words: string): { held: Promise<void>; release: () => void } {
      let release = () => {};
      held.words = words;
      held.open = new Promise((resolve) => {
        release = () => {
          held.words = '';
          resolve();
        };
      });
      return { held: new Promise((resolve) => (held.reached = resolve)), release };
    },
  };
}

test('a floating IP that is loosened while a pass is under way leaves the northbound database at once', async () => {
  const read = gate();
  await using b = await ovnBench({ query: read.query });
  const ids = await smallCloud(b);
  await settled(b);
  await b.cloud.run(sql`update floating_ip set port_id = null, fixed_ip = null, router_id = null`);
  const rules = () => b.rows('NAT').filter((row) => row.type === 'dnat_and_snat').length;
  await until('it is gone', () => rules() === 0);
  const { held, release } = read.hold('from floating_ip join port on port.id = floating_port_id');
  await b.cloud.run(
    sql`update floating_ip set port_id = ${ids.port}, fixed_ip = '10.1.0.11', router_id = ${ids.router}`,
  );
  await held;
  // Its router was read with the rule; that it has left is told before the rule is written.
  await b.cloud.run(sql`update floating_ip set port_id = null, fixed_ip = null, router_id = null`);
  const { rows } = await sql<{ position: string }>`select pg_current_xact_id()::text as position`.execute(
    b.db.database.query,
  );
  await until('the change was noticed', () => b.feed.position.transactionId >= BigInt(rows[0]!.position));
  let appeared = false;
  b.nb.onCommit((changes) => {
    appeared ||= changes.some(({ table, after }) => table === 'NAT' && after);
  });
  release();
  await until('the rule that was read is written', () => appeared);
  await until('it is gone again', () => rules() === 0);
});

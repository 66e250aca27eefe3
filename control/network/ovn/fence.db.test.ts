/** Only the holder of the lease writes into the northbound database, whatever it was doing when it lost the lease. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { Leadership } from '../../kit/leadership/index.ts';
import { TargetLost } from '../../kit/projection/index.ts';
import { stamps } from './desired.ts';
import { Fence } from './fence.ts';
import type { Northbound } from './northbound.ts';
import { MemoryNorthbound } from './testing/memory-northbound.ts';

const timing = { renewMs: 60_000, retryMs: 10 };
let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

/** A control process that leads, or waits to. Its packets can be held on their way. */
class Candidate implements AsyncDisposable {
  readonly leadership: Leadership;
  readonly fence: Fence;
  readonly role: string;
  lost = false;
  held: Promise<void> | undefined;
  onHeld = () => {};

  constructor(role: string, nb: MemoryNorthbound) {
    this.role = role;
    const onLose = () => {
      this.lost = true;
    };
    this.leadership = new Leadership({ database: db.database, role, holder: newId(), onGain() {}, onLose, timing });
    this.leadership.start();
    const client: Northbound = {
      schema: nb.schema,
      replica: nb.replica,
      transaction: () => nb.transaction(),
      transact: async (work) => {
        if (this.held) this.onHeld();
        await this.held;
        return nb.transact(work);
      },
    };
    this.fence = new Fence(client, this.leadership, () => this.leadership.held);
  }

  async leads(): Promise<void> {
    await until('it leads', () => this.leadership.held);
  }

  write(name: string): Promise<unknown> {
    const transaction = this.fence.transaction();
    transaction.insert('Logical_Switch', { name });
    return this.fence.transact(transaction);
  }

  /** As if the lease had run out by the database's clock, while this process noticed nothing. */
  async expire(): Promise<void> {
    await sql`update lease set expires_at = '-infinity' where role = ${this.role}`.execute(db.database.query);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leadership.stop();
  }
}

const switches = (nb: MemoryNorthbound) => [...nb.database.rows('Logical_Switch').values()].map(({ name }) => name);
const global = (nb: MemoryNorthbound) => [...nb.database.rows('NB_Global').values()][0]!.external_ids;
const epochOf = (nb: MemoryNorthbound) => (global(nb) as Record<string, string>)[stamps.epoch];

test('a leader that was frozen between its question and the write writes nothing when it goes on', async () => {
  const nb = new MemoryNorthbound();
  await using old = new Candidate('frozen', nb);
  await old.leads();
  await old.write('before');
  let thaw = () => {};
  old.held = new Promise((resolve) => {
    thaw = resolve;
  });
  const frozen = new Promise<void>((resolve) => {
    old.onHeld = resolve;
  });
  const late = assert.rejects(old.write('late'), TargetLost);
  await frozen;
  await old.expire();
  await using next = new Candidate('frozen', nb);
  await next.leads();
  await next.write('next');
  assert.equal(old.leadership.held, true, 'it does not know yet');
  thaw();
  await late;
  assert.deepEqual(switches(nb), ['before', 'next']);
  await assert.rejects(old.write('later'), TargetLost);
  assert.deepEqual([old.lost, switches(nb), epochOf(nb)], [true, ['before', 'next'], '2']);
});

test('one that was frozen while it took the northbound database does not take it from who leads now', async () => {
  const nb = new MemoryNorthbound();
  nb.database.edit((tx) => tx.insert('NB_Global', {}));
  await using old = new Candidate('taking', nb);
  await old.leads();
  let thaw = () => {};
  old.held = new Promise((resolve) => {
    thaw = resolve;
  });
  const frozen = new Promise<void>((resolve) => {
    old.onHeld = resolve;
  });
  const late = assert.rejects(old.write('late'), TargetLost);
  await frozen;
  await old.expire();
  await using next = new Candidate('taking', nb);
  await next.leads();
  await next.write('next');
  thaw();
  await late;
  assert.deepEqual([switches(nb), epochOf(nb)], [['next'], '2']);
});

test('where the database went back to an older lease, the epoch goes on above what the northbound database has seen', async () => {
  for (const seen of ['41', '1']) {
    const nb = new MemoryNorthbound();
    nb.database.edit((tx) => tx.insert('NB_Global', { external_ids: { [stamps.epoch]: seen, theirs: 'stays' } }));
    await using leader = new Candidate(`restored ${seen}`, nb);
    await leader.leads();
    await leader.write('written');
    assert.deepEqual(global(nb), { [stamps.epoch]: String(Number(seen) + 1), theirs: 'stays' });
    assert.equal(leader.leadership.epoch, Number(seen) + 1);
    const { rows } = await sql<{ epoch: number }>`select epoch from lease where role = ${leader.role}`.execute(
      db.database.query,
    );
    assert.deepEqual(rows, [{ epoch: Number(seen) + 1 }]);
  }
});

test('a global row that was emptied, removed or marked with nonsense is taken again', async () => {
  const nb = new MemoryNorthbound();
  await using leader = new Candidate('emptied', nb);
  await leader.leads();
  await leader.write('one');
  nb.database.edit((tx) => tx.delete('NB_Global', []));
  await leader.write('two');
  nb.database.edit((tx) => tx.update('NB_Global', [], { external_ids: {} }));
  await leader.write('three');
  nb.database.edit((tx) => tx.update('NB_Global', [], { external_ids: { [stamps.epoch]: 'a lot' } }));
  await leader.write('four');
  assert.deepEqual([switches(nb), epochOf(nb)], [['one', 'two', 'three', 'four'], '1']);
});

test('a mark as high as numbers go, by whatever hand, stops nobody: not this term and not the next', async () => {
  for (const highest of [Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER - 2, 2 ** 52, 2 ** 52 - 1]) {
    const nb = new MemoryNorthbound();
    nb.database.edit((tx) => tx.insert('NB_Global', { external_ids: { [stamps.epoch]: String(highest) } }));
    const role = `highest ${highest}`;
    await using leader = new Candidate(role, nb);
    await leader.leads();
    for (const name of ['one', 'two']) await leader.write(name);
    await leader.expire();
    await using next = new Candidate(role, nb);
    await next.leads();
    for (const name of ['three', 'four']) await next.write(name);
    await assert.rejects(leader.write('late'), TargetLost);
    assert.deepEqual(switches(nb), ['one', 'two', 'three', 'four']);
  }
});

/** The kit with a toy as its target: a map of upper-case letters that shall be what a map of words says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { patienceMs } from '../../../test/support/until.ts';
import type { Change, ChangeListener } from '../change-log/changes.ts';
import { Projection } from './projection.ts';
import { Refused, type Target, type TargetEvents, TargetLost, WaitsForUnit } from './target.ts';

type Name = `word/${string}`;
const name = (id: string): Name => `word/${id}`;
const idOf = (unit: Name) => unit.slice(5);

class Toy
  implements Target<Name, Map<string, string>, string | undefined, string | undefined, { to: string | undefined }>
{
  readonly truth: Map<string, string>;
  readonly there: Map<string, string>;
  readonly events: TargetEvents<Name>;
  ready = true;
  trouble = null;
  closed = false;
  /** What happened, for the tests. */
  readonly log: string[] = [];
  refuse = new Set<string>();
  needs = new Map<string, string>();
  pageLength = 2;
  /** Held by a test: `load` answers what it has read only afterwards. */
  loading: () => Promise<void> = async () => {};

  constructor(truth: Map<string, string>, there: Map<string, string>, events: TargetEvents<Name>) {
    [this.truth, this.there, this.events] = [truth, there, events];
  }
  concerns(change: Change): boolean {
    return change.resource_type === 'word';
  }
  async touched(changes: readonly Change[]): Promise<Name[]> {
    // A word may have been moved: where it was is seen only here.
    return changes.flatMap(({ resource_id, body }) => [
      ...String(body.units ?? resource_id)
        .split(' ')
        .map(name),
      ...[...this.there].filter(([, value]) => value === body.was).map(([id]) => name(id)),
    ]);
  }
  async *everything(): AsyncGenerator<Name[]> {
    const all = [...new Set([...this.there.keys(), ...this.truth.keys()])].sort();
    for (let at = 0; at < all.length; at += this.pageLength) yield all.slice(at, at + this.pageLength).map(name);
  }
  phaseOf(unit: Name): number {
    return idOf(unit).length;
  }
  async load(units: readonly Name[]): Promise<Map<string, string>> {
    const model = new Map(
      units.flatMap((unit) => (this.truth.has(idOf(unit)) ? [[idOf(unit), this.truth.get(idOf(unit))!]] : [])),
    );
    this.log.push(`load ${units.length}`);
    await this.loading();
    return model;
  }
  desired(model: Map<string, string>, unit: Name): string | undefined {
    return model.get(idOf(unit));
  }
  actual(unit: Name): string | undefined {
    if (!this.ready) throw new TargetLost('gone');
    return this.there.get(idOf(unit));
  }
  difference(unit: Name, desired: string | undefined, actual: string | undefined) {
    const other = this.needs.get(idOf(unit));
    if (other && !this.there.has(other)) throw new WaitsForUnit(name(other), `waits for ${other}`);
    return desired === actual ? undefined : { to: desired };
  }
  async apply(parts: ReadonlyMap<Name, { to: string | undefined }>): Promise<void> {
    await nextTurn();
    if (!this.ready) throw new TargetLost('gone');
    for (const unit of parts.keys()) if (this.refuse.has(idOf(unit))) throw new Refused(`refused ${unit}`);
    this.log.push(`write ${[...parts.keys()].map(idOf).join(' ')}`);
    for (const [unit, { to }] of parts) {
      if (to === undefined) this.there.delete(idOf(unit));
      else this.there.set(idOf(unit), to);
    }
  }
  async close(): Promise<void> {
    this.closed = true;
  }
}

function bench(options: { fullPassMs?: number; truth?: [string, string][]; prepare?: (toy: Toy) => void } = {}) {
  const [truth, there] = [new Map(options.truth), new Map<string, string>()];
  const listeners = new Set<ChangeListener>();
  const toys: Toy[] = [];
  const leader = { held: false, gain: () => {}, lose: () => {} };
  const projection = new Projection<Name>({
    name: 'toy',
    log: pino({ level: 'silent' }),
    feed: {
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    leadership: ({ onGain, onLose }) => {
      leader.gain = () => {
        leader.held = true;
        onGain();
      };
      leader.lose = () => {
        leader.held = false;
        onLose();
      };
      return {
        get held() {
          return leader.held;
        },
        start: () => leader.gain(),
        stop: async () => leader.lose(),
      };
    },
    open: (events) => {
      const toy = new Toy(truth, there, events);
      options.prepare?.(toy);
      toys.push(toy);
      return toy;
    },
    fullPassMs: options.fullPassMs ?? 60_000,
  });
  const change = (id: string, body: Record<string, unknown> = {}, type = 'word') => {
    const row = { resource_type: type, resource_id: id, action: 'updated', body, at: new Date() } as unknown as Change;
    const place = { incarnation: 'a', transactionId: 1n, sequence: 0 };
    for (const listener of [...listeners]) listener([row], { after: place, end: place });
  };
  return {
    ...{ projection, truth, there, leader, change, listeners, toys },
    get toy() {
      return toys.at(-1)!;
    },
    set(id: string, value: string | undefined, body: Record<string, unknown> = {}) {
      if (value === undefined) truth.delete(id);
      else truth.set(id, value);
      change(id, body);
    },
    same: () => assert.deepEqual([...there].sort(), [...truth].sort()),
    async [Symbol.asyncDispose]() {
      await projection.stop();
    },
  };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!condition()) {
    if (Date.now() > end) assert.fail(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
const equal = (b: ReturnType<typeof bench>) => () =>
  b.truth.size === b.there.size && [...b.truth].every(([id, value]) => b.there.get(id) === value);

test('everything is brought there when it becomes ready, page by page, and what should not be there goes', async () => {
  await using b = bench({
    truth: [
      ['a', 'A'],
      ['b', 'B'],
      ['cc', 'C'],
    ],
  });
  b.there.set('zz', 'old');
  b.projection.start();
  await until('it is there', equal(b));
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  assert.deepEqual(b.projection.status().lastFullPass?.units, 4);
  assert.deepEqual(
    b.toy.log.filter((line) => line.startsWith('load')),
    ['load 2', 'load 2'],
  );
  assert.equal(b.projection.status().drift, 0);
});

test('a change writes what it touches and nothing else; one that does not concern it is not even looked at', async () => {
  await using b = bench({
    truth: [
      ['a', 'A'],
      ['b', 'B'],
    ],
  });
  b.projection.start();
  await until('it is there', equal(b));
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  b.toy.log.length = 0;
  b.set('a', 'AA');
  b.change('b', {}, 'other');
  await until('it is there', equal(b));
  assert.deepEqual(b.toy.log, ['load 1', 'write a']);
  assert.ok(b.projection.status().lagMs !== null);
});

test('a change that comes between reading and writing is not lost, even when it names another unit', async () => {
  await using b = bench({ truth: [] });
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  let reading = () => {};
  let release = () => {};
  const read = new Promise<void>((resolve) => {
    reading = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  b.toy.loading = () => {
    reading();
    return gate;
  };
  b.set('a', 'moves');
  await read;
  // The truth was read with the word at a; now it is nowhere, and the change does not say where it was.
  b.truth.delete('a');
  b.change('elsewhere', { was: 'moves' });
  release();
  await until('it is gone', () => b.toy.log.filter((line) => line === 'write a').length === 2);
  b.same();
});

test('a change that comes in the moment in which a pass ends is looked at as well', async () => {
  await using b = bench({ truth: [['a', '0']] });
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  const apply = b.toy.apply.bind(b.toy);
  for (let moment = 0; moment < 40; moment++) {
    b.toy.apply = async (...given) => {
      await apply(...given);
      b.toy.apply = apply;
      void (async () => {
        for (let later = 0; later < moment; later++) await null;
        b.set('b', `${moment}`);
      })();
    };
    b.set('a', `new ${moment}`);
    await until(`the second one, ${moment} steps later`, () => b.there.get('b') === `${moment}`);
  }
});

test('who waits for a unit waits for a pass that began after', async () => {
  await using b = bench({ truth: [['a', 'A']] });
  b.projection.start();
  await until('it is there', equal(b));
  b.truth.set('a', 'new');
  await b.projection.reached([name('a')], { timeoutMs: patienceMs });
  b.same();
  b.toy.refuse.add('a');
  b.truth.set('a', 'newer');
  await assert.rejects(b.projection.reached([name('a')], { timeoutMs: 50 }), /timeout/i);
  const ends = b.projection.reached([name('a')], { timeoutMs: patienceMs });
  b.leader.lose();
  await assert.rejects(ends, /no longer projects/);
  await assert.rejects(b.projection.reached([name('a')], { timeoutMs: patienceMs }), /does not project/);
});

test('what fails, fails alone and is tried again by itself', async () => {
  await using b = bench({
    truth: [
      ['a', 'A'],
      ['b', 'B'],
    ],
    prepare: (toy) => toy.refuse.add('a'),
  });
  b.projection.start();
  await until('the other is there', () => b.there.get('b') === 'B');
  await until('it is told', () => b.projection.status().failures.length === 1);
  const [failure] = b.projection.status().failures;
  assert.deepEqual([failure?.unit, failure?.error], ['word/a', 'refused word/a']);
  b.toy.refuse.clear();
  await until('it is there', equal(b));
  assert.deepEqual(b.projection.status().failures, []);
});

test('a unit that waits for another follows it at once, whatever their order', async () => {
  await using b = bench();
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  b.toy.needs.set('a', 'bbb');
  b.truth.set('a', 'A').set('bbb', 'B');
  b.change('both', { units: 'a bbb' });
  await until('it is there', equal(b));
  assert.deepEqual(b.projection.status().failures, []);
  // Not even in the same pass: what it waits for is looked at though no change named it.
  b.toy.needs.set('c', 'd');
  b.truth.set('c', 'C').set('d', 'D');
  b.change('c');
  await until('it is there', equal(b));
});

test('drift is repaired and counted; a change that came late is none', async () => {
  await using b = bench({
    truth: [
      ['a', 'A'],
      ['b', 'B'],
    ],
    fullPassMs: 20,
  });
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  b.there.set('a', 'by hand');
  await until('it is repaired', equal(b));
  await until('it is counted', () => b.projection.status().drift === 1);
  b.toy.events.disturbed([name('b')]);
  await until('told by the target', () => b.projection.status().pending === 0);
  assert.equal(b.projection.status().drift, 1);
});

test('a walk that is cut off begins again without loss', async () => {
  const truth = Array.from({ length: 20 }, (_, n): [string, string] => [`w${n}`, 'W']);
  await using b = bench({ truth });
  b.projection.start();
  await until('it is under way', () => b.there.size > 3);
  b.toy.ready = false;
  await nextTurn();
  b.there.clear();
  assert.equal(b.projection.status().connected, false);
  b.toy.ready = true;
  b.toy.events.renewed();
  await until('it is there', equal(b));
});

test('a failure to read the truth loses no change', async () => {
  await using b = bench({ truth: [['a', 'A']] });
  b.projection.start();
  await until('it is there', equal(b));
  b.toy.loading = () => Promise.reject(new Error('no database'));
  b.set('a', 'new');
  await until('it is told', () => b.projection.status().databaseError === 'no database');
  b.toy.loading = async () => {};
  await until('it is there', equal(b));
  await until('it is told', () => b.projection.status().databaseError === null);
});

test('a change of one goes before the many that another touched', async () => {
  await using b = bench();
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  const many = Array.from({ length: 2000 }, (_, n) => `m${n}`);
  for (const id of many) b.truth.set(id, 'M');
  b.change('all', { units: many.join(' ') });
  await until('they are under way', () => b.there.size > 0);
  b.set('one', 'O');
  await until('the one is there', () => b.there.has('one'));
  assert.ok(b.there.size < many.length, `${b.there.size} of many were first`);
  await until('it is there', equal(b));
});

test('more changes than can be remembered become a walk through everything', async () => {
  await using b = bench();
  b.projection.start();
  await until('the walk ends', () => b.projection.status().lastFullPass !== null);
  b.toy.pageLength = 1000;
  for (let n = 0; n < 30_000; n++) b.truth.set(`w${n}`, 'W');
  for (const id of b.truth.keys()) b.change(id);
  await until('it is there', equal(b));
});

test('others have their turn while a large target is compared', async () => {
  const truth = Array.from({ length: 20_000 }, (_, n): [string, string] => [`w${n}`, 'W']);
  let slice = 0;
  await using b = bench({
    truth,
    prepare: (toy) => {
      toy.pageLength = 5000;
      const difference = toy.difference.bind(toy);
      toy.difference = (...given) => {
        slice++;
        const until = performance.now() + 0.02;
        while (performance.now() < until);
        return difference(...given);
      };
    },
  });
  for (const [id, value] of truth) b.there.set(id, value);
  b.projection.start();
  // Counted and not timed: a machine that serves others makes a slice long, but never lets it do more.
  let longest = 0;
  while (b.projection.status().lastFullPass === null) {
    slice = 0;
    await nextTurn();
    longest = Math.max(longest, slice);
  }
  assert.equal(b.projection.status().lastFullPass?.changed, 0);
  assert.ok(longest > 0 && longest < 500, `${longest} of 0.02 ms at once`);
});

test('a new term begins with everything, and the old one writes no more', async () => {
  await using b = bench({ truth: [['a', 'A']] });
  b.projection.start();
  await until('it is there', equal(b));
  b.leader.lose();
  assert.equal(b.toy.closed, true);
  assert.equal(b.listeners.size, 0);
  b.set('a', 'new');
  assert.equal(b.projection.status().role, 'standby');
  b.leader.gain();
  await until('it is there', equal(b));
  assert.equal(b.toys.length, 2);
});

test('nothing is written once the lease has run out, though nobody has told yet', async () => {
  await using b = bench({ truth: [['a', 'A']] });
  b.projection.start();
  await until('it is there', equal(b));
  b.toy.loading = async () => {
    b.leader.held = false;
  };
  b.toy.log.length = 0;
  b.set('a', 'new');
  await until('it was read', () => b.toy.log.length > 0);
  await until('the pass ended', () => b.projection.status().pending === 1);
  assert.deepEqual(b.toy.log, ['load 1']);
  b.toy.loading = async () => {};
  b.leader.held = true;
  await until('the lease was renewed after all', equal(b));
});

test('what is ready together is written together, and one that is refused holds back nobody', async () => {
  const words = Array.from({ length: 40 }, (_, n): [string, string] => [`w${String(n).padStart(2, '0')}`, 'W']);
  await using b = bench({
    truth: words,
    prepare: (toy) => {
      toy.pageLength = 100;
      toy.refuse.add('w17');
    },
  });
  b.projection.start();
  await until('all but one are there', () => b.there.size === words.length - 1);
  await until('that one is told', () => b.projection.status().failures.length === 1);
  assert.equal(b.projection.status().failures[0]!.unit, name('w17'));
  const writes = b.toy.log.filter((line) => line.startsWith('write'));
  assert.ok(writes.length < 10, `by halves: ${writes.length} writes`);
  const before = b.toy.log.length;
  b.toy.refuse.clear();
  for (const [id] of words) b.set(id, 'V');
  await until('all have changed', equal(b));
  assert.ok(b.toy.log.slice(before).filter((line) => line.startsWith('write')).length < 10);
});

test('of a write that came to nothing for another reason nobody knows what it did: it is not cut in halves', async () => {
  await using b = bench({
    truth: ['a', 'b', 'c', 'd'].map((id) => [id, 'W']),
    prepare: (toy) => (toy.pageLength = 100),
  });
  let tries = 0;
  b.projection.start();
  await until('they are there', equal(b));
  b.toy.apply = async () => {
    tries++;
    throw new Error('no answer');
  };
  for (const id of ['a', 'b', 'c', 'd']) b.set(id, 'V');
  await until('all of them are told', () => b.projection.status().failures.length === 4);
  assert.ok(tries < 7, `${tries} tries`);
});

/** What flows have counted, however often OVN makes them anew. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FlowLedger } from './flow-ledger.ts';

const directory = mkdtempSync(join(tmpdir(), 'bl-'));
after(() => rmSync(directory, { recursive: true }));
const path = () => join(directory, Math.random().toString(36).slice(2));
const flow = (cookie: number, bornMs: number, packets: number) => ({ cookie, bornMs, packets, bytes: packets * 100 });

test('a flow that is made anew counts from zero, one that stands only what is new', async () => {
  const ledger = await FlowLedger.open(path());
  const packets = (...flows: ReturnType<typeof flow>[]) => ledger.count('a', flows, 0).packets;
  assert.equal(packets(flow(1, 5000, 10)), 10);
  assert.equal(packets(flow(1, 5200, 15)), 15, 'its age is not told exactly');
  assert.equal(packets(flow(1, 9000, 20)), 35, 'it counts more than the one before, and is another one');
  assert.equal(packets(flow(1, 9000, 19)), 35, 'one of several has gone');
  assert.equal(packets(), 35, 'the switch has none');
  assert.equal(packets(flow(1, 9000, 21)), 37, 'it was only away');
  assert.equal(packets(flow(2, 9500, 4)), 41, 'another one has its place');
});

test('it goes on after the death of the process, and a damaged file begins another one', async () => {
  const file = path();
  const first = await FlowLedger.open(file);
  first.count('a', [flow(1, 0, 10)], 0);
  await first.save(0);
  const second = await FlowLedger.open(file);
  assert.equal(second.name, first.name);
  assert.deepEqual(second.count('a', [flow(1, 0, 12)], 0), { bytes: 1200, packets: 12, sinceMs: 0 });
  writeFileSync(file, '{');
  const third = await FlowLedger.open(file);
  assert.notEqual(third.name, first.name);
  assert.equal(third.count('a', [flow(1, 0, 12)], 0).packets, 12);
});

test('what an older Bothy began to count goes on under its name', async () => {
  const file = path();
  const entry = { bytes: 100, packets: 1, flows: [flow(1, 0, 1)], lookedMs: 0 };
  writeFileSync(file, JSON.stringify({ name: 'n', entries: [['a', entry]] }));
  const ledger = await FlowLedger.open(file);
  assert.deepEqual(ledger.count('a', [flow(1, 0, 2)], 5), { bytes: 200, packets: 2 });
});

test('what is not asked for an hour is forgotten, and counts since another time when it is back', async () => {
  const file = path();
  const ledger = await FlowLedger.open(file);
  ledger.count('old', [flow(1, 0, 10)], 0);
  ledger.count('new', [flow(2, 0, 10)], 3_600_001);
  await ledger.save(3_600_001);
  const next = await FlowLedger.open(file);
  assert.deepEqual(next.count('old', [flow(1, 3_600_005, 3)], 3_600_010), {
    ...{ bytes: 300, packets: 3, sinceMs: 3_600_010 },
  });
  assert.deepEqual(next.count('new', [], 3_600_010), { bytes: 1000, packets: 10, sinceMs: 3_600_001 });
});

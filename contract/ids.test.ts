import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { newId, newOrderedId, parseId } from './ids.ts';

/** A process of its own whose clock stands still: all of its ids are of one millisecond. */
async function idsOfAnotherProcess(count: number): Promise<string[]> {
  const script = `
    Date.now = () => 1_900_000_000_000;
    const { newId } = await import(${JSON.stringify(new URL('./ids.ts', import.meta.url).href)});
    console.log(JSON.stringify(Array.from({ length: ${count} }, () => newId())));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

test('a thousand ids of one millisecond in each of two processes differ in all beginnings that others know them by', async () => {
  const ids = (await Promise.all([idsOfAnotherProcess(1000), idsOfAnotherProcess(1000)])).flat();
  // Links and taps: 11. What Horizon shows of what has no name: 13. /dev/disk/by-id/virtio-…: 20.
  for (const length of [11, 13, 20, 36]) {
    assert.equal(new Set(ids.map((id) => id.slice(0, length))).size, 2000, `the first ${length} characters`);
  }
});

test('ids keep the form that UUIDs have', () => {
  for (const [make, version] of [
    [newId, 4],
    [newOrderedId, 7],
  ] as const) {
    assert.match(make(), new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`));
  }
});

test('ordered ids of one process follow each other, within a millisecond too', () => {
  const ids = Array.from({ length: 10_000 }, () => newOrderedId());
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(new Set(ids).size, ids.length);
});

test('an id survives being written without dashes and in capitals, and nothing else is one', () => {
  for (const id of [newId(), newOrderedId()]) assert.equal(parseId(id.replaceAll('-', '').toUpperCase()), id);
  assert.equal(parseId("'; drop table server"), undefined);
});

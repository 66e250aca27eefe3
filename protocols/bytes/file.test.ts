import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, afterEach, test } from 'node:test';
import { collect } from '../../test/support/collect.ts';
import { until } from '../../test/support/until.ts';
import { openBytes } from './file.ts';
import { pieces } from './memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'bothy-test-file-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const open = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      return false;
    }
  }).length;
afterEach(() => until('all memory to be given back, and no file to be open', () => pieces.inUse === 0 && open() === 0));

const bytes = randomBytes(3_000_000);
const path = join(folder, 'file');
writeFileSync(path, bytes);
const whole = { path, sizeBytes: bytes.length, silenceMs: 5000 };

test('a file comes as it is, whole and any range of it, also when it is removed meanwhile', async () => {
  const answer = await openBytes(whole);
  assert.equal(answer.length, bytes.length);
  assert.ok((await collect(answer)).equals(bytes));
  for (const [first, last] of [
    [0, 0],
    [1, 300_000],
    [bytes.length - 1, bytes.length - 1],
  ] as const) {
    const piece = await openBytes({ ...whole, range: { first, last } });
    assert.equal(piece.length, last + 1 - first);
    assert.ok((await collect(piece)).equals(bytes.subarray(first, last + 1)));
  }
  const other = join(folder, 'other');
  writeFileSync(other, bytes);
  const opened = await openBytes({ ...whole, path: other });
  rmSync(other);
  assert.ok((await collect(opened)).equals(bytes));
});

test('what is no file of that size is not opened: another size, a link, a directory, a pipe, nothing', async () => {
  const [link, pipe] = [join(folder, 'link'), join(folder, 'pipe')];
  symlinkSync(path, link);
  execFileSync('mkfifo', [pipe]);
  for (const wrong of [
    { sizeBytes: bytes.length + 1 },
    { range: { first: 0, last: bytes.length } },
    { range: { first: -1, last: 5 } },
    ...[link, folder, pipe, join(folder, 'nothing')].map((path) => ({ path })),
  ]) {
    await assert.rejects(openBytes({ ...whole, ...wrong }));
  }
});

test('a file that becomes shorter leaves a sink that is cut and not ended', async () => {
  const shrinking = join(folder, 'shrinking');
  writeFileSync(shrinking, bytes);
  let taken = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (taken === 0) truncateSync(shrinking, 1_000_000);
      taken += chunk.length;
      setImmediate(done);
    },
  });
  await assert.rejects((await openBytes({ ...whole, path: shrinking })).sendTo(sink), /ended before the last byte/);
  await until('the sink is closed', () => sink.closed);
  assert.deepEqual([sink.writableFinished, taken], [false, 1_000_000]);
});

test('a sink that goes away, before or in between, is no error, and one that stands still is cut off', async () => {
  const leaving = new Writable({
    write(_chunk, _encoding, done) {
      setImmediate(done);
      setImmediate(() => this.destroy());
    },
  });
  await (await openBytes(whole)).sendTo(leaving);
  await (await openBytes(whole)).sendTo(new PassThrough().destroy());
  (await openBytes(whole)).destroy();
  const stuck = new Writable({ write: () => {} });
  await assert.rejects((await openBytes({ ...whole, silenceMs: 50 })).sendTo(stuck), /stood still/);
});

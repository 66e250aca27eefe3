import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  forgetLocalDisks,
  growLocalDisk,
  keepLocalDisks,
  keptDisksAmong,
  localDisksAmong,
  makeLocalDisk,
  restoreLocalDisks,
} from './local-disk.ts';

/** What a guest's udev would say of it. */
const probed = (path: string) =>
  execFileSync('/sbin/blkid', ['-p', '-o', 'value', '-s', 'TYPE', '-s', 'LABEL', path], { encoding: 'utf8' }).split(
    '\n',
  );

test('an ephemeral disk comes with an empty file system of its name, swap as swap space, and neither takes its room', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'local-disk-'));
  t.after(() => rmSync(directory, { recursive: true }));
  await makeLocalDisk(directory, { name: 'ephemeral0', sizeMiB: 1024, format: 'ext4' }, undefined);
  await makeLocalDisk(directory, { name: 'swap', sizeMiB: 256, format: 'swap' }, undefined);
  assert.deepEqual(readdirSync(directory).sort(), ['ephemeral0-1024.raw', 'swap-256.raw']);
  const [ephemeral, swap] = [join(directory, 'ephemeral0-1024.raw'), join(directory, 'swap-256.raw')];
  assert.deepEqual(probed(ephemeral).slice(0, 2).sort(), ['ephemeral0', 'ext4']);
  assert.equal(probed(swap)[0], 'swap');
  assert.deepEqual([statSync(ephemeral).size, statSync(swap).size], [2 ** 30, 2 ** 28]);
  assert.ok(statSync(ephemeral).blocks * 512 < 2 ** 26, 'an empty file system takes little');
  await growLocalDisk(directory, { name: 'ephemeral0', sizeMiB: 1024 }, { name: 'ephemeral0', sizeMiB: 2048 });
  assert.deepEqual(localDisksAmong(readdirSync(directory)), [
    { name: 'ephemeral0', sizeMiB: 2048 },
    { name: 'swap', sizeMiB: 256 },
  ]);
  assert.equal(probed(join(directory, 'ephemeral0-2048.raw')).includes('ephemeral0'), true);
});

test('an ephemeral disk is again what it was before a resize, in its size; swap is not kept, and nothing is left', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'local-disk-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = (name: string) => join(directory, name);
  writeFileSync(path('ephemeral0-64.raw'), 'before');
  truncateSync(path('ephemeral0-64.raw'), 64 * 2 ** 20);
  writeFileSync(path('swap-16.raw'), 'pages');
  const { signal } = new AbortController();
  await keepLocalDisks(directory, signal);
  const [kept] = keptDisksAmong(readdirSync(directory));
  assert.deepEqual(kept, { name: 'ephemeral0', sizeMiB: 64 });
  const copy = statSync(path('ephemeral0-64.before-resize'));
  assert.deepEqual([copy.size, copy.mode & 0o777, copy.blocks < 64], [64 * 2 ** 20, 0o600, true]);

  writeFileSync(path('ephemeral0-64.raw'), 'after!', { flag: 'r+' });
  // As after a crash: what is kept stays what it was.
  await keepLocalDisks(directory, signal);
  await growLocalDisk(directory, kept!, { name: 'ephemeral0', sizeMiB: 128 });
  await restoreLocalDisks(directory);
  await restoreLocalDisks(directory);
  assert.deepEqual(readdirSync(directory).sort(), ['ephemeral0-64.raw', 'swap-16.raw']);
  assert.equal(readFileSync(path('ephemeral0-64.raw')).subarray(0, 6).toString(), 'before');

  await keepLocalDisks(directory, signal);
  writeFileSync(path('ephemeral0-64.before-resize.new'), 'cut off');
  await forgetLocalDisks(directory);
  assert.deepEqual(readdirSync(directory).sort(), ['ephemeral0-64.raw', 'swap-16.raw']);
});

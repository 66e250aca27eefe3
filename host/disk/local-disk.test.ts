import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { growLocalDisk, localDisksAmong, makeLocalDisk } from './local-disk.ts';

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

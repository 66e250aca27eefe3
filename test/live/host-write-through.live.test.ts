/**
 * A cache that writes through, under real QEMU: what a guest reads stays in files of the faster pool, what it writes is in the volume's own, and when
 * the faster pool is lost, so is nothing.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CachedVolume } from '../support/cached-volume.ts';
import type { GuestShell } from '../support/guest-shell.ts';
import { volumeBytes } from '../support/layers.ts';
import { until } from '../support/until.ts';
import { machineFor, sequenceIn, smallGuest, volumeTests, writer, written } from '../support/volume-machine.ts';

const mib = 2 ** 20;
const pools = [
  { name: 'local', tier: 'disk', iopsPerVolume: 400 },
  { name: 'fast', tier: 'ram' },
] as const;

const read = (shell: GuestShell, { skip, count }: { skip: number; count: number }) =>
  shell.run(
    `sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vdb bs=1M skip=${skip} count=${count} 2>/dev/null | md5sum`,
  );

test('what a guest reads stays in a faster pool, what it writes never does, and the pool may be lost', {
  ...volumeTests,
  timeout: 400_000,
}, async (t) => {
  const machine = await machineFor(t, { pools });
  const { world } = machine;
  let host = await machine.host();
  const image = await smallGuest(world);
  const cached = new CachedVolume(machine, { reads: 8 * mib });
  const fast = join(world.directory, 'fast');
  const opened = join(fast, 'opened', cached.id);
  const files = () => (existsSync(opened) ? readdirSync(opened).filter((name) => name.includes('.reads')) : []);
  const kept = (name: string) => statSync(join(opened, name)).blocks * 512;
  await cached.make();
  const first = await cached.cover('writes');
  await machine.want({ image, volumes: [cached.volume] });
  let shell = await machine.shell();
  t.after(() => shell.close());
  const disk = 'until [ -e /sys/block/vdb ]; do sleep 0.1; done';
  await shell.run(disk);
  await until('a file for what is read', () => files().length === 1);

  // What was written lies in the slow pool; once it is covered, what is read of it stays in the fast one.
  await shell.run('yes first | head -c 12000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null');
  assert.ok(kept(files()[0]!) < mib);
  await world.control.untilLayer(first, 'full', ({ full }) => full === true);
  await shell.run(writer('/dev/vdb'));
  await until('some blocks to be written', async () => (await written(shell)) > 20);
  const second = await cached.cover('writes');
  await machine.want({ volumes: [cached.volume] });
  await until('a file below the new top', () => files().some((name) => name.startsWith(second)));
  let sum = '';
  await until('what was read to be kept', async () => {
    sum = await read(shell, { skip: 16, count: 3 });
    return files().some((name) => kept(name) > 2 * mib);
  });
  // Another file comes when it is full, and then the oldest goes.
  assert.notEqual(await read(shell, { skip: 16, count: 11 }), sum);
  await until('two files of the present top', () => files().filter((name) => name.startsWith(second)).length === 2);
  await until('the oldest to be gone', () => files().length === 2);
  assert.equal(await read(shell, { skip: 16, count: 3 }), sum);
  // What is below sinks, and the host dies on the way.
  cached.want(second, { parentId: cached.base, sinks: true });
  await host.stop();
  host = await machine.host();
  await cached.served(second);
  await cached.tell(first, { presence: 'absent' });
  assert.equal(await read(shell, { skip: 16, count: 3 }), sum);
  const last = await written(shell);

  // The fast pool is lost with the machine.
  await machine.kill();
  shell.close();
  for (const name of files()) rmSync(join(opened, name));
  await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 } }, 'stopped');
  const bytes = await machine.contents(second);
  assert.ok(sequenceIn(bytes) >= last);
  await machine.want({ power: 'on' });
  shell = await machine.shell();
  await shell.run(disk);
  assert.equal(await read(shell, { skip: 16, count: 3 }), sum);
  await until('what was read to be kept again', () => files().some((name) => kept(name) > 2 * mib));

  // It is lost while the guest runs: the guest goes on, without, and with it again when it is back.
  for (const name of readdirSync(fast)) rmSync(join(fast, name), { recursive: true });
  writeFileSync(join(fast, 'of-somebody-else'), '');
  assert.equal(await read(shell, { skip: 16, count: 3 }), sum);
  await world.control.untilLayer(second, 'said', ({ error }) => error?.code === 'pool_unavailable');
  assert.equal(await read(shell, { skip: 16, count: 3 }), sum);
  await machine.want({ volumes: [] });
  await until('nothing to be left', () => files().length === 0);
  assert.equal((await machine.contents(second)).length, volumeBytes);
});

test('where there is no room for what is read, the guest goes on without a cache and hears of no error', {
  ...volumeTests,
  timeout: 400_000,
}, async (t) => {
  const machine = await machineFor(t, { pools });
  const { world } = machine;
  const fast = join(world.directory, 'fast');
  mkdirSync(fast);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'none', fast]);
  try {
    await machine.host();
    const cached = new CachedVolume(machine, { reads: 32 * mib });
    await cached.make();
    await cached.cover('writes');
    await machine.want({ image: await smallGuest(world), volumes: [cached.volume] });
    const shell = await machine.shell();
    t.after(() => shell.close());
    await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
    await shell.run('yes first | head -c 8000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null');
    const second = await cached.cover('writes');
    await machine.want({ volumes: [cached.volume] });
    const opened = join(fast, 'opened', cached.id);
    await until('a file below the new top', () => readdirSync(opened).some((name) => name.startsWith(second)));
    assert.throws(() =>
      execFileSync('dd', ['if=/dev/zero', `of=${join(fast, 'full')}`, 'bs=64k'], { stdio: 'ignore' }),
    );
    const sum = await read(shell, { skip: 16, count: 5 });
    await world.control.untilLayer(second, 'said', ({ error }) => error?.code === 'pool_unavailable');
    assert.equal(await read(shell, { skip: 16, count: 5 }), sum);
    assert.equal(await shell.run('dmesg | grep -c "I/O error" || true'), '0');
    const expected = Buffer.alloc(8_000_000, 'first\n').subarray(0, 5 * mib);
    assert.equal(sum.split(' ')[0], hash('md5', expected));
  } finally {
    // Before the machine's folder goes.
    execFileSync('umount', ['-l', fast]);
  }
});

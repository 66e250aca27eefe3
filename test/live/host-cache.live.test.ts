/**
 * The cache of a volume under real QEMU: generations come, sink and go while a guest writes a numbered sequence, and whoever of QEMU and the host
 * process dies on the way, what the volume holds is an exact prefix of it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CachedVolume } from '../support/cached-volume.ts';
import { volumeBytes } from '../support/layers.ts';
import { until } from '../support/until.ts';
import { machineFor, sequenceIn, smallGuest, volumeTests, writer, written } from '../support/volume-machine.ts';

/** The slow one is slow enough for somebody to die before a sink is through. */
const pools = [
  { name: 'local', tier: 'disk', iopsPerVolume: 60 },
  { name: 'fast', tier: 'ram' },
] as const;

test(
  'generations of a cache come and sink under a guest that writes, and nothing of what it wrote is lost or old',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { pools });
    const { world } = machine;
    let host = await machine.host();
    await machine.want({ image: await smallGuest(world) });
    const shell = await machine.shell();
    t.after(() => shell.close());
    const cached = new CachedVolume(machine);
    await cached.make();
    const first = await cached.cover('writes');
    await machine.want({ volumes: [cached.volume] });
    await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
    await shell.run(writer('/dev/vdb'));
    await until('some blocks to be written', async () => (await written(shell)) > 20);

    // It is full, as QEMU says at once; control puts another one on it.
    await shell.run('yes first | head -c 9000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null');
    await world.control.untilLayer(first, 'full', ({ full }) => full === true);
    const second = await cached.cover('writes');
    await machine.want({ volumes: [cached.volume] });
    const third = await cached.cover('writes');
    await machine.want({ volumes: [cached.volume] });
    await shell.run('yes third | head -c 1000000 | dd of=/dev/vdb bs=1M seek=17 conv=fsync 2>/dev/null');

    // The oldest sinks below one that is not the top, then that one below the top; the host process dies in between.
    await cached.tell(second, { parentId: cached.base, sinks: true });
    assert.ok(cached.bytesOf(cached.base) > 8_000_000);
    await cached.tell(first, { presence: 'absent' });
    await host.stop();
    host = await machine.host();
    await cached.tell(third, { parentId: cached.base, sinks: true });
    await cached.tell(second, { presence: 'absent' });
    // What is read from below stays in the generation that its guest writes to.
    const before = cached.bytesOf(third);
    await shell.run(
      'sync; echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vdb of=/dev/null bs=1M skip=20 count=4 2>/dev/null',
    );
    assert.ok(cached.bytesOf(third) - before >= 3 * 2 ** 20, 'promoted');
    // It grows, as any volume does.
    cached.want(third, { sizeBytes: 2 * volumeBytes });
    const large = { ...cached.volume, sizeBytes: 2 * volumeBytes };
    await machine.want({ volumes: [large] });
    await shell.run(`until [ $(cat /sys/block/vdb/size) = ${(2 * volumeBytes) / 512} ]; do sleep 0.1; done`);
    await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
    const last = await written(shell);

    // Nobody has it: all of it sinks.
    await machine.want({ volumes: [] });
    const base = await cached.cover('base');
    cached.want(base, { sizeBytes: 2 * volumeBytes });
    await cached.tell(base, { parentId: cached.base, sinks: true });
    await cached.tell(third, { presence: 'absent' });
    const bytes = await machine.contents(base);
    assert.equal(bytes.length, 2 * volumeBytes);
    assert.equal(sequenceIn(bytes), last);
    assert.ok(bytes.subarray(17 * 2 ** 20, 17 * 2 ** 20 + 999_999).equals(repeated('third\n', 999_999)));
    assert.ok(bytes.subarray(18 * 2 ** 20, 18 * 2 ** 20 + 6).toString() !== 'third\n');
    // The next guest starts with it, on another generation.
    await cached.cover('writes');
    await machine.want({ volumes: [{ ...cached.volume, sizeBytes: 2 * volumeBytes }] });
  },
);

test('whoever dies during a rotation and a sink, the volume holds what its guest wrote, exactly', {
  ...volumeTests,
  timeout: 600_000,
}, async (t) => {
  const machine = await machineFor(t, { pools });
  const { world } = machine;
  let host = await machine.host();
  const image = await smallGuest(world);
  const cached = new CachedVolume(machine);
  await cached.make();
  for (const dies of ['the host in a sink', 'QEMU in a sink', 'QEMU in a rotation'] as const) {
    const first = await cached.cover('writes');
    await machine.want({ image, power: 'on', volumes: [cached.volume] });
    const shell = await machine.shell();
    await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
    const before = cached.bytesOf(first);
    await shell.run('yes first | head -c 9000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null');
    assert.ok(cached.bytesOf(first) > before);
    // The writer begins at one again: what is left of the last round's numbers would pass for gaps in this one's.
    await shell.run('dd if=/dev/zero of=/dev/vdb bs=4096 count=64 conv=notrunc,fsync 2>/dev/null');
    await shell.run(writer('/dev/vdb'));
    await until('some blocks to be written', async () => (await written(shell)) > 20);
    const second = await cached.cover('writes');
    const last = await written(shell);
    if (dies === 'QEMU in a rotation') {
      machine.want({ volumes: [cached.volume] }).catch(() => {});
      await sleep(20);
    } else {
      await machine.want({ volumes: [cached.volume] });
      cached.want(second, { parentId: cached.base, sinks: true });
      await sleep(100);
    }
    if (dies === 'the host in a sink') {
      // As kill -9: not a line more, and what it had begun goes on in QEMU.
      host.abandon();
      host = await machine.host();
      await cached.served(second);
      await machine.want({ volumes: [cached.volume] });
    } else await machine.kill();
    shell.close();
    await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 }, volumes: [] }, 'stopped');
    const base = await cached.cover('base');
    await cached.tell(base, { parentId: cached.base, sinks: true });
    for (const id of [second, first]) await cached.tell(id, { presence: 'absent' });
    const bytes = await machine.contents(base);
    assert.ok(sequenceIn(bytes) >= last, dies);
    t.diagnostic(`died: ${dies}`);
    assert.ok(bytes.subarray(16 * 2 ** 20, 16 * 2 ** 20 + 9_000_000).equals(repeated('first\n', 9_000_000)), dies);
    cached.base = base;
  }
});

/** Who dies while what a cache holds goes down, and whether the cache came under the guest, or was there at its start. */
const ends = [
  { dies: 'nobody', came: 'under the guest' },
  { dies: 'the host', came: 'under the guest' },
  { dies: 'the host', came: 'before it' },
  { dies: 'QEMU', came: 'under the guest' },
] as const;

test('a cache comes to a volume that a guest writes to and goes from it, as a retype has it, whoever dies on the way', {
  ...volumeTests,
  timeout: 600_000,
}, async (t) => {
  const machine = await machineFor(t, { pools });
  const { world } = machine;
  let host = await machine.host();
  const image = await smallGuest(world);
  const cached = new CachedVolume(machine);
  await cached.tell(cached.base, {});
  /** What it holds is frozen, and a base with a generation on it comes on that. */
  const begin = async () => {
    cached.want(cached.top, { readOnly: true });
    return { base: await cached.cover('base'), generation: await cached.cover('writes') };
  };
  for (const { dies, came } of ends) {
    const early = came === 'before it' ? await begin() : undefined;
    await machine.want({ image, power: 'on', volumes: [cached.volume] });
    const shell = await machine.shell();
    await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
    await shell.run('dd if=/dev/zero of=/dev/vdb bs=4096 count=64 conv=notrunc,fsync 2>/dev/null');
    await shell.run(writer('/dev/vdb'));
    await until('some blocks to be written', async () => (await written(shell)) > 20);
    const { base, generation } = early ?? (await begin());
    await machine.want({ volumes: [cached.volume] });
    await shell.run(`yes ${dies} | head -c 9000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null`);
    assert.ok(cached.bytesOf(generation) > 8_000_000, 'what is written lands in the faster pool');

    // It ends: the guest writes to the volume's own pool, and the generation sinks below that.
    const above = await cached.cover('base');
    await machine.want({ volumes: [cached.volume] });
    const told = await written(shell);
    cached.want(above, { parentId: base, sinks: true });
    if (dies !== 'nobody') await sleep(100);
    if (dies === 'the host') {
      host.abandon();
      host = await machine.host();
    }
    if (dies === 'QEMU') await machine.kill();
    await cached.served(above);
    await cached.tell(generation, { presence: 'absent' });
    cached.end(base);
    cached.end(above);
    await cached.cover('plain');
    let last = told;
    if (dies !== 'QEMU') {
      await machine.want({ volumes: [cached.volume] });
      const then = await written(shell);
      await until('more to be written', async () => (await written(shell)) > then + 5);
      await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
      last = await written(shell);
    }
    shell.close();
    await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 }, volumes: [] }, 'stopped');
    const bytes = await machine.contents(cached.top);
    const found = sequenceIn(bytes);
    assert.ok(dies === 'QEMU' ? found >= last : found === last, `${dies}, ${came}: ${found}, told ${last}`);
    const content = repeated(`${dies}\n`, 9_000_000);
    assert.ok(bytes.subarray(16 * 2 ** 20, 16 * 2 ** 20 + 9_000_000).equals(content), dies);
    t.diagnostic(`died: ${dies}; the cache came ${came}`);
  }
});

const repeated = (text: string, length: number): Buffer => Buffer.alloc(length, text);

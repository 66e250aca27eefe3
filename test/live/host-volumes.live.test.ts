/**
 * Volumes in a real guest under real QEMU, told what to do by its host alone. A writer in the guest writes a numbered sequence over and
 * over the same 64 blocks, each after the one before is on the disk: what a snapshot holds has to be the sequence up to some number, exactly.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { volumePciAddress } from '../../host/guest/layout.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { until } from '../support/until.ts';
import {
  machineFor,
  pairWriter,
  sequenceIn,
  smallGuest,
  type VolumeMachine,
  volumeTests,
  writer,
  written,
} from '../support/volume-machine.ts';

test(
  'a guest takes a volume while it runs, a snapshot holds an exact prefix of what it writes, it grows, goes and comes again',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { hardware: { guestAgent: true } });
    const { world } = machine;
    let host = await machine.host();
    await machine.want({ image: await smallGuest(world) });
    const shell = await machine.shell();
    t.after(() => shell.close());
    const first = await makeLayer(world);
    const volume = volumeOf(first);
    const asked = performance.now();
    await machine.want({ volumes: [volume] });
    t.diagnostic(`attach: ${Math.round(performance.now() - asked)} ms`);
    const inGuest = (what: string) => `until [ -e /sys/block/vdb ]; do sleep 0.1; done; cat /sys/block/vdb/${what}`;
    assert.equal(await shell.run(inGuest('serial')), volume.id.slice(0, 20));
    assert.equal(await shell.run(inGuest('size')), String(volumeBytes / 512));
    assert.ok((await shell.run('readlink -f /sys/block/vdb/device')).includes(`/${volumePciAddress(1)}/`));
    await shell.run(writer('/dev/vdb'));
    await until('some blocks to be written', async () => (await written(shell)) > 20);

    const second = await makeLayer(world, { parentId: first });
    const before = await written(shell);
    await machine.want({ volumes: [{ ...volume, layerId: second }] });
    const after = await written(shell);
    const kept = sequenceIn(await machine.contents(first));
    assert.ok(kept >= before && kept <= after + 1, `${before} <= ${kept} <= ${after}`);

    // Another life of the host process, which knows what is open, then another snapshot.
    await host.stop();
    host = await machine.host();
    const third = await makeLayer(world, { parentId: second });
    await machine.want({ volumes: [{ ...volume, layerId: third }] });
    assert.ok(sequenceIn(await machine.contents(second)) >= kept);
    assert.equal(sequenceIn(await machine.contents(first)), kept, 'nobody writes to a snapshot');

    const large = { ...volume, layerId: third, sizeBytes: 2 * volumeBytes };
    const { volumes } = await machine.want({ volumes: [large] });
    assert.equal(volumes![0]!.sizeBytes, 2 * volumeBytes);
    await shell.run(`until [ $(cat /sys/block/vdb/size) = ${(2 * volumeBytes) / 512} ]; do sleep 0.1; done`);
    await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
    const last = await written(shell);

    assert.deepEqual((await machine.want({ volumes: [] })).volumes ?? [], []);
    await shell.run('until [ ! -e /sys/block/vdb ]; do sleep 0.1; done');
    assert.equal(sequenceIn(await machine.contents(third)), last);
    await machine.want({ volumes: [large] });
    const sum = await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done; sha256sum /dev/vdb');
    const bytes = await machine.want({ volumes: [] }).then(() => machine.contents(third));
    assert.equal(sum.split(' ')[0], createHash('sha256').update(bytes).digest('hex'));
  },
);

test(
  'a guest boots from a volume of an image, and finds on it what it wrote, after a restart',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    await machine.host();
    const image = await smallGuest(world);
    const layerId = newOrderedId<LayerId>();
    const [sizeBytes, volumeId] = [2 ** 30, newOrderedId<VolumeId>()];
    world.control.wantLayer({
      ...{ id: layerId, volumeId, epoch: 1, generation: 1, presence: 'present', pool: 'local' },
      ...{ sizeBytes, parentId: null, image, readOnly: false },
    });
    const root = volumeOf(layerId, { id: volumeId, slot: 0, bootIndex: 0, sizeBytes, device: '/dev/vda' });
    await machine.want({ volumes: [root, volumeOf(await makeLayer(world))] });
    const before = await machine.shell();
    assert.equal(await before.run('cat /sys/block/vda/serial'), root.id.slice(0, 20));
    await before.run('echo kept >/etc/kept; sync; echo more >/dev/vdb; sync');
    before.close();
    await machine.want({ reboot: { count: 1, type: 'hard' } });
    const after = await machine.shell();
    t.after(() => after.close());
    assert.equal(await after.run('cat /etc/kept; head -n 1 /dev/vdb'), 'kept\nmore');
  },
);

test(
  'a volume gets one top after another while QEMU has it open, and what is below is nobody’s to write to',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { memoryMiB: 64 });
    const { world } = machine;
    await machine.host();
    const image = await world.storeImage(bootSectorDisk());
    const layers = [await makeLayer(world)];
    const volume = volumeOf(layers[0]!);
    await machine.want({ image, volumes: [volume] });
    for (let n = 0; n < 3; n++) {
      layers.push(await makeLayer(world, { parentId: layers.at(-1)! }));
      const asked = performance.now();
      const { volumes } = await machine.want({ volumes: [{ ...volume, layerId: layers.at(-1)! }] });
      t.diagnostic(`switch: ${Math.round(performance.now() - asked)} ms`);
      assert.equal(volumes![0]!.layerId, layers.at(-1));
      const below = join(world.directory, 'data/volumes/layers', `${layers.at(-2)}.qcow2`);
      await until(
        'what is below to be sealed',
        () => (statSync(below).mode & 0o777) === 0o440 && statSync(below).uid === 0,
      );
    }
    const top = { ...volume, layerId: layers.at(-1)! };
    const grown = await machine.want({ volumes: [{ ...top, sizeBytes: 2 * volumeBytes }] });
    assert.equal(grown.volumes![0]!.sizeBytes, 2 * volumeBytes);
    // Its next QEMU opens the whole chain anew.
    await machine.want({ reboot: { count: 1, type: 'hard' } });
    await machine.want({ volumes: [] });
  },
);

test('a guest that does not let go of a volume keeps it until it is stopped, and no longer', volumeTests, async (t) => {
  const machine = await machineFor(t, { memoryMiB: 64 });
  const { world } = machine;
  await machine.host();
  const volume = volumeOf(await makeLayer(world));
  await machine.want({ image: await world.storeImage(bootSectorDisk()) });
  assert.equal((await machine.want({ volumes: [volume] })).volumes?.[0]?.state, 'attached');
  assert.equal((await machine.want({ volumes: [] })).volumes?.[0]?.state, 'releasing');
  const stopped = await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 } }, 'stopped');
  assert.deepEqual(stopped.volumes ?? [], []);
  assert.equal((await machine.contents(volume.layerId)).length, volumeBytes);
});

test(
  'tops of one moment keep what a guest writes to two volumes in its order, also where the host process dies in between',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    let host = await machine.host();
    await machine.want({ image: await smallGuest(world) });
    const shell = await machine.shell();
    t.after(() => shell.close());
    let tops = [await makeLayer(world), await makeLayer(world)];
    const volumes = tops.map((layerId, at) => volumeOf(layerId, { slot: at + 1 }));
    await machine.want({ volumes });
    await shell.run('until [ -e /sys/block/vdb ] && [ -e /sys/block/vdc ]; do sleep 0.1; done');
    // Each number to the one, and when it is on the disk to the other.
    await shell.run(pairWriter('/dev/vdb', '/dev/vdc'));
    await until('some numbers to be written', async () => (await written(shell)) > 20);
    for (let round = 0; round < 6; round++) {
      const [below, moment] = [tops, newId()];
      tops = [];
      for (const parentId of below) tops.push(await makeLayer(world, { parentId, moment }));
      await machine.want({ volumes: volumes.map((volume, at) => ({ ...volume, layerId: tops[at]! })) });
      const [first, second] = [await machine.contents(below[0]!), await machine.contents(below[1]!)].map(sequenceIn);
      assert.ok(first! > 0 && (first === second || first === second! + 1), `${first} and ${second}`);
      t.diagnostic(`the one holds ${first}, the other ${second}`);
      if (round !== 2) continue;
      await host.stop();
      host = await machine.host();
    }
    await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
  },
);

test(
  'what a QEMU keeps open of a volume that it says it has closed is nobody else’s, and is free with its end',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    await machine.host();
    const pathOf = (id: LayerId) => join(world.directory, 'data/volumes/layers', `${id}.qcow2`);
    await machine.want({ image: await smallGuest(world) });
    const shell = await machine.shell();
    await shell.run('true');
    shell.close();
    const first = await makeLayer(world);
    const volume = volumeOf(first);
    await machine.want({ volumes: [volume] });

    // As a QEMU would that its guest has taken over, which can pass it on to whom it likes.
    const writer = await open(pathOf(first), 'r+');
    const second = await makeLayer(world, { parentId: first });
    machine.server = { ...machine.server, volumes: [{ ...volume, layerId: second }], generation: 100 };
    world.control.want(machine.server);
    const covered = await machine.seen('the writer', ({ error }) => error?.code === 'volume_kept');
    assert.equal(covered.volumes?.[0]?.layerId, first, 'what is below is not final');
    await writer.close();
    await machine.seen('the new top', ({ volumes }) => volumes?.[0]?.layerId === second);

    const reader = await open(pathOf(second), 'r');
    const kept = await machine.want({ volumes: [] });
    assert.equal(kept.volumes?.[0]?.state, 'releasing');
    await machine.seen('why', ({ step }) => /keeps its file open/.test(step ?? ''));
    assert.equal(statSync(pathOf(second)).uid, 0);
    await reader.close();
    await machine.want({}, 'running');
    await machine.seen('its end', ({ volumes }) => volumes === undefined || volumes.length === 0);

    const again = { ...volume, layerId: second };
    await machine.want({ volumes: [again] });
    await using _more = await open(pathOf(second), 'r');
    assert.equal((await machine.want({ volumes: [] })).volumes?.[0]?.state, 'releasing');
    const stopped = await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 } }, 'stopped');
    assert.deepEqual(stopped.volumes ?? [], []);
  },
);

test(
  'real QEMU takes volumes on SCSI, and at a start on SATA and in machines of before, and limits each',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { memoryMiB: 64 });
    const { world } = machine;
    await machine.host();
    const image = await world.storeImage(bootSectorDisk());
    const plain = { type: 'pc-q35-7.2', cpuModel: 'max' };
    const limits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 200, iops_rd: 0, iops_wr: 0 };
    for (const [diskBus, layout] of [
      ['scsi', 2],
      ['sata', 2],
      ['virtio', 1],
      ['virtio', 0],
    ] as const) {
      const first = volumeOf(await makeLayer(world), { slot: 1, limits });
      const volumes = [first, volumeOf(await makeLayer(world), { slot: 2 })];
      const hardware = { diskBus, shutdownSeconds: 1 };
      const on = { image, power: 'on', machine: { ...plain, layout }, hardware } as const;
      const started = await machine.want({ ...on, volumes: [first] });
      assert.equal(started.volumes?.length, 1, `${diskBus} ${layout}`);
      const hot = await machine.want({ volumes });
      assert.equal(hot.volumes?.length, diskBus === 'sata' ? 1 : 2, `${diskBus} ${layout}`);
      const off = await machine.want({ power: 'off', volumes: [] }, 'stopped');
      assert.deepEqual(off.volumes ?? [], []);
    }
  },
);

test(
  'a volume may do more after a quiet time, and large operations count as several, changed while its guest runs',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    await machine.host();
    const volume = volumeOf(await makeLayer(machine.world));
    await machine.want({ image: await smallGuest(machine.world), volumes: [volume] });
    const shell = await machine.shell();
    t.after(() => shell.close());
    const rate = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 20, iops_rd: 0, iops_wr: 0 };
    /** How long so many reads take by the guest's own clock, one after the other, past its own cache. */
    const readsMs = async (
      limits: typeof rate & { iops_max?: number; iops_size?: number },
      count: number,
      kib: number,
    ) => {
      await machine.want({ volumes: [{ ...volume, limits }] });
      const reads = `dd if=/dev/vdb of=/dev/null bs=${kib}k count=${count} iflag=direct 2>/tmp/said || cat /tmp/said`;
      const said = await shell.run(`read a _ </proc/uptime; ${reads}; read b _ </proc/uptime; echo "$a $b"`);
      const [from, to] = said.trim().split(/\s+/).slice(-2).map(Number);
      const ms = Math.round((to! - from!) * 1000);
      t.diagnostic(`${count} reads of ${kib} KiB, ${JSON.stringify(limits)}: ${ms} ms`);
      return ms;
    };
    // Of 500 reads 400 pass at once, and 100 at 20 a second; without a burst they would take 25 seconds.
    const burst = await readsMs({ ...rate, iops_max: 400 }, 500, 4);
    assert.ok(burst > 4000 && burst < 20_000, `${burst} ms`);
    const sized = await readsMs({ ...rate, iops_size: 4096 }, 25, 16);
    const plain = await readsMs(rate, 25, 16);
    assert.ok(sized > 4000 && sized > 2 * plain, `${sized} ms against ${plain} ms`);
  },
);

test(
  'a guest whose pool is full stands still and says why, and goes on when there is room, with nothing lost',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    const pool = join(world.directory, 'data/volumes');
    mkdirSync(pool, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,mode=710', 'tmpfs', pool]);
    try {
      await fillAndFree(machine, pool);
    } finally {
      execFileSync('umount', ['-l', pool]);
    }
  },
);

async function fillAndFree(machine: VolumeMachine, pool: string): Promise<void> {
  const host = await machine.host();
  const { world } = machine;
  const volume = volumeOf(await makeLayer(world));
  await machine.want({ image: await smallGuest(world), volumes: [volume] });
  const shell = await machine.shell();
  try {
    // Somebody else takes the room.
    const ballast = join(pool, 'ballast');
    execFileSync('fallocate', ['-l', '280M', ballast]);
    const bytes = 40_000_000;
    const copying = shell.run(`yes 0123456789 | head -c ${bytes} | dd of=/dev/vdb bs=1M conv=fsync 2>/dev/null`);
    const full = await machine.seen('waiting for room', ({ step }) => /waits for its disk/.test(step ?? ''));
    assert.match(full.step!, new RegExp(`no room for volume ${volume.id}`));
    const said = await machine.seen('for which', ({ error }) => error?.code === 'guest_paused');
    assert.equal(said.volumes?.[0]?.full, true);
    // Who comes next finds it so, and waits on.
    await host.stop();
    await machine.host();
    rmSync(ballast);
    await copying;
    const { volumes } = await machine.seen('running', ({ state }) => state === 'running');
    assert.equal(volumes?.[0]?.full, undefined);
    await shell.run(`yes 0123456789 | head -c ${bytes} | cmp -n ${bytes} - /dev/vdb`);
    assert.equal((await shell.run('dmesg | grep -c "I/O error" || true')).trim(), '0');
  } finally {
    shell.close();
  }
}

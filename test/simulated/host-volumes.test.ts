/** Volumes that come, change and go while the guest runs, and guests that do not let go of them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type LayerId, newId, newOrderedId } from '../../contract/ids.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { until } from '../support/until.ts';

const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 2 };
const configuration = { limits: { unplugTimeoutMs: 100, unplugRepeatMs: 30 }, sweepIntervalMs: 60 };

async function running(t: TestContext, changes: Partial<DesiredServer> = {}) {
  const world = await hostWorld(t);
  const host = world.host({ configuration });
  await host.start();
  let server: DesiredServer = {
    ...wantedServer(await world.storeImage()),
    configDrive: false,
    machine,
    ...changes,
    generation: 0,
  };
  /** Says what shall be, without waiting for it. */
  const say = (more: Partial<DesiredServer>) => {
    server = { ...server, ...more, generation: server.generation + 1 };
    world.control.want(server);
  };
  const seen = (what: string, holds: (observed: ObservedServer) => boolean) =>
    world.control.until(server.id, what, (found) => found.generation === server.generation && holds(found));
  const want = (more: Partial<DesiredServer>) => {
    say(more);
    return seen('running', ({ state }) => state === 'running');
  };
  const qemu = () => world.machine.guest(server.id)!;
  const disks = () => qemu().machine.disks.map(({ id }) => id);
  return { world, host, say, seen, want, qemu, disks, server: () => server };
}

const held = (observed: ObservedServer) => (observed.volumes ?? []).map(({ layerId, state }) => [layerId, state]);

test('a volume comes into its slot and goes again, and the guest keeps running', async (t) => {
  const { world, want, qemu, disks } = await running(t);
  const before = (await want({})) && qemu();
  const [one, two] = [volumeOf(await makeLayer(world)), volumeOf(await makeLayer(world), { slot: 2 })];
  const seen = await want({ volumes: [one, two] });
  assert.deepEqual(held(seen), [
    [one.layerId, 'attached'],
    [two.layerId, 'attached'],
  ]);
  assert.deepEqual(disks(), ['disk0', `vol-${one.id}`, `vol-${two.id}`]);
  assert.equal(qemu().machine.disks[1]!.serial, one.id.slice(0, 20));
  assert.deepEqual(held(await want({ volumes: [two] })), [[two.layerId, 'attached']]);
  assert.deepEqual(disks(), ['disk0', `vol-${two.id}`]);
  assert.equal(qemu(), before);
  // Nothing of it is open: somebody else may write to it.
  world.machine.claims.file(`${world.directory}/data/volumes/layers/${one.layerId}.qcow2`, 'write')();
  assert.deepEqual(held(await want({ reboot: { count: 1, type: 'hard' } })), [[two.layerId, 'attached']]);
  assert.notEqual(qemu(), before);
});

test('a volume whose layer is not there yet is waited for, and others are not held up', async (t) => {
  const { world, say, seen, want } = await running(t);
  await want({});
  const late = volumeOf(newOrderedId<LayerId>());
  const here = volumeOf(await makeLayer(world), { slot: 2 });
  say({ volumes: [late, here] });
  const waiting = await seen('waiting', (found) => held(found).length === 1 && /waiting for/.test(found.step ?? ''));
  assert.deepEqual(held(waiting), [[here.layerId, 'attached']]);
  await makeLayer(world, { id: late.layerId });
  assert.equal(held(await seen('running', ({ state }) => state === 'running')).length, 2);
});

test('what a server waits for is told of each thing that is asked of it, though the words are the same', async (t) => {
  const { world, say, seen, want } = await running(t);
  const one = volumeOf(await makeLayer(world));
  await want({});
  const late = volumeOf(newOrderedId<LayerId>(), { slot: 2 });
  const waits = ({ step }: ObservedServer) => /waiting for/.test(step ?? '');
  say({ volumes: [one, late], reboot: { count: 1, type: 'hard' } });
  await seen('waiting', waits);
  say({ reboot: { count: 2, type: 'hard' } });
  await seen('waiting, and the second reboot heard', waits);
  await makeLayer(world, { id: late.layerId });
  await seen('running', ({ state }) => state === 'running');
});

test('a guest that does not let go of a volume is asked again and again, keeps it, and nobody waits for it beyond a reset', async (t) => {
  const { world, want, seen, qemu, disks } = await running(t);
  const one = volumeOf(await makeLayer(world));
  const server = await want({ volumes: [one] });
  world.machine.behave(server.id, { holdsDevices: true });
  assert.deepEqual(held(await want({ volumes: [] })), [[one.layerId, 'releasing']]);
  const asked = () => qemu().executed.filter((command) => command === 'device_del').length;
  await until('it to be asked again', () => asked() > 2);
  assert.deepEqual(disks(), ['disk0', `vol-${one.id}`]);
  const { step } = await seen('told', ({ step }) => /lets go of it/.test(step ?? ''));
  assert.ok(step!.includes(one.id));
  qemu().reboot();
  await seen('free', (found) => held(found).length === 0);
  assert.deepEqual(disks(), ['disk0']);
});

test('a volume that a guest holds is free when the guest is stopped', async (t) => {
  const { world, want, say, seen } = await running(t);
  const one = volumeOf(await makeLayer(world));
  const server = await want({ volumes: [one] });
  world.machine.behave(server.id, { holdsDevices: true });
  await want({ volumes: [] });
  say({ power: 'off' });
  assert.deepEqual(held(await seen('stopped', ({ state }) => state === 'stopped')), []);
});

test('a guest writes to the new top of its volume, and what was the top is read only', async (t) => {
  const { world, want, qemu } = await running(t);
  const first = await makeLayer(world);
  const volume = volumeOf(first);
  await want({ volumes: [volume] });
  const before = qemu();
  // Two snapshots at once.
  const second = await makeLayer(world, { parentId: first });
  const third = await makeLayer(world, { parentId: second });
  const seen = await want({ volumes: [{ ...volume, layerId: third }] });
  assert.deepEqual(held(seen), [[third, 'attached']]);
  assert.equal(qemu(), before);
  const { claims } = world.machine;
  const path = (id: string) => `${world.directory}/data/volumes/layers/${id}.qcow2`;
  claims.file(path(first), 'read')();
  claims.file(path(second), 'read')();
  assert.throws(() => claims.file(path(third), 'read'), /lock/);
  await want({ volumes: [] });
  for (const id of [first, second, third]) claims.file(path(id), 'write')();
});

test('a volume grows and is limited while the guest runs, and never shrinks', async (t) => {
  const { world, want, qemu } = await running(t);
  const volume = volumeOf(await makeLayer(world));
  await want({ volumes: [volume] });
  const size = async (sizeBytes: number) =>
    (await want({ volumes: [{ ...volume, sizeBytes }] })).volumes![0]!.sizeBytes;
  assert.equal(await size(2 * volumeBytes), 2 * volumeBytes);
  assert.equal(await size(volumeBytes), 2 * volumeBytes);
  const none = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  const limits = { ...none, iops: 200, iops_max: 300, iops_size: 4096 };
  await want({ volumes: [{ ...volume, limits }] });
  const throttled = () => qemu().throttles.get(`/machine/peripheral/vol-${volume.id}/virtio-backend`);
  assert.deepEqual(throttled(), limits);
  await want({ reboot: { count: 1, type: 'hard' } });
  assert.deepEqual(throttled(), limits, 'also by its next QEMU');
  await want({ volumes: [{ ...volume, limits: { ...none, iops: 200 } }] });
  assert.deepEqual(throttled(), { ...none, iops: 200 }, 'what is said no more limits no more');
  await want({ volumes: [volume] });
  assert.deepEqual(throttled(), none);
});

test('a file that says that it is larger than it was ever made is given to no guest, and its layer has failed by name', async (t) => {
  const { world, say, seen, want } = await running(t);
  const volume = volumeOf(await makeLayer(world));
  await want({ volumes: [volume] });
  const grown = { ...volume, sizeBytes: 2 * volumeBytes };
  await want({ volumes: [grown] });
  say({ power: 'off' });
  await seen('stopped', ({ state }) => state === 'stopped');
  // As a guest's QEMU may that has it to write.
  const file = `${world.directory}/data/volumes/layers/${volume.layerId}.qcow2`;
  const forge = (bytes: number) => {
    const head = readFileSync(file);
    head.writeBigUInt64BE(BigInt(bytes), 24);
    writeFileSync(file, head);
  };
  forge(4 * volumeBytes);
  say({ power: 'on' });
  const refused = await seen('waiting', ({ step }) => /never made larger than/.test(step ?? ''));
  assert.equal(refused.state, 'building');
  const layer = await world.control.untilLayer(volume.layerId, 'refused', ({ state }) => state === 'failed');
  assert.equal(layer.error?.code, 'layer_damaged');
  assert.match(layer.error!.message, new RegExp(`says ${4 * volumeBytes} bytes, .* larger than ${2 * volumeBytes}`));
  forge(2 * volumeBytes);
  await seen('running', ({ state }) => state === 'running');
});

test('a server boots from a volume, without a disk of its own', async (t) => {
  const { world, say, seen, want, disks, server } = await running(t, { image: null });
  const root = volumeOf(newOrderedId<LayerId>(), { slot: 0, bootIndex: 0 });
  say({ volumes: [root] });
  await seen('waiting for its volume', ({ step }) => /waiting for/.test(step ?? ''));
  await makeLayer(world, { id: root.layerId });
  await seen('running', ({ state }) => state === 'running');
  assert.deepEqual(disks(), [`vol-${root.id}`]);
  const rescue = { count: 1, image: (await world.storeImage(Buffer.alloc(8192, 3)))! };
  await want({ rescue });
  assert.deepEqual(disks(), ['rescue0', `vol-${root.id}`]);
  await want({ rescue: null, vcpus: 2, resize: { count: 1, state: 'kept' } });
  assert.deepEqual(disks(), [`vol-${root.id}`]);
  say({ presence: 'absent' });
  assert.deepEqual(held(await seen('gone', ({ state }) => state === 'absent')), []);
  assert.equal(world.machine.guest(server().id), undefined);
});

test('a machine of before there was a place for volumes says that one comes with its next start', async (t) => {
  const { world, want, disks } = await running(t, { machine: { ...machine, layout: 1 } });
  await want({});
  const volume = volumeOf(await makeLayer(world));
  const seen = await want({ volumes: [volume] });
  assert.deepEqual(held(seen), []);
  assert.match(seen.step ?? '', /comes with the next start/);
  assert.equal(held(await want({ reboot: { count: 1, type: 'hard' } })).length, 1);
  // From then on it has one.
  const another = volumeOf(await makeLayer(world), { slot: 2 });
  assert.equal(held(await want({ volumes: [volume, another] })).length, 2);
  assert.equal(disks().length, 3);
});

test('a suspended guest goes on with its volumes, also with one that was detached meanwhile, which it then lets go of', async (t) => {
  const { world, want, say, seen, qemu } = await running(t);
  const [one, two] = [volumeOf(await makeLayer(world)), volumeOf(await makeLayer(world), { slot: 2 })];
  await want({ volumes: [one, two] });
  const { memory } = qemu().guest;
  say({ power: 'suspended' });
  assert.deepEqual(held(await seen('suspended', ({ state }) => state === 'suspended')), []);
  say({ volumes: [two] });
  const kept = await seen('suspended', ({ state }) => state === 'suspended');
  assert.deepEqual(held(kept), [[one.layerId, 'releasing']]);
  assert.deepEqual(held(await want({ power: 'on' })), [[two.layerId, 'attached']]);
  assert.equal(qemu().guest.memory, memory);
});

test('a guest that is suspended while a volume is half on its way in goes on, with it or without', async (t) => {
  for (const deathAfter of ['record-volume', 'add-node', 'add-disk']) {
    const { world, host, say, seen, want, qemu } = await running(t);
    await want({});
    const { memory } = qemu().guest;
    const volume = volumeOf(await makeLayer(world));
    await host.stop();
    const step = (name: string) => {
      if (name === deathAfter) throw new ProcessDied(name);
    };
    const mortal = world.host({ configuration, dependencies: { step } });
    await mortal.start();
    say({ volumes: [volume] });
    await mortal.died;
    say({ volumes: [], power: 'suspended' });
    await world.host({ configuration }).start();
    await seen('suspended', ({ state }) => state === 'suspended');
    assert.deepEqual(held(await want({ power: 'on' })), [], deathAfter);
    assert.equal(qemu().guest.memory, memory);
    world.machine.claims.file(`${world.directory}/data/volumes/layers/${volume.layerId}.qcow2`, 'write')();
  }
});

test('a host process that comes back knows what is open and goes on', async (t) => {
  const { world, host, want } = await running(t);
  const first = await makeLayer(world);
  const volume = volumeOf(first);
  await want({ volumes: [volume] });
  await host.stop();
  await world.host({ configuration }).start();
  const second = await makeLayer(world, { parentId: first });
  assert.deepEqual(held(await want({ volumes: [{ ...volume, layerId: second }] })), [[second, 'attached']]);
  assert.deepEqual(held(await want({ volumes: [] })), []);
});

test('tops of one moment come on their volumes together: none before all are there, and both or none where the host process dies', async (t) => {
  for (const deathAfter of ['record-top', 'add-top', 'cover-top']) {
    const { world, host, say, seen, want, qemu } = await running(t);
    const [a, b] = [volumeOf(await makeLayer(world)), volumeOf(await makeLayer(world), { slot: 2 })];
    await want({ volumes: [a, b] });
    const before = qemu().machine.disks.map(({ node }) => node);
    const changed = () => qemu().machine.disks.filter(({ node }, at) => node !== before[at]).length;
    await host.stop();
    const step = async (name: string) => {
      if (name === deathAfter) throw new ProcessDied(name);
    };
    const mortal = world.host({ configuration, dependencies: { step } });
    await mortal.start();
    const moment = newId();
    const [one, two] = [await makeLayer(world, { parentId: a.layerId, moment }), newOrderedId<LayerId>()];
    say({
      volumes: [
        { ...a, layerId: one },
        { ...b, layerId: two },
      ],
    });
    await seen('waiting', ({ step }) => step?.includes(two) === true);
    assert.equal(changed(), 0);
    await makeLayer(world, { id: two, parentId: b.layerId, moment });
    await mortal.died;
    assert.equal(changed(), deathAfter === 'cover-top' ? 2 : 0, deathAfter);
    await world.host({ configuration }).start();
    const tops = await seen(
      'both',
      ({ volumes }) => volumes?.every(({ layerId }) => [one, two].includes(layerId)) === true,
    );
    assert.equal(tops.volumes?.length, 2);
    assert.equal(changed(), 2);
  }
});

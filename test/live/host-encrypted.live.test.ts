/**
 * Encrypted volumes in a real guest under real QEMU, told what to do by its host alone. What the guest writes is never on the disk as it wrote
 * it, and no key is where others can see it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredImage, DesiredLayer } from '../../contract/host/index.ts';
import { type ImageId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { luksPlaceOf } from '../../host/image/qcow2.ts';
import { assertNowhere, expected, newKey, onDevice, pattern, readBack } from '../support/encrypted.ts';
import type { GuestShell } from '../support/guest-shell.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { until } from '../support/until.ts';
import { machineFor, smallGuest, type VolumeMachine, volumeTests } from '../support/volume-machine.ts';

const pidOf = ({ world, server }: VolumeMachine): number =>
  Number(readFileSync(join(world.directory, 'run/guests', server.id, 'pid'), 'utf8'));

async function shellOf(t: TestContext, machine: VolumeMachine): Promise<GuestShell> {
  const shell = await machine.shell();
  t.after(() => shell.close());
  return shell;
}

const device = (name: string) => `until [ -e /sys/block/${name} ]; do sleep 0.1; done; `;

test(
  'what a guest writes to an encrypted volume is on no disk as it wrote it, and is there again after every death',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    let host = await machine.host();
    const { passphrase, ...encryption } = newKey(machine);
    await machine.want({ image: await smallGuest(world) });
    let shell = await shellOf(t, machine);
    const began = performance.now();
    const first = await makeLayer(world, { encryption });
    t.diagnostic(`made: ${Math.round(performance.now() - began)} ms`);
    const volume = volumeOf(first);
    await machine.want({ volumes: [volume] });
    await shell.run(device('vdb') + onDevice('/dev/vdb', 0));

    // A snapshot, and what is written after it.
    const second = await makeLayer(world, { parentId: first, encryption });
    await machine.want({ volumes: [{ ...volume, layerId: second }] });
    await shell.run(onDevice('/dev/vdb', 100));
    assertNowhere(machine, pattern);
    assertNowhere(machine, passphrase);
    assert.equal(await shell.run(readBack('/dev/vdb', 0)), expected);

    // Another life of the host process: nothing is asked for as long as nothing is to be opened.
    world.control.asked.length = 0;
    await host.stop();
    host = await machine.host();
    await machine.want({ name: 'again' });
    assert.deepEqual(world.control.asked, []);

    // QEMU is killed, and control does not tell keys: the guest waits, and says for what.
    const told = world.control.keys.get(encryption.keyId)!;
    world.control.keys.delete(encryption.keyId);
    process.kill(pidOf(machine), 'SIGKILL');
    await machine.seen('ended', ({ state }) => state === 'stopped' || state === 'building');
    const top = { ...volume, layerId: second };
    machine.server = {
      ...machine.server,
      generation: machine.server.generation + 1,
      reboot: { count: 1, type: 'hard' },
    };
    world.control.want(machine.server);
    await machine.seen('waiting for the key', ({ step }) => /waiting for control to tell the key/.test(step ?? ''));
    world.control.keys.set(encryption.keyId, told);
    await machine.want({ volumes: [top] });
    shell.close();
    shell = await shellOf(t, machine);
    assert.equal(await shell.run(device('vdb') + readBack('/dev/vdb', 0)), expected);
    assert.equal(await shell.run(readBack('/dev/vdb', 100)), expected);
    assertNowhere(machine, passphrase);
    assert.match(
      readFileSync(`/proc/${pidOf(machine)}/limits`, 'utf8'),
      /Max core file size +0 +0/,
      'its memory is dumped nowhere',
    );

    // Off the guest: grown, made to build on nothing, still sealed.
    await machine.want({ volumes: [] });
    await shell.run('until [ ! -e /sys/block/vdb ]; do sleep 0.1; done');
    const layer = world.control.layers.find(({ id }) => id === second)!;
    world.control.wantLayer({ ...layer, generation: 2, sizeBytes: 2 * volumeBytes });
    await world.control.untilLayer(
      second,
      'grown',
      (seen) => seen.state === 'ready' && seen.sizeBytes === 2 * volumeBytes,
    );
    world.control.wantLayer({ ...layer, generation: 3, sizeBytes: 2 * volumeBytes, parentId: null });
    await world.control.untilLayer(second, 'alone', (seen) => seen.state === 'ready' && seen.generation === 3);
    assertNowhere(machine, pattern);
    await machine.want({ volumes: [{ ...top, sizeBytes: 2 * volumeBytes }] });
    assert.equal(await shell.run(device('vdb') + readBack('/dev/vdb', 0)), expected);
  },
);

test(
  'an encrypted volume of an image is a copy of it, and boots; a lost key and a damaged header are said',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { world } = machine;
    await machine.host();
    const { passphrase: _, ...encryption } = newKey(machine);
    const [id, volumeId, sizeBytes] = [newOrderedId<LayerId>(), newOrderedId<VolumeId>(), 2 ** 30];
    const image = await smallGuest(world);
    world.control.wantLayer({
      ...{ id, volumeId, epoch: 1, generation: 1, presence: 'present', pool: 'local' },
      ...{ sizeBytes, parentId: null, image, encryption, readOnly: false },
    });
    await world.control.untilLayer(id, 'ready', ({ state }) => state === 'ready');
    const path = join(world.directory, 'data/volumes/layers', `${id}.qcow2`);
    const head = Buffer.alloc(4096);
    await using file = await open(path, 'r+');
    await file.read(head, 0, head.length, 0);
    assert.equal(head.readBigUInt64BE(8), 0n, 'it builds on nothing');
    assert.ok((await stat(path)).size > 2 ** 22);
    const root = volumeOf(id, { id: volumeId, slot: 0, bootIndex: 0, sizeBytes, device: '/dev/vda' });
    await machine.want({ volumes: [root] });
    const shell = await shellOf(t, machine);
    await shell.run('echo kept >/etc/kept; sync');
    assert.match(await shell.run('cat /etc/kept'), /kept/);
    await machine.want({ power: 'off', hardware: { shutdownSeconds: 1 } }, 'stopped');

    const lost = newKey(machine);
    world.control.keys.set(lost.keyId, null);
    const missing = newOrderedId<LayerId>();
    const { passphrase: __, ...unknown } = lost;
    world.control.wantLayer({
      ...{
        id: missing,
        volumeId: newOrderedId<VolumeId>(),
        epoch: 1,
        generation: 1,
        presence: 'present',
        pool: 'local',
      },
      ...{ sizeBytes, parentId: null, image: null, encryption: unknown, readOnly: false },
    });
    await world.control.untilLayer(missing, 'without its key', ({ error }) => error?.code === 'key_lost');

    // Its QEMU is taken over and writes another LUKS header: it harms itself alone, and keeps nobody busy.
    const place = luksPlaceOf(head)!;
    await file.write(Buffer.from([0x7f, 0xff, 0xff, 0xff]), 0, 4, place + 164);
    const damaged = world.control.layers.find((layer) => layer.id === id)!;
    world.control.wantLayer({ ...damaged, generation: 2 });
    await world.control.untilLayer(id, 'damaged', ({ error }) => error?.code === 'layer_damaged');
    await until('nothing else to be hurt', () => world.control.observedLayers.get(missing)?.error?.code === 'key_lost');
  },
);

test(
  'an image of an encrypted volume is on no disk in the clear, has a key of its own, and becomes volumes with other keys',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { control, directory } = machine.world;
    let host = await machine.host();
    await machine.want({ image: await smallGuest(machine.world) });
    const shell = await shellOf(t, machine);
    const { passphrase: _, ...encryption } = newKey(machine);
    const first = await makeLayer(machine.world, { encryption });
    const volume = volumeOf(first);
    await machine.want({ volumes: [volume] });
    await shell.run(device('vdb') + onDevice('/dev/vdb', 0));
    const second = await makeLayer(machine.world, { parentId: first, encryption });
    await machine.want({ volumes: [{ ...volume, layerId: second }] });
    await shell.run(onDevice('/dev/vdb', 100));

    // Of what lies below the layer that the guest writes to, while it does; the key is told late, and the host dies meanwhile.
    const { passphrase, ...own } = newKey(machine);
    control.keys.delete(own.keyId);
    const imageId = newId<ImageId>();
    const layer = control.layers.find(({ id }) => id === first)!;
    const captures = [{ imageId, format: 'qcow2' as const, encryption: own }];
    control.wantLayer({ ...layer, generation: layer.generation + 1, captures });
    await control.untilLayer(first, 'waiting for the key', ({ step }) => /waiting for control/.test(step ?? ''));
    await host.stop();
    control.keys.set(own.keyId, passphrase);
    host = await machine.host();
    const { captures: made } = await control.untilLayer(first, 'an image', (seen) => seen.captures?.length === 1);
    assert.deepEqual([made![0]!.error, made![0]!.result?.virtualSizeBytes], [null, volumeBytes]);
    assertNowhere(machine, pattern);
    assertNowhere(machine, passphrase);
    control.wantLayer({ ...layer, generation: layer.generation + 2 });
    const file = join(directory, 'data/images/files', imageId);
    const head = Buffer.alloc(4096);
    await using image = await open(file, 'r');
    await image.read(head, 0, head.length, 0);
    assert.equal(head.readUInt32BE(32), 2, 'LUKS');

    const { size: sizeBytes } = await image.stat();
    const wanted: DesiredImage = { id: imageId, format: 'qcow2', sizeBytes, sha256: null, sources: [] };
    const madeOf = (more: Partial<DesiredLayer>): LayerId => {
      const id = newOrderedId<LayerId>();
      control.wantLayer({
        ...{ id, volumeId: newOrderedId<VolumeId>(), epoch: 1, generation: 1, presence: 'present', pool: 'local' },
        ...{ sizeBytes: 2 * volumeBytes, parentId: null, image: wanted, readOnly: false, ...more },
      });
      return id;
    };
    const { passphrase: __, ...another } = newKey(machine);
    const restored = madeOf({ encryption: another, imageEncryption: own });
    await control.untilLayer(restored, 'made of it', ({ state }) => state === 'ready');
    assertNowhere(machine, pattern);
    const taken = volumeOf(restored, { sizeBytes: 2 * volumeBytes, slot: 2, device: '/dev/vdc' });
    await machine.want({ volumes: [{ ...volume, layerId: second }, taken] });
    assert.equal(await shell.run(device('vdc') + readBack('/dev/vdc', 0)), expected);
    assert.notEqual(await shell.run(readBack('/dev/vdc', 100)), expected, 'as it was when the layer was frozen');

    // The image is gone and its key with it: nobody makes anything of what it was, in the clear or not.
    const lost = madeOf({ encryption: another });
    await control.untilLayer(lost, 'refused', ({ error }) => /its key is gone/.test(error?.message ?? ''));
    const clear = madeOf({});
    await control.untilLayer(clear, 'refused', ({ error }) => error?.code === 'image_refused');
  },
);

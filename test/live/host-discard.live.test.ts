/**
 * What a guest gives up is free on its host, under real QEMU: in a plain volume, above a snapshot and in an encrypted one; and what the host says of
 * its layers follows.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import type { LayerId } from '../../contract/ids.ts';
import { newKey } from '../support/encrypted.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { until } from '../support/until.ts';
import { machineFor, smallGuest, type VolumeMachine, volumeTests } from '../support/volume-machine.ts';

const mebibyte = 2 ** 20;
const written = 24 * mebibyte;
/** Tables, and what a file system keeps for itself. */
const little = 6 * mebibyte;

const fill = (device: string, seekMiB: number) =>
  `yes 0123456789 | head -c ${written} | dd of=${device} bs=1M seek=${seekMiB} conv=notrunc,fsync 2>/dev/null`;

test('what a guest discards is free in the pool, whatever its volume is made of', volumeTests, async (t) => {
  const machine = await machineFor(t);
  const { world } = machine;
  await machine.host();
  await machine.want({ image: await smallGuest(world) });
  const shell = await machine.shell();
  t.after(() => shell.close());
  const { passphrase: _, ...encryption } = newKey(machine);
  const [plain, frozen, sealed] = [
    await makeLayer(world),
    await makeLayer(world),
    await makeLayer(world, { encryption }),
  ];
  const volumes = [plain, frozen, sealed].map((layerId, at) => volumeOf(layerId, { slot: at + 1 }));
  await machine.want({ volumes });
  await shell.run('for d in vdb vdc vdd; do until [ -b /dev/$d ]; do sleep 0.1; done; done');

  // A file system whose guest says what is free of it. By their paths, for the shell has applets of some of these names.
  await shell.run(
    '/sbin/mkfs.ext4 -q -E nodiscard -O ^metadata_csum,^has_journal /dev/vdb && mkdir -p /mnt && mount /dev/vdb /mnt',
  );
  await shell.run(`${fill('/mnt/file', 0)}; sync`);
  await holds(machine, plain, (bytes) => bytes > written);
  await shell.run('rm /mnt/file; sync; /sbin/fstrim /mnt; umount /mnt');
  await holds(machine, plain, (bytes) => bytes < little);

  // Above a snapshot, which keeps what it holds.
  await shell.run(fill('/dev/vdc', 0));
  const top = await makeLayer(world, { parentId: frozen });
  await machine.want({ volumes: volumes.with(1, { ...volumes[1]!, layerId: top }) });
  await shell.run(fill('/dev/vdc', 32));
  await holds(machine, top, (bytes) => bytes > written);
  await shell.run('/sbin/blkdiscard /dev/vdc');
  await holds(machine, top, (bytes) => bytes < little);
  await holds(machine, frozen, (bytes) => bytes > written);
  const isEmpty = `cmp -n ${volumeBytes} /dev/zero`;
  await shell.run(`${isEmpty} /dev/vdc`);
  const kept = (await machine.contents(frozen)).subarray(0, 22);
  assert.equal(kept.toString(), '0123456789\n'.repeat(2));

  // In the clear nobody sees what is free there; the space is.
  await shell.run(fill('/dev/vdd', 0));
  await holds(machine, sealed, (bytes) => bytes > written);
  await shell.run('/sbin/blkdiscard /dev/vdd');
  await holds(machine, sealed, (bytes) => bytes < little);
  await shell.run(`${isEmpty} /dev/vdd`);

  // The snapshot goes, and what it held goes up: not what was given up above it.
  want(machine, top, { parentId: null });
  const isAlone = () => world.control.observedLayers.get(top)?.generation === generationOf(machine, top);
  await until('it to build on nothing', isAlone);
  await holds(machine, top, (bytes) => bytes < little);
  await shell.run(`${isEmpty} /dev/vdc`);
});

const layerOf = ({ world }: VolumeMachine, id: LayerId) => world.control.layers.find((each) => each.id === id)!;
const generationOf = (machine: VolumeMachine, id: LayerId) => layerOf(machine, id).generation;

function want(machine: VolumeMachine, id: LayerId, changes: { parentId?: null }): void {
  const layer = layerOf(machine, id);
  machine.world.control.wantLayer({ ...layer, ...changes, generation: layer.generation + 1 });
}

/** On the disk, and in the host's words when it looks next. */
async function holds(machine: VolumeMachine, id: LayerId, isRight: (bytes: number) => boolean): Promise<void> {
  const taken = () => statSync(machine.path(id)).blocks * 512;
  await until(`the layer to take what it should, not ${taken()}`, () => isRight(taken()));
  want(machine, id, {});
  const generation = generationOf(machine, id);
  await machine.world.control.untilLayer(
    id,
    'what it takes',
    (seen) => seen.generation === generation && isRight(seen.allocatedBytes),
  );
}

/**
 * Backups of encrypted volumes under real QEMU, told what to do by the host alone: what a guest wrote is in no file as it wrote it, neither in a
 * layer nor in a backup, and comes back byte by byte.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredLayer, LayerEncryption } from '../../contract/host/index.ts';
import { type BackupId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { assertNowhere, newKey, onDevice, pattern } from '../support/encrypted.ts';
import { makeLayer, volumeBytes, volumeOf } from '../support/layers.ts';
import { machineFor, smallGuest, type VolumeMachine, volumeTests } from '../support/volume-machine.ts';

async function backUp({ world: { control } }: VolumeMachine, id: LayerId, parentName: string | null = null) {
  const layer = control.layers.find((each) => each.id === id)!;
  const backup = { id: newId<BackupId>(), name: `${id}.${layer.generation}.backup`, parentName };
  control.wantLayer({ ...layer, generation: layer.generation + 1, readOnly: true, backups: [backup] });
  const { backups } = await control.untilLayer(id, 'backed up', (seen) =>
    Boolean(seen.backups?.some((each) => each.id === backup.id)),
  );
  return { backupId: backup.id, name: backup.name, ...backups![0]! };
}

function restore(
  { world: { control } }: VolumeMachine,
  source: NonNullable<DesiredLayer['source']>,
  encryption?: LayerEncryption,
): LayerId {
  const id = newOrderedId<LayerId>();
  control.wantLayer({
    ...{ id, volumeId: newOrderedId<VolumeId>(), epoch: 1, generation: 1, presence: 'present', pool: 'local' },
    ...{ sizeBytes: 2 * volumeBytes, parentId: null, image: null, readOnly: false, source },
    ...(encryption && { encryption }),
  });
  return id;
}

test(
  'a backup of an encrypted volume is encrypted, and comes back so; one in the clear becomes it',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { control, directory } = machine.world;
    await machine.host();
    await machine.want({ image: await smallGuest(machine.world) });
    const shell = await machine.shell();
    t.after(() => shell.close());
    const { passphrase, ...encryption } = newKey(machine);
    const [sealed, clear] = [await makeLayer(machine.world, { encryption }), await makeLayer(machine.world)];
    const volumes = [volumeOf(sealed), volumeOf(clear, { slot: 2, device: '/dev/vdc' })];
    await machine.want({ volumes });
    await shell.run('until [ -e /sys/block/vdb ] && [ -e /sys/block/vdc ]; do sleep 0.1; done');
    await shell.run(onDevice('/dev/vdb', 100));
    await shell.run('yes content | head -c 3000000 | dd of=/dev/vdc bs=1M seek=2 conv=fsync 2>/dev/null');
    await machine.want({ volumes: [] });
    const [before, plain] = [await machine.contents(sealed), await machine.contents(clear)];
    assert.ok(before.includes(pattern));

    const backup = await backUp(machine, sealed);
    assert.equal(backup.error, null);
    assertNowhere(machine, pattern);
    assertNowhere(machine, passphrase);
    const path = join(directory, 'data/backups', backup.name);
    assert.ok(backup.result!.sizeBytes < 8 * 2 ** 20, `it holds what was written alone: ${backup.result!.sizeBytes}`);

    const source = { backupId: backup.backupId, name: backup.name, sha256: backup.result!.sha256, encrypted: true };
    const ready = (id: LayerId) => control.untilLayer(id, 'ready', ({ state }) => state === 'ready');
    const again = restore(machine, source, encryption);
    await ready(again);
    const bytes = await machine.contents(again);
    assert.ok(bytes.subarray(0, volumeBytes).equals(before) && bytes.subarray(volumeBytes).every((byte) => byte === 0));
    assertNowhere(machine, pattern);

    const { passphrase: _, ...other } = newKey(machine);
    await control.untilLayer(
      restore(machine, source, other),
      'unreadable',
      ({ error }) => error?.code === 'layer_unreadable',
    );
    await control.untilLayer(
      restore(machine, source),
      'refused',
      ({ state, error }) => state === 'failed' && error?.code === 'encrypted',
    );

    const open = await backUp(machine, clear);
    const third = restore(machine, { backupId: open.backupId, name: open.name, sha256: open.result!.sha256 }, other);
    await ready(third);
    assert.ok(!readFileSync(machine.path(third)).includes('content\ncontent'));
    assert.ok((await machine.contents(third)).subarray(0, volumeBytes).equals(plain));

    // Without the host that made it nothing is known of the file but its name.
    mkdirSync(join(directory, 'elsewhere'));
    renameSync(path, join(directory, 'elsewhere', backup.name));
    await control.untilLayer(
      restore(machine, source, encryption),
      'missing',
      ({ error }) => error?.code === 'backup_missing',
    );
  },
);

test(
  'an encrypted backup by difference holds that alone, also of one that is such itself, and comes back with all it builds on',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t);
    const { control, directory } = machine.world;
    await machine.host();
    await machine.want({ image: await smallGuest(machine.world) });
    const shell = await machine.shell();
    t.after(() => shell.close());
    const { passphrase, ...encryption } = newKey(machine);
    const first = await makeLayer(machine.world, { encryption });
    const mib = 2 ** 20;
    const written = async (layerId: LayerId, text: string, { seek, bytes }: { seek: number; bytes: number }) => {
      await machine.want({ volumes: [volumeOf(layerId)] });
      await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
      await shell.run(`yes ${text} | head -c ${bytes} | dd of=/dev/vdb bs=1M seek=${seek} conv=fsync 2>/dev/null`);
      await machine.want({ volumes: [] });
    };
    await written(first, 'first-content', { seek: 2, bytes: 12 * mib });
    const made = [await backUp(machine, first)];
    let top = first;
    for (const [at, text] of ['second-content', 'third-content'].entries()) {
      top = await makeLayer(machine.world, { parentId: top, encryption });
      await written(top, text, { seek: 3 + at, bytes: mib });
      const backup = await backUp(machine, top, made.at(-1)!.name);
      assert.equal(backup.error, null);
      assert.ok(backup.result!.sizeBytes < 6 * mib, `it holds what differs alone: ${backup.result!.sizeBytes}`);
      made.push(backup);
    }
    for (const each of ['first-content', 'second-content', 'third-content', passphrase]) assertNowhere(machine, each);
    const backups = join(directory, 'data/backups');
    assert.deepEqual(readdirSync(backups).sort(), made.map(({ name }) => name).sort(), 'nothing is left beside them');

    const { backupId, name, result } = made.at(-1)!;
    const again = restore(machine, { backupId, name, sha256: result!.sha256, encrypted: true }, encryption);
    await control.untilLayer(again, 'ready', ({ state }) => state === 'ready');
    const [bytes, expected] = [await machine.contents(again), await machine.contents(top)];
    assert.ok(expected.includes('third-content') && expected.includes('first-content'));
    assert.ok(bytes.subarray(0, volumeBytes).equals(expected));
    assertNowhere(machine, 'third-content');
  },
);

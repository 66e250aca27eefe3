/**
 * A volume becomes encrypted, and clear again, under real QEMU while a guest writes a numbered sequence, told as control tells it
 * (control/storage/volume/move.ts); also into another pool and with another key. Whoever dies on the way, it holds an exact prefix of the
 * sequence, and as long as it is encrypted no file of the host holds what the guest wrote. Mounts a small file system, so only as root.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { assertNowhere, expected, newKey, onDevice, pattern, readBack } from '../support/encrypted.ts';
import { MovedVolume, mountRam } from '../support/moved-volume.ts';
import { until } from '../support/until.ts';
import {
  machineFor,
  sequenceIn,
  smallGuest,
  type VolumeMachine,
  volumeTests,
  writer,
  written,
} from '../support/volume-machine.ts';

test(
  'a volume is encrypted, moved so, and clear again under a guest that writes, whoever dies on the way',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { pools: [{ name: 'ram', tier: 'ram' }] });
    const unmount = mountRam(machine);
    try {
      await thereAndBack(machine, t);
    } finally {
      unmount();
    }
  },
);

async function thereAndBack(machine: VolumeMachine, t: TestContext): Promise<void> {
  let host = await machine.host();
  await machine.want({ image: await smallGuest(machine.world) });
  const shell = await machine.shell();
  t.after(() => shell.close());
  const moved = new MovedVolume(machine);
  moved.want(moved.top, {});
  await machine.want({ volumes: [moved.volume] });
  await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
  await shell.run(onDevice('/dev/vdb', 4096));
  assert.ok(readFileSync(machine.path(moved.top)).includes(pattern), 'it is in the clear');
  await shell.run(writer('/dev/vdb'));
  await until('some blocks to be written', async () => (await written(shell)) > 20);

  // In its pool; the host process ends while the content is encrypted.
  const { passphrase, ...encryption } = newKey(machine);
  const clear = moved.switchTo('local', { encryption });
  await machine.want({ volumes: [moved.volume] });
  await moved.served(moved.top);
  moved.want(moved.top, { parentId: null });
  await host.stop();
  host = await machine.host();
  await moved.moveUp(clear);
  assert.ok(!existsSync(machine.path(clear)));
  assertNowhere(machine, pattern);
  assertNowhere(machine, passphrase);

  // Into memory with its key.
  const disk = moved.switchTo('ram', { encryption });
  await machine.want({ volumes: [moved.volume] });
  await moved.moveUp(disk);
  assertNowhere(machine, pattern);

  // To another key, and QEMU is killed on the way.
  const { passphrase: second, ...other } = newKey(machine);
  const former = moved.switchTo('local', { encryption: other });
  await machine.want({ volumes: [moved.volume] });
  await moved.served(moved.top);
  const told = await written(shell);
  moved.want(moved.top, { parentId: null });
  await machine.kill();
  await moved.moveUp(former);
  assertNowhere(machine, pattern);
  const bytes = await machine.contents(moved.top);
  assert.ok(sequenceIn(bytes) >= told, 'what the guest was told is on the disk is there');
  assert.ok(bytes.subarray(4096 * 4096).includes(pattern), 'what was written before is there');

  await againInTheClear(machine, t, { moved, second });
}

async function againInTheClear(
  machine: VolumeMachine,
  t: TestContext,
  { moved, second }: { moved: MovedVolume; second: string },
): Promise<void> {
  await machine.want({ volumes: [moved.volume] });
  const shell = await machine.shell();
  t.after(() => shell.close());
  await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done; rm -f /tmp/enough /tmp/ended /tmp/written');
  await shell.run(writer('/dev/vdb'));
  await until('more blocks to be written than there are', async () => (await written(shell)) > 70);
  const sealed = moved.switchTo('local', { encryption: undefined });
  await machine.want({ volumes: [moved.volume] });
  await moved.moveUp(sealed);
  assert.equal(await shell.run(readBack('/dev/vdb', 4096)), expected);
  await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
  const last = await written(shell);
  assertNowhere(machine, second);
  await machine.want({ volumes: [] });
  assert.equal(sequenceIn(await machine.contents(moved.top)), last);
  assert.ok(statSync(machine.path(moved.top)).isFile());

  // Nobody has it: the host's own programs encrypt it.
  const { passphrase: _, ...third } = newKey(machine);
  const clear = moved.switchTo('ram', { encryption: third });
  await moved.moveUp(clear);
  assertNowhere(machine, pattern);
  assert.equal(sequenceIn(await machine.contents(moved.top)), last);
}

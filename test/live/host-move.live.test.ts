/**
 * A volume goes to another pool of its host under real QEMU, while a guest writes a numbered sequence, told as control tells it
 * (control/storage/volume/move.ts). Whoever dies on the way, what the volume holds is an exact prefix of the sequence. Mounts a small file
 * system, so only as root.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
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
  'a volume goes into memory and back under a guest that writes, whoever dies on the way',
  volumeTests,
  async (t) => {
    const machine = await machineFor(t, { pools: [{ name: 'ram', tier: 'ram' }] });
    const unmount = mountRam(machine);
    try {
      await backAndForth(machine, t);
    } finally {
      unmount();
    }
  },
);

async function backAndForth(machine: VolumeMachine, t: TestContext): Promise<void> {
  let host = await machine.host();
  await machine.want({ image: await smallGuest(machine.world) });
  const shell = await machine.shell();
  t.after(() => shell.close());
  const moved = new MovedVolume(machine);
  moved.want(moved.top, {});
  await machine.want({ volumes: [moved.volume] });
  await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done');
  await shell.run('yes content | head -c 20000000 | dd of=/dev/vdb bs=1M seek=16 conv=fsync 2>/dev/null');
  await shell.run(writer('/dev/vdb'));
  await until('some blocks to be written', async () => (await written(shell)) > 20);

  const first = moved.switchTo('ram');
  await machine.want({ volumes: [moved.volume] });
  await moved.moveUp(first);
  assert.ok(existsSync(machine.path(moved.top)));

  // Back, and the host process ends while the content moves.
  const second = moved.switchTo('local');
  await machine.want({ volumes: [moved.volume] });
  moved.want(moved.top, { parentId: null });
  await host.stop();
  host = await machine.host();
  await moved.moveUp(second);
  assert.ok(!existsSync(machine.path(second)));
  await shell.run('touch /tmp/enough; until [ -e /tmp/ended ]; do sleep 0.1; done');
  const last = await written(shell);
  await machine.want({ volumes: [] });
  assertWhole(await machine.contents(moved.top), last);

  // Nobody has it: the host's own programs move it.
  const third = moved.switchTo('ram');
  await moved.moveUp(third);
  assertWhole(await machine.contents(moved.top), last);

  // Its guest writes again, and QEMU is killed while it moves back.
  await machine.want({ volumes: [moved.volume] });
  await shell.run('until [ -e /sys/block/vdb ]; do sleep 0.1; done; rm -f /tmp/enough /tmp/ended /tmp/written');
  await shell.run(writer('/dev/vdb'));
  await until('more blocks to be written than there are', async () => (await written(shell)) > 70);
  const fourth = moved.switchTo('local');
  await machine.want({ volumes: [moved.volume] });
  const told = await written(shell);
  moved.want(moved.top, { parentId: null });
  await machine.kill();
  await moved.moveUp(fourth);
  const bytes = await machine.contents(moved.top);
  assert.ok(sequenceIn(bytes) >= told, 'what the guest was told is on the disk is there');
  assertWhole(bytes, sequenceIn(bytes));
}

function assertWhole(bytes: Buffer, last: number): void {
  assert.equal(sequenceIn(bytes), last);
  const content = bytes.subarray(16 * 2 ** 20, 16 * 2 ** 20 + 20_000_000);
  assert.ok(content.equals(Buffer.from('content\n'.repeat(2_500_000))));
}

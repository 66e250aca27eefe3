/**
 * What a volume costs its guest: reads and writes of a volume and of a plain file in one QEMU, on devices of the same words, in turns; and how long
 * the guest's writes stand still for a snapshot. The plain disk is put in behind the host's back. As root on a machine with QEMU and gcc.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { volumeDevice } from '../../host/guest/volumes.ts';
import { probeIoUring } from '../../host/machine-facts.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
import type { GuestShell } from '../../test/support/guest-shell.ts';
import { makeLayer, volumeOf } from '../../test/support/layers.ts';
import { machineFor, smallGuest, type VolumeMachine } from '../../test/support/volume-machine.ts';
import { median } from './volume-rates.ts';

const sizeBytes = 2 ** 30;
const kinds = [
  { name: '4k random read, depth 1', words: 'r 1' },
  { name: '4k random read, depth 32', words: 'r 32' },
  { name: '4k random write, depth 1', words: 'w 1' },
  { name: '4k random write, depth 32', words: 'w 32' },
  { name: '1 MiB read, one after another, depth 4', words: 'R 4' },
  { name: '1 MiB write, one after another, depth 4', words: 'W 4' },
] as const;
const [turnMs, gapMs] = [2000, 1500];

/** Medians of the rounds. */
export interface VolumeIo {
  /** Operations a second, and the ratio of two that were measured one after the other. */
  kinds: { name: string; volume: number; plain: number; ratio: number }[];
  /** The longest write of a window, in milliseconds: of those with a snapshot, of those without. */
  pauses: number;
  others: number;
}

export async function benchVolumeIo(rounds: number): Promise<VolumeIo> {
  await using stack = new AsyncDisposableStack();
  const machine = await machineFor({ after: (end: () => unknown) => stack.defer(async () => void (await end())) });
  const { world } = machine;
  const host = await machine.host();
  await machine.want({ image: await smallGuest(world) });
  const shell = await machine.shell();
  stack.defer(() => shell.close());
  const volume = volumeOf(await makeLayer(world, { sizeBytes }), { sizeBytes });
  await machine.want({ volumes: [volume] });
  // QEMU speaks with one at a time.
  await host.stop();
  await plugBeside(machine, [plainFile(world.directory), toolFile(world.directory)]);
  await machine.host();
  await shell.run('until [ -e /sys/block/vdd ]; do sleep 0.1; done; cat /dev/vdd >/tmp/io; chmod +x /tmp/io');
  for (const disk of ['vdb', 'vdc'])
    await shell.run(`dd if=/dev/urandom of=/dev/${disk} bs=1M count=1024 oflag=direct`, 300_000);
  const found = await inTurns(shell, rounds);
  const { pauses, others } = await snapshots(machine, { shell, volume, rounds });
  return { kinds: found, pauses, others };
}

async function inTurns(shell: GuestShell, rounds: number): Promise<VolumeIo['kinds']> {
  const all = kinds.map(({ name, words }) => ({ name, words, vdb: [] as number[], vdc: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const kind of all) {
      for (const disk of round % 2 === 0 ? (['vdb', 'vdc'] as const) : (['vdc', 'vdb'] as const)) {
        kind[disk].push(figureIn(await shell.run(`/tmp/io rate /dev/${disk} ${sizeBytes} ${kind.words} ${turnMs}`)));
      }
    }
  }
  return all.map(({ name, vdb, vdc }) => {
    const ratio = median(vdb.map((volume, round) => volume / vdc[round]!));
    return { name, volume: median(vdb), plain: median(vdc), ratio };
  });
}

async function snapshots(
  machine: VolumeMachine,
  { shell, volume, rounds }: { shell: GuestShell; volume: ReturnType<typeof volumeOf>; rounds: number },
): Promise<Pick<VolumeIo, 'pauses' | 'others'>> {
  const found = { pauses: [] as number[], others: [] as number[] };
  let top = volume.layerId;
  for (let round = 0; round < 2 * rounds; round++) {
    await shell.run(`/tmp/io gap /dev/vdb ${sizeBytes} ${gapMs} >/tmp/gap 2>&1 & echo $! >/tmp/pid`);
    if (round % 2 === 0) {
      top = await makeLayer(machine.world, { parentId: top, sizeBytes });
      await machine.want({ volumes: [{ ...volume, layerId: top }] });
    }
    const longest = await shell.run('while [ -e /proc/$(cat /tmp/pid) ]; do sleep 0.1; done; cat /tmp/gap');
    found[round % 2 === 0 ? 'pauses' : 'others'].push(figureIn(longest) / 1000);
  }
  return { pauses: median(found.pauses), others: median(found.others) };
}

/** Its console may have a word of the kernel's between. */
function figureIn(output: string): number {
  const line = output.split('\n').findLast((text) => /^[\d.]+$/.test(text));
  if (line === undefined) throw new Error(`the guest said: ${output}`);
  return Number(line);
}

function plainFile(directory: string): string {
  const path = join(directory, 'plain.raw');
  closeSync(openSync(path, 'w'));
  truncateSync(path, sizeBytes);
  return path;
}

/** The program that reads and writes, as the bytes of a disk: the guest has no network. */
function toolFile(directory: string): string {
  const path = join(directory, 'tool.raw');
  execFileSync('gcc', ['-O2', '-static', '-o', path, join(import.meta.dirname, 'guest-io.c')]);
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(512 - (bytes.length % 512))]));
  return path;
}

/** Disks of plain files, opened and plugged in with the words of the volume that is there. */
async function plugBeside({ world, server }: VolumeMachine, files: readonly string[]): Promise<void> {
  const path = join(world.directory, 'run/guests', server.id, 'qmp.sock');
  const qmp = await QmpClient.connect({ path, timeoutMs: 10_000 });
  const aio = (await probeIoUring()) ? 'io_uring' : 'native';
  const cache = { direct: true };
  for (const [at, filename] of files.entries()) {
    chmodSync(filename, 0o666);
    const file = { driver: 'file', filename, discard: 'unmap', aio, cache };
    const node = { driver: 'raw', 'node-name': `beside${at}`, discard: 'unmap', cache, file };
    await qmp.execute('blockdev-add', node);
    await qmp.execute('device_add', volumeDevice('virtio', { id: `beside${at}`, slot: 8 + at, node }));
  }
  qmp.close();
}

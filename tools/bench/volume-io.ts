/**
 * What a volume costs its guest: reads and writes of a volume and of a plain file in one QEMU, on devices of the same words, in turns; and how long
 * the guest's writes stand still for a snapshot. A second plain file says how far two that are the same lie apart, and QEMU's processor time outside of the guest's
 * own processors what a volume costs where those are faster than here. The plain disks are put in behind the host's back. As root on a machine with QEMU and gcc.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
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
const disks = { vdb: 'volume', vdc: 'plain', vdd: 'other' } as const;
/** Short turns, so that what else is at work meets all of them. */
const [turnsInRound, turnMs, gapMs] = [3, 600, 1500];

/** Medians of the rounds. */
export interface VolumeIo {
  /**
   * Operations a second; of a volume to a plain file, and of one plain file to another, each pair measured one after the other; microseconds of QEMU's processor time for each
   * operation, without those of the guest's processors.
   */
  kinds: { name: string; volume: number; plain: number; ratio: number; noise: number; costs: [number, number] }[];
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
  const files = ['plain', 'other'].map((name) => plainFile(world.directory, name));
  await plugBeside(machine, [...files, toolFile(world.directory)]);
  await machine.host();
  await shell.run('until [ -e /sys/block/vde ]; do sleep 0.1; done; cat /dev/vde >/tmp/io; chmod +x /tmp/io');
  for (const disk of Object.keys(disks))
    await shell.run(`dd if=/dev/urandom of=/dev/${disk} bs=1M count=1024 oflag=direct`, 300_000);
  const found = await inTurns(shell, { turns: rounds * turnsInRound, pid: qemuOf(machine) });
  const { pauses, others } = await snapshots(machine, { shell, volume, rounds });
  return { kinds: found, pauses, others };
}

interface Turn {
  rate: number;
  /** Microseconds of one operation. */
  cost: number;
}

async function inTurns(shell: GuestShell, { turns, pid }: { turns: number; pid: string }): Promise<VolumeIo['kinds']> {
  const all = kinds.map((kind) => ({ ...kind, volume: [] as Turn[], plain: [] as Turn[], other: [] as Turn[] }));
  const names = Object.keys(disks) as (keyof typeof disks)[];
  for (let turn = 0; turn < turns; turn++) {
    for (const kind of all) {
      // Each comes first, second and third as often as the others.
      for (const disk of names.map((_, at) => names[(at + turn) % names.length]!)) {
        const before = ownTimeOf(pid);
        const rate = figureIn(await shell.run(`/tmp/io rate /dev/${disk} ${sizeBytes} ${kind.words} ${turnMs}`));
        kind[disks[disk]].push({ rate, cost: (ownTimeOf(pid) - before) / ((rate * turnMs) / 1000) });
      }
    }
  }
  return all.map(({ name, volume, plain, other }) => {
    const rateOf = (all: Turn[]) => median(all.map(({ rate }) => rate));
    const costOf = (all: Turn[]) => median(all.map(({ cost }) => cost));
    const toPlain = (all: Turn[]) => median(all.map(({ rate }, at) => rate / plain[at]!.rate));
    const costs: [number, number] = [costOf(volume), costOf([...plain, ...other])];
    return { name, volume: rateOf(volume), plain: rateOf(plain), ratio: toPlain(volume), noise: toPlain(other), costs };
  });
}

/** The guest's QEMU. */
function qemuOf({ world, server }: VolumeMachine): string {
  return readFileSync(join(world.directory, 'run/guests', server.id, 'pid'), 'utf8').trim();
}

/** Microseconds that its threads have run, those of the guest's processors not counted. */
function ownTimeOf(pid: string): number {
  const tasks = join('/proc', pid, 'task');
  const own = readdirSync(tasks).filter((id) => !readFileSync(join(tasks, id, 'comm'), 'utf8').startsWith('CPU '));
  return (
    own.reduce((sum, id) => sum + Number(readFileSync(join(tasks, id, 'schedstat'), 'utf8').split(' ')[0]), 0) / 1000
  );
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

function plainFile(directory: string, name: string): string {
  const path = join(directory, `${name}.raw`);
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

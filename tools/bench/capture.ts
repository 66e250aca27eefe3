/**
 * `npm run bench -- capture`: an image of a server's disk with a gibibyte in use, by the real host process and QEMU, until it is told as
 * whole and durable; in turns with `cp --sparse` and `qemu-img convert` of the same disk, each synced. Of a guest that is off and of one
 * that runs. As root on a machine with QEMU; what else uses the disk is in all figures.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { bootSectorDisk } from '../../test/support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../../test/support/host-world.ts';
import { until } from '../../test/support/until.ts';

const usedMiB = 1024;
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_e000, count: 256 } };

export async function benchCapture({ rounds }: { rounds: number }): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const world = await hostWorld({ after: (end: () => unknown) => stack.defer(async () => void (await end())) });
  chmodSync(world.directory, 0o755);
  const directories = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...directories, guests, accelerator: 'tcg' });
  stack.defer(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  const configuration = { guests, accelerator: 'tcg', durable: true } as const;
  await world.host({ configuration, dependencies: machine }).start();
  const disk = await CapturedDisk.make(world);
  const lines: string[] = [];
  for (const power of ['off', 'on'] as const) {
    await disk.want({ power });
    const times = { cp: [], convert: [], capture: [] } as Record<'cp' | 'convert' | 'capture', number[]>;
    for (let round = 0; round < rounds; round++) {
      times.cp.push(disk.copy('cp', '--sparse=always', disk.path));
      times.convert.push(disk.copy('qemu-img', 'convert', '-U', '-W', '-O', 'qcow2', disk.path));
      times.capture.push(await disk.capture());
    }
    lines.push(`a guest that is ${power}, ${usedMiB} MiB in use, ms of ${rounds} rounds:`);
    for (const [name, all] of Object.entries(times)) lines.push(`  ${name.padEnd(8)} ${all.map(Math.round).join(' ')}`);
    const [cp, convert, capture] = [middle(times.cp), middle(times.convert), middle(times.capture)];
    lines.push(
      `  of the speed of cp ${percent(cp / capture)}, of qemu-img convert ${percent(convert / capture)} (medians)`,
    );
    const best = Math.min(...times.cp) / Math.min(...times.capture);
    lines.push(`  of cp's best ${percent(best)} at its own best`);
  }
  lines.push(`the three digests, behind the image: ${Math.round(await disk.digests())} ms`);
  return lines.join('\n');
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const percent = (part: number) => `${Math.round(100 * part)} %`;

class CapturedDisk {
  readonly #world: HostWorld;
  #now: DesiredServer;

  /** Of a server that is off, with bytes that nothing compresses. */
  static async make(world: HostWorld): Promise<CapturedDisk> {
    const disk = new CapturedDisk(world, await world.storeImage(bootSectorDisk('here\r\n')));
    await disk.want({ power: 'off' });
    const bytes = join(world.directory, 'bytes');
    const file = openSync(bytes, 'w');
    for (let written = 0; written < usedMiB; written += 16) writeSync(file, randomBytes(16 * 2 ** 20));
    closeSync(file);
    execFileSync('qemu-io', ['-c', `write -q -s ${bytes} 16M ${usedMiB}M`, disk.path]);
    rmSync(bytes);
    execFileSync('sync', ['-d', disk.path]);
    return disk;
  }

  private constructor(world: HostWorld, image: DesiredServer['image']) {
    this.#world = world;
    this.#now = wantedServer(image, { ports: [], memoryMiB: 64, generation: 0, diskGiB: 10 });
  }

  get path(): string {
    return join(this.#world.directory, 'data/servers', this.#now.id, 'disk.qcow2');
  }

  async want(change: Partial<DesiredServer>): Promise<ObservedServer> {
    this.#now = { ...this.#now, ...change, generation: this.#now.generation + 1 };
    const { control } = this.#world;
    control.want(this.#now);
    const state = this.#now.power === 'on' ? 'running' : 'stopped';
    const done = (seen: ObservedServer) =>
      seen.generation === this.#now.generation &&
      seen.state === state &&
      (this.#now.captures ?? []).every(({ imageId }) => seen.captures?.some((made) => made.imageId === imageId));
    return control.until(this.#now.id, state, done, 120_000);
  }

  /** Until the copy is on the disk; it is removed again. */
  copy(command: string, ...args: string[]): number {
    const to = join(this.#world.directory, 'data/copy');
    const begun = performance.now();
    execFileSync(command, [...args, to]);
    const file = openSync(to, 'r');
    fdatasyncSync(file);
    const took = performance.now() - begun;
    closeSync(file);
    rmSync(to);
    return took;
  }

  async capture(): Promise<number> {
    const { id, took } = await this.#capture();
    await this.#world.client.deleteImage(this.#world.endpoint(), id);
    return took;
  }

  /** From the moment that the image is whole. */
  async digests(): Promise<number> {
    const { id } = await this.#capture();
    const begun = performance.now();
    const { client } = this.#world;
    const known = async () => (await client.imageDigests(this.#world.endpoint(), id)).digests !== null;
    await until('the digests', known, { timeoutMs: 120_000 });
    return performance.now() - begun;
  }

  async #capture(): Promise<{ id: ImageId; took: number }> {
    const id = newId<ImageId>();
    const begun = performance.now();
    const { captures } = await this.want({ captures: [{ imageId: id }] });
    const took = performance.now() - begun;
    const { error } = captures!.find(({ imageId }) => imageId === id)!;
    if (error) throw new Error(error.message);
    return { id, took };
  }
}

/**
 * `npm run bench -- cache`: how fast a volume's cache answers to heat. The nodes that a guest's QEMU would have (host/server/volume-nodes.ts), in a
 * storage daemon: a volume of 1 GiB on a base that gives 200 reads and writes a second, a cache of 256 MiB on a file system in memory; 4k random
 * reads, 32 at a time, in a hot spot of 64 MiB, which then moves. Rotation and sink are the host's own steps. Writes docs/cache.svg.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LayerId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { topNode, volumeNode } from '../../host/server/volume-nodes.ts';
import type { LayerChain } from '../../host/volume/chain.ts';
import { limitOf } from '../../host/volume/index.ts';
import { sinkJob } from '../../host/volume/jobs.ts';
import { layerNode } from '../../host/volume/names.ts';
import { writeOverlay } from '../../host/volume/overlay.ts';
import { type Execute, QmpClient } from '../../protocols/qmp/index.ts';
import { curve, type Second } from './cache-curve.ts';
import { NbdReader } from './nbd-reader.ts';

const [mib, sizeBytes, iops, clusterBytes] = [2 ** 20, 2 ** 30, 200, 65536];
const fullBytes = 128 * mib;
const phases = [
  { name: 'the first hot spot', offset: 128 * mib, seconds: 20 },
  { name: 'the hot spot moves', offset: 640 * mib, seconds: 20 },
  { name: 'and moves again', offset: 384 * mib, seconds: 20 },
  { name: 'and comes back to where it was first, which has sunk', offset: 128 * mib, seconds: 20 },
];
const hotBytes = 64 * mib;
const targets = { seconds: 10, factor: 150 };

export async function benchCache(): Promise<{ text: string; missed: string[] }> {
  const [slow, fast] = [mkdtempSync(join(tmpdir(), 'bothy-cache-')), mkdtempSync('/dev/shm/bothy-cache-')];
  const volume = new BenchVolume(slow, fast);
  try {
    await volume.open();
    return await measure(volume);
  } finally {
    await volume.close();
    for (const directory of [slow, fast]) rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(volume: BenchVolume): Promise<{ text: string; missed: string[] }> {
  const reader = await NbdReader.connect(volume.socket, 'volume');
  const seconds: Second[] = [];
  const lines: string[] = [];
  const missed: string[] = [];
  for (const { name, offset, seconds: length } of phases) {
    const from = seconds.length;
    for (let n = 0; n < length; n++) seconds.push(await second(volume, reader, offset));
    const phase = seconds.slice(from);
    const reached = phase.findIndex(({ hits }) => hits >= 0.8) + 1;
    const warm = Math.round(middle(phase.slice(-5).map(({ reads }) => reads)));
    lines.push(
      `${name}: 80 % hits in second ${reached || 'none'}, then ${warm} reads a second, ${Math.round(warm / iops)} x its base`,
    );
    if (reached === 0 || reached > targets.seconds) missed.push(`${name}: 80 % hits within ${targets.seconds} s`);
    if (warm < targets.factor * iops) missed.push(`${name}: ${targets.factor} x`);
  }
  reader.close();
  const promoted = seconds.reduce((sum, { misses }) => sum + misses, 0) * clusterBytes;
  lines.push(
    `promoted ${Math.round(promoted / mib)} MiB, sunk ${Math.round(volume.sunkBytes / mib)} MiB, ${volume.rotations} rotations`,
  );
  lines.push(
    'second, reads, hits in %:',
    ...seconds.map(({ reads, hits }, at) => `${at + 1} ${reads} ${(100 * hits).toFixed(1)}`),
  );
  writeFileSync(join(import.meta.dirname, '../../docs/cache.svg'), curve(seconds, phases[0]!.seconds));
  return { text: lines.join('\n'), missed };
}

const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** What is new in the generation was not there when it was asked for. */
async function second(volume: BenchVolume, reader: NbdReader, offset: number): Promise<Second> {
  const before = volume.topBytes();
  const reads = await reader.readFor(1000, { offset, length: hotBytes, blockBytes: 4096, depth: 32 });
  const misses = Math.max(0, Math.round((volume.topBytes() - before) / clusterBytes));
  await volume.tend();
  return { reads, misses, hits: reads === 0 ? 0 : Math.max(0, 1 - misses / reads) };
}

class BenchVolume {
  readonly id = newOrderedId<VolumeId>();
  rotations = 0;
  sunkBytes = 0;
  readonly socket: string;
  readonly #slow: string;
  readonly #fast: string;
  readonly #base = newOrderedId<LayerId>();
  /** The newest first. */
  readonly #generations: LayerId[] = [];
  #daemon: ReturnType<typeof spawn> | undefined;
  #qmp: QmpClient | undefined;

  constructor(slow: string, fast: string) {
    this.#slow = slow;
    this.#fast = fast;
    this.socket = join(slow, 'nbd.sock');
  }

  async open(): Promise<void> {
    this.#fillBase();
    await this.#makeGeneration(this.#base);
    const chain = this.#chain();
    const node = await volumeNode(chain, this.#spelling);
    const limit = limitOf(chain, this.id)!;
    const monitor = join(this.#slow, 'qmp.sock');
    this.#daemon = spawn(
      'qemu-storage-daemon',
      [
        ...['--chardev', `socket,id=monitor,path=${monitor},server=on,wait=off`, '--monitor', 'chardev=monitor'],
        ...['--object', `throttle-group,id=${limit.id},x-iops-total=${limit.iops}`],
        ...['--blockdev', JSON.stringify(limit.node), '--blockdev', JSON.stringify(node)],
        ...['--nbd-server', `addr.type=unix,addr.path=${this.socket}`],
        ...['--export', `nbd,id=volume,node-name=${node['node-name']},name=volume,writable=on`],
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    while (!existsSync(monitor) && this.#daemon.exitCode === null) await sleep(20);
    this.#qmp = await QmpClient.connect({ path: monitor, timeoutMs: 10_000 });
  }

  async close(): Promise<void> {
    await this.#qmp?.execute('quit').catch(() => {});
    this.#qmp?.close();
    await sleep(200);
    this.#daemon?.kill('SIGKILL');
  }

  topBytes(): number {
    return statSync(this.#path(this.#generations[0]!)).blocks * 512;
  }

  /** What control would do (control/storage/cache/plan.ts). */
  async tend(): Promise<void> {
    if (this.topBytes() < fullBytes) return;
    const [top, older] = this.#generations;
    if (older) {
      this.sunkBytes += statSync(this.#path(older)).blocks * 512;
      const sinking = { volumeId: this.id, top: top!, layerId: top!, sunk: [older], onto: this.#base };
      await sinkJob(this.#execute, sinking, { signal: new AbortController().signal, progress: () => {} });
      rmSync(this.#path(older));
      this.#generations.pop();
    }
    await this.#makeGeneration(top!);
    const node = { ...(await topNode(this.#chain(), this.#spelling)), backing: null };
    await this.#execute('blockdev-add', node);
    await this.#execute('blockdev-snapshot', {
      node: layerNode(this.id, top!),
      overlay: layerNode(this.id, this.#generations[0]!),
    });
    this.rotations++;
  }

  readonly #execute: Execute = (command, options) => this.#qmp!.execute(command, options);

  get #spelling() {
    return { volumeId: this.id, readOnly: false, ioUring: false };
  }

  #path(id: LayerId): string {
    return join(id === this.#base ? this.#slow : this.#fast, `${id}.qcow2`);
  }

  #chain(): LayerChain {
    const generations = this.#generations.map((layerId) => ({
      ...{ layerId, path: this.#path(layerId), sizeBytes, cache: { role: 'writes', fullBytes } as const },
    }));
    const base = { layerId: this.#base, path: this.#path(this.#base), sizeBytes, iops };
    const lower = [...generations.slice(1), { ...base, cache: { role: 'base', fullBytes: null } as const }];
    return { top: generations[0]!, lower, base: null };
  }

  async #makeGeneration(below: LayerId): Promise<void> {
    const id = newOrderedId<LayerId>();
    this.#generations.unshift(id);
    const empty = { sizeBytes, buildsOn: { kind: 'layer', id: below }, format: 'qcow2' } as const;
    await writeOverlay(this.#path(id), empty, { durable: false });
  }

  /** Nothing of it is zeros, which would be no read of anything. */
  #fillBase(): void {
    const raw = join(this.#slow, 'base.raw');
    const file = openSync(raw, 'w');
    const bytes = Buffer.alloc(mib, 'heat ');
    for (let at = 0; at < sizeBytes; at += mib) writeSync(file, bytes);
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, this.#path(this.#base)]);
    rmSync(raw);
  }
}

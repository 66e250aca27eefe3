/** A machine whose guest writes to volumes under real QEMU, told what to do by its host alone, for live tests. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, createReadStream, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DesiredImage, DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, type LayerId, newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { type PoolSetting, qemuMachine } from '../../host/index.ts';
import { chainNodes, readChain, secretObjects } from '../../host/volume/chain.ts';
import { wantedBase } from '../../host/volume/decide.ts';
import { ensureGuestImage } from './guest-image.ts';
import { GuestShell } from './guest-shell.ts';
import { type HostWorld, hostWorld, wantedServer } from './host-world.ts';

const missing = ['/usr/bin/qemu-system-x86_64', '/usr/bin/qemu-storage-daemon'].filter((path) => !existsSync(path));
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : process.getuid?.() !== 0 ? 'needs root' : false;
export const volumeTests = { skip, timeout: 300_000 };
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_c000, count: 256 } };
const blocks = 64;

export interface MachineOptions extends Partial<DesiredServer> {
  /** Pools beside the one named local, or that one with other words; where they lie is the machine's to say. */
  pools?: readonly Pick<PoolSetting, 'name' | 'tier' | 'iopsPerVolume'>[];
}

export class VolumeMachine {
  readonly world: HostWorld;
  server: DesiredServer;
  readonly #pools: readonly (PoolSetting & { path: string })[];
  readonly #configuration;
  #real: Awaited<ReturnType<typeof qemuMachine>> | undefined;

  constructor(world: HostWorld, { pools = [], ...server }: MachineOptions) {
    this.world = world;
    const local = { name: 'local', tier: 'disk', path: join(world.directory, 'data/volumes'), own: true } as const;
    this.#pools = [...(pools.some(({ name }) => name === 'local') ? [] : [local]), ...pools].map((pool) => ({
      ...local,
      ...pool,
      path: pool.name === 'local' ? local.path : join(world.directory, pool.name),
    }));
    this.#configuration = {
      ...({ guests, accelerator: 'tcg', durable: true } as const),
      limits: { unplugTimeoutMs: 3000, unplugRepeatMs: 1000 },
      storage: { pools: this.#pools },
    };
    const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 };
    const plain = { machine, ports: [], configDrive: false, memoryMiB: 256, generation: 0 };
    this.server = { ...wantedServer(null), ...plain, ...server };
  }

  /** A new life of the host process. */
  async host() {
    const { directory } = this.world;
    const base = { dataDirectory: join(directory, 'data'), runDirectory: join(directory, 'run') };
    this.#real ??= await qemuMachine({ ...base, ...this.#configuration });
    const host = this.world.host({ configuration: this.#configuration, dependencies: this.#real });
    await host.start();
    return host;
  }

  async want(changes: Partial<DesiredServer>, state: ObservedServer['state'] = 'running'): Promise<ObservedServer> {
    this.server = { ...this.server, ...changes, generation: this.server.generation + 1 };
    const { control } = this.world;
    control.want(this.server);
    const { generation } = this.server;
    return control.until(this.server.id, state, (seen) => seen.state === state && seen.generation === generation);
  }

  /** QEMU dies, as by kill -9. */
  async kill(): Promise<void> {
    for (const { process } of (await this.#real?.launcher.list()) ?? []) {
      process.kill();
      await process.exited;
    }
  }

  path(id: LayerId): string {
    const layer = this.world.control.layers.find((each) => each.id === id);
    return join(this.#pools.find(({ name }) => name === layer?.pool)!.path, 'layers', `${id}.qcow2`);
  }

  seen(what: string, holds: (observed: ObservedServer) => boolean): Promise<ObservedServer> {
    return this.world.control.until(this.server.id, what, holds);
  }

  shell(): Promise<GuestShell> {
    return GuestShell.open(join(this.world.directory, 'run/guests', this.server.id, 'serial.sock'));
  }

  /** What the layer holds, read by qemu-img from outside. */
  async contents(id: LayerId): Promise<Buffer> {
    const { directory, control } = this.world;
    const chain = await readChain(id, {
      layerPath: (layer) => this.path(layer),
      imageBase: () => undefined,
      basesOf: (layer) => [wantedBase(control.layers.find(({ id: each }) => each === layer)!)],
      keyOf: (layer) => {
        const keyId = control.layers.find(({ id: each }) => each === layer)?.encryption?.keyId;
        return keyId && { id: keyId, passphrase: new Secret(control.keys.get(keyId)!) };
      },
    });
    const to = join(directory, 'contents.raw');
    const node = `json:${JSON.stringify(chainNodes(chain, { readOnly: true }))}`;
    const secrets = secretObjects(chain).flatMap(({ id, data }) => ['--object', `secret,id=${id},data=${data}`]);
    execFileSync('qemu-img', ['convert', ...secrets, '-O', 'raw', node, to]);
    const bytes = readFileSync(to);
    rmSync(to);
    return bytes;
  }
}

export async function machineFor(t: Pick<TestContext, 'after'>, server: MachineOptions = {}): Promise<VolumeMachine> {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const machine = new VolumeMachine(world, server);
  t.after(() => machine.kill());
  return machine;
}

export async function smallGuest({ client, endpoint }: HostWorld): Promise<DesiredImage> {
  const [id, file] = [newId<ImageId>(), await ensureGuestImage()];
  const stored = await client.putImage(endpoint(), id, createReadStream(file), { format: 'qcow2', maxBytes: 2 ** 31 });
  return { id, format: 'qcow2', sizeBytes: stored.sizeBytes, sha256: stored.sha256, sources: [] };
}

/** In the guest; its number goes on until it is ended. What another one has left, maybe before the guest's last start, is gone. */
export const writer = (device: string) => pairWriter(device);

/** Each number to all of the devices, one after the other. */
export const pairWriter = (...devices: string[]) =>
  `rm -f /tmp/enough /tmp/ended /tmp/written; (i=1; while [ ! -e /tmp/enough ]; do ${devices.map((device) => `printf %04096d $i | dd of=${device} bs=4096 seek=$((i % ${blocks})) conv=notrunc,fsync 2>/dev/null || break;`).join(' ')} echo $i >/tmp/written; i=$((i + 1)); done; touch /tmp/ended) </dev/null >/dev/null 2>&1 &`;

/** The last number of the sequence that the bytes hold; fails where they hold anything but all up to it. */
export function sequenceIn(bytes: Buffer): number {
  const found = Array.from({ length: blocks }, (_, at) => bytes.subarray(at * 4096, (at + 1) * 4096));
  const numbers = found.map((block) => (block.every((byte) => byte === 0) ? 0 : Number(block.toString('latin1'))));
  const last = Math.max(...numbers);
  const expected = numbers.map((_, at) => Math.max(0, last - ((((last - at) % blocks) + blocks) % blocks)));
  assert.deepEqual(numbers, expected, 'an exact prefix');
  return last;
}

export const written = async (shell: GuestShell) =>
  // It is empty for a moment before each number.
  Number(await shell.run('[ ! -e /tmp/written ] && echo 0 || until grep . /tmp/written; do :; done'));

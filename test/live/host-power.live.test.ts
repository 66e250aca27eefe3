/**
 * Pause, suspend and rescue by the real Host with real QEMU under TCG. The guest is one boot sector that counts in its memory: each
 * letter that it prints is the next of the one before, so its console tells whether it went on or began anew.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { Secret } from '../../contract/secret.ts';
import type { QemuProcess } from '../../host/guest/launcher.ts';
import type { Host } from '../../host/host.ts';
import { qemuMachine } from '../../host/index.ts';
import { bootSectorDisk, countsOn } from '../support/boot-sector-guest.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const options = { skip: !existsSync('/usr/bin/qemu-system-x86_64'), timeout: 120_000 };
const guests =
  process.getuid?.() === 0 ? { uid: 64055, gid: 64055, uids: { first: 0x6fff_f000, count: 256 } } : undefined;
const [ownText, rescueText] = ['own disk 小屋\r\n', 'rescue disk\r\n'];

class World {
  readonly world: Awaited<ReturnType<typeof hostWorld>>;
  readonly machine: Awaited<ReturnType<typeof qemuMachine>>;
  server: DesiredServer;
  #boots = 1;
  #host: Host | undefined;

  private constructor(parts: Pick<World, 'world' | 'machine' | 'server'>) {
    this.world = parts.world;
    this.machine = parts.machine;
    this.server = parts.server;
  }

  static async start(t: TestContext, change: Partial<DesiredServer> = {}): Promise<World> {
    const world = await hostWorld(t);
    chmodSync(world.directory, 0o755);
    const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
    const machine = await qemuMachine({ ...base, guests, accelerator: 'tcg' });
    const server = wantedServer(null, { ports: [], memoryMiB: 64, generation: 0, diskGiB: 1, ...change });
    const made = new World({ world, machine, server });
    t.after(() => made.powerCut());
    await made.restart();
    made.server = { ...server, image: await world.storeImage(bootSectorDisk(ownText)) };
    await made.want({ power: 'on' }, 'running');
    return made;
  }

  /** A new host process on this machine, in the place of the one before. */
  async restart(): Promise<void> {
    await this.#host?.stop();
    this.world.control.observed.clear();
    const configuration = {
      guests,
      accelerator: 'tcg',
      durable: true,
      limits: { stopTimeoutMs: 300, agentTimeoutMs: 300 },
    } as const;
    const dependencies = { ...this.machine, bootId: `boot ${this.#boots}` };
    this.#host = this.world.host({ configuration, dependencies });
    await this.#host.start();
  }

  async qemu(): Promise<QemuProcess> {
    return (await this.machine.launcher.list())[0]!.process;
  }

  /** Every QEMU ends as when the machine loses its power. */
  async powerCut(): Promise<void> {
    this.#boots++;
    for (const { process } of await this.machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  }

  async want(change: Partial<DesiredServer>, state: ObservedServer['state']): Promise<ObservedServer> {
    this.server = { ...this.server, ...change, generation: this.server.generation + 1 };
    const { control } = this.world;
    control.want(this.server);
    const { id, generation } = this.server;
    return control.until(id, state, (seen) => seen.state === state && seen.generation === generation, 30_000);
  }

  console(): string {
    return readFileSync(join(this.files, 'console.log'), 'utf8');
  }

  /** What it has printed since its last start. */
  counted(): string {
    return this.console().split('\r\n').at(-1)!;
  }

  boots(text: string): number {
    return this.console().split(text).length - 1;
  }

  counts(letters: number): Promise<void> {
    const from = this.counted().length;
    return until('the guest to count on', () => this.counted().length >= from + letters, { timeoutMs: 30_000 });
  }

  get files(): string {
    return join(this.world.directory, 'data/servers', this.server.id);
  }
}

test('a paused guest stands still, and goes on where it stood', options, async (t) => {
  const guest = await World.start(t);
  await until('the guest to speak', () => guest.boots(ownText) === 1, { timeoutMs: 30_000 });
  await guest.counts(20);
  await guest.want({ power: 'paused' }, 'paused');
  const stood = guest.console().length;
  const { pid } = await guest.qemu();
  const ticks = () => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13]);
  const before = ticks();
  // Another host process finds it paused, and leaves it so.
  await guest.restart();
  await guest.want({ name: 'another' }, 'paused');
  assert.equal(guest.console().length, stood);
  assert.ok(ticks() - before < 20, 'it uses no processor');
  await guest.want({ power: 'on' }, 'running');
  await guest.counts(20);
  assert.equal(guest.boots(ownText), 1);
  assert.ok(countsOn(guest.counted()), guest.counted());
});

test('a suspended guest goes on after its host process and its machine were restarted', options, async (t) => {
  const guest = await World.start(t);
  await until('the guest to speak', () => guest.boots(ownText) === 1, { timeoutMs: 30_000 });
  await guest.counts(20);
  const asked = performance.now();
  await guest.want({ power: 'suspended' }, 'suspended');
  t.diagnostic(`suspended within ${Math.round(performance.now() - asked)} ms`);
  assert.deepEqual(await guest.machine.launcher.list(), []);
  const memory = statSync(join(guest.files, 'memory'));
  t.diagnostic(`a memory of ${memory.size} bytes`);
  assert.deepEqual([memory.mode & 0o777, memory.uid], [0o600, process.getuid!()], 'the host’s own');
  execFileSync('qemu-img', ['check', join(guest.files, 'disk.qcow2')]);
  await guest.powerCut();
  await guest.restart();
  await guest.world.control.until(guest.server.id, 'suspended', ({ state }) => state === 'suspended', 20_000);
  const resumed = performance.now();
  await guest.want({ power: 'on' }, 'running');
  t.diagnostic(`resumed within ${Math.round(performance.now() - resumed)} ms`);
  await guest.counts(20);
  assert.equal(guest.boots(ownText), 1, 'it has not booted again');
  assert.ok(countsOn(guest.counted()), guest.counted());
  assert.equal(existsSync(join(guest.files, 'memory')), false, 'a memory is good for once');
  // And once more, since QEMU does not save one that it has saved without letting it run.
  await guest.want({ power: 'suspended' }, 'suspended');
  await guest.want({ power: 'on' }, 'running');
  await guest.counts(5);
  assert.ok(countsOn(guest.counted()), guest.counted());
});

test('a memory that can’t be read is kept and told; a hard reboot starts without it', options, async (t) => {
  const guest = await World.start(t);
  await until('the guest to speak', () => guest.boots(ownText) === 1, { timeoutMs: 30_000 });
  await guest.want({ power: 'suspended' }, 'suspended');
  const memory = join(guest.files, 'memory');
  truncateSync(memory, Math.floor(statSync(memory).size / 2));
  const failed = await guest.want({ power: 'on' }, 'failed');
  assert.equal(failed.error?.code, 'resume_failed');
  assert.match(failed.error!.message, /hard reboot starts it without: .*load of migration failed/);
  assert.ok(existsSync(memory));
  await guest.want({ reboot: { count: 1, type: 'hard' } }, 'running');
  await until('the guest to boot', () => guest.boots(ownText) === 2, { timeoutMs: 30_000 });
  assert.equal(existsSync(memory), false);
});

test('a rescued guest boots from the image, has its own disk as the second, and comes back', options, async (t) => {
  const guest = await World.start(t);
  await until('the guest to speak', () => guest.boots(ownText) === 1, { timeoutMs: 30_000 });
  const image = await guest.world.storeImage(bootSectorDisk(rescueText));
  const seen = await guest.want({ rescue: { count: 5, image: image! } }, 'running');
  assert.equal(seen.rescueCount, 5);
  await until('the rescue to speak', () => guest.boots(rescueText) === 1, { timeoutMs: 30_000 });
  const { pid } = await guest.qemu();
  const disks = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  assert.deepEqual(disks.filter((each) => each.startsWith('virtio-blk-pci')).slice(0, 2), [
    'virtio-blk-pci,drive=rescue,id=rescue0,bootindex=0',
    'virtio-blk-pci,drive=disk,id=disk0,bootindex=1',
  ]);
  await guest.want({ rescue: null }, 'running');
  await until('its own disk to speak', () => guest.boots(ownText) === 2, { timeoutMs: 30_000 });
  assert.deepEqual(
    readdirSync(guest.files).filter((name) => name.includes('rescue')),
    [],
  );
  await guest.want({ presence: 'absent' }, 'absent');
});

test(
  'a guest is counted, interrupted, and found without an agent; its channel comes back with its memory',
  options,
  async (t) => {
    const guest = await World.start(t, { hardware: { guestAgent: true } });
    await until('the guest to speak', () => guest.boots(ownText) === 1, { timeoutMs: 30_000 });
    const { world, server } = guest;
    const { client } = world;
    const seen = await client.diagnostics(world.endpoint(), server.id);
    assert.deepEqual([seen.state, seen.cpus.length, seen.memoryMiB], ['running', server.vcpus, 64]);
    assert.ok(seen.cpus[0]!.timeNs! > 0);
    assert.equal(seen.disks[0]!.name, 'disk0');
    assert.ok(seen.disks[0]!.readBytes >= 512, 'it has read its boot sector');
    await client.injectNmi(world.endpoint(), server.id);
    await guest.counts(10);
    const password = { user: 'root', password: new Secret('x') };
    await assert.rejects(client.setPassword(world.endpoint(), server.id, password), { code: 'conflict' });
    await guest.want({ power: 'suspended' }, 'suspended');
    await assert.rejects(client.diagnostics(world.endpoint(), server.id), { code: 'conflict' });
    await guest.want({ power: 'on' }, 'running');
    await guest.counts(10);
    assert.ok(countsOn(guest.counted()), guest.counted());
  },
);

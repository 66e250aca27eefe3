/** Cards of a real QEMU that come and go, with a guest that never lets go of one: it is one boot sector and knows no PCI. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredPort, DesiredServer } from '../../contract/host/index.ts';
import { newId, type PortId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
import { MemoryNetwork } from '../../simulator/fleet/network.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';

const missing = ['/usr/bin/qemu-system-x86_64', '/dev/net/tun'].filter((path) => !existsSync(path));
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : process.getuid?.() !== 0 ? 'needs root' : false;
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_d000, count: 256 } };

/** Real taps that lead nowhere. */
class Taps extends MemoryNetwork {
  readonly #tag = randomBytes(3).toString('hex');
  readonly #taps = new Map<PortId, string>();

  override async ensurePort(port: DesiredPort, uid?: number): Promise<{ tap: string; vnetHeader: boolean }> {
    await super.ensurePort(port, uid);
    const tap = this.#taps.get(port.id) ?? `bc${this.#tag}${this.#taps.size}`;
    if (!this.#taps.has(port.id)) ip('tuntap', 'add', 'dev', tap, 'mode', 'tap', 'user', String(uid));
    this.#taps.set(port.id, tap);
    return { tap, vnetHeader: false };
  }

  override async removePort(id: PortId): Promise<void> {
    await super.removePort(id);
    const tap = this.#taps.get(id);
    if (tap !== undefined) ip('link', 'del', 'dev', tap);
    this.#taps.delete(id);
  }

  remove(): void {
    for (const tap of this.#taps.values()) ip('link', 'del', 'dev', tap);
  }
}

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'ignore' });

async function liveHost(t: TestContext) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const configuration = { guests, accelerator: 'tcg', durable: true, limits: { unplugTimeoutMs: 500 } } as const;
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...base, ...configuration });
  const network = new Taps();
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
    network.remove();
  });
  const host = world.host({ configuration, dependencies: { ...machine, network } });
  await host.start();
  return { world, host, network };
}

test('a real QEMU takes cards, and a guest that holds one is not waited for beyond the deadline', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { world, host, network } = await liveHost(t);
  const plain = wantedServer(await world.storeImage(bootSectorDisk()), { memoryMiB: 64 });
  const port = (slot: number) => ({
    ...{ ...plain.ports[0]!, id: newId<PortId>(), slot },
    mac: `fa:16:3e:00:00:0${slot}`,
  });
  const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 };
  let server: DesiredServer = { ...plain, machine, ports: [port(0)], generation: 0 };
  const want = async (changes: Partial<DesiredServer>) => {
    server = { ...server, ...changes, generation: server.generation + 1 };
    world.control.want(server);
    const now = ({ state, generation }: { state: string; generation: number }) =>
      state === 'running' && generation === server.generation;
    return world.control.until(server.id, 'running', now, 20_000);
  };
  const started = (await want({})).startedAt;
  const [first] = server.ports;
  const second = port(1);
  await want({ ports: [first!, second, port(2)] });
  const asked = performance.now();
  const seen = await want({ ports: server.ports.filter(({ id }) => id !== second.id) });
  assert.ok(performance.now() - asked >= 400, 'it was waited for');
  assert.equal(seen.startedAt, started, 'the guest has run on');
  assert.equal(network.ports.has(second.id), false);
  await host.stop();
  const client = await QmpClient.connect({
    path: join(world.directory, 'run/guests', server.id, 'qmp.sock'),
    timeoutMs: 5000,
  });
  const devices = async () =>
    (await client.execute<{ name: string }[]>('qom-list', { path: '/machine/peripheral' })).map(({ name }) => name);
  try {
    assert.deepEqual((await devices()).filter((name) => name.startsWith('nic')).toSorted(), ['nic0', 'nic1', 'nic2']);
  } finally {
    client.close();
  }
});

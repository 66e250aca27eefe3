/** What a host tells of its meters: all that control has not recorded, over its own death and what is unplugged. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type HostMessage, messageLimits } from '../../contract/host/index.ts';
import { newId } from '../../contract/ids.ts';
import { MemoryNetwork } from '../../simulator/fleet/network.ts';
import { silent } from '../logger.ts';
import { exampleServer } from '../metadata/testing.ts';
import { Meters } from './meters.ts';

const port = exampleServer().ports[0]!;

class World implements AsyncDisposable {
  readonly network = new MemoryNetwork();
  readonly directory = mkdtempSync(join(tmpdir(), 'bm-'));
  readonly said: (HostMessage & { type: 'meters' })[] = [];
  online = true;

  /** Another life of the host process. */
  async meters(bootId = 'boot'): Promise<Meters> {
    const meters = new Meters({
      ...{ dataDirectory: this.directory, durable: false, bootId, network: this.network, log: silent },
      ...{ intervalMs: 1_000_000, send: (message) => void (this.online && this.said.push(message)) },
    });
    await meters.open();
    return meters;
  }

  /** What is told at a beat, in bytes; undefined: nothing. */
  async told(meters: Meters): Promise<number[] | undefined> {
    const before = this.said.length;
    await meters.beat();
    return this.said.slice(before)[0]?.readings.map(({ rxBytes }) => rxBytes);
  }

  get sequence(): number {
    return this.said.at(-1)!.sequence;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.directory, { recursive: true });
  }
}

test('what control has recorded is not told again until it has grown, what it has not is', async () => {
  await using world = new World();
  const meters = await world.meters();
  await world.network.ensurePort(port);
  world.network.receive(port.id, 100);
  assert.deepEqual(await world.told(meters), [100]);
  assert.deepEqual(await world.told(meters), [100], 'there was no answer');
  await meters.recorded(world.sequence - 1);
  assert.deepEqual(await world.told(meters), [100], 'the answer was to an earlier word');
  await meters.recorded(world.sequence);
  assert.equal(await world.told(meters), undefined);
  world.network.receive(port.id, 1);
  assert.deepEqual(await world.told(meters), [101]);
});

test('the last word of a port that was unplugged is kept over the death of the host until control has it', async () => {
  await using world = new World();
  const meters = await world.meters();
  await world.network.ensurePort(port);
  world.network.receive(port.id, 100);
  world.online = false;
  await world.told(meters);
  await world.network.removePort(port.id);
  const next = await world.meters();
  world.online = true;
  await world.network.ensurePort(port);
  world.network.receive(port.id, 7);
  assert.deepEqual(await world.told(next), [100, 7]);
  const [first, second] = world.said.at(-1)!.readings;
  assert.notEqual(first!.source, second!.source);
  await next.recorded(world.sequence);
  assert.equal(await world.told(next), undefined);
  assert.deepEqual(await world.told(await world.meters()), [7], 'what is recorded and gone is forgotten');
});

test('routers and floating IPs are told under the names of what counts them, and no more once they are recorded', async () => {
  await using world = new World();
  const meters = await world.meters();
  const statistics = { rx: { bytes: 1, packets: 2 }, tx: { bytes: 3, packets: 4 } };
  const routerId = newId();
  const counted = { direction: 'ingress', source: '0.0.0.0/0', destination: '10.0.0.0/24' } as const;
  world.network.routers = [
    { routerId, counter: 'ledger/gateway', statistics },
    { routerId, floatingIp: '203.0.113.9', counter: 'ledger/nat', statistics },
    { routerId, counted, counter: 'ledger/policy', statistics },
  ];
  await world.told(meters);
  const told = { rxBytes: 1, rxPackets: 2, txBytes: 3, txPackets: 4 };
  assert.deepEqual(world.said[0]!.readings, [
    { source: 'ledger/gateway', routerId, ...told },
    { source: 'ledger/nat', routerId, floatingIp: '203.0.113.9', ...told },
    { source: 'ledger/policy', counted: { routerId, ...counted }, ...told },
  ]);
  await meters.recorded(world.sequence);
  assert.equal(await world.told(meters), undefined);
});

test('after another start of the machine a counter has another name', async () => {
  await using world = new World();
  await world.network.ensurePort(port);
  await world.told(await world.meters('one'));
  await world.told(await world.meters('two'));
  const [one, two] = world.said.map(({ readings }) => readings[0]!.source);
  assert.notEqual(one, two);
});

test('what goes into no one message is told after its answer, or first at the next beat, though all else has grown meanwhile', async () => {
  await using world = new World();
  const meters = await world.meters();
  const all = Array.from({ length: messageLimits.meters + 5 }, (_, n) => `counter ${n}`);
  const grow = (bytes: number) => {
    const statistics = { rx: { bytes, packets: 1 }, tx: { bytes: 0, packets: 0 } };
    world.network.routers = all.map((counter) => ({ routerId: newId(), counter, statistics }));
  };
  const sources = () => world.said.at(-1)!.readings.map(({ source }) => source);
  grow(1);
  await meters.beat();
  assert.equal(sources().length, messageLimits.meters);
  grow(2);
  await meters.recorded(world.sequence);
  assert.deepEqual(sources(), all.slice(-5));
  await meters.recorded(world.sequence);
  await meters.beat();
  grow(3);
  await meters.beat();
  assert.deepEqual(sources().slice(0, 5), all.slice(-5), 'there was no answer');
  assert.equal(world.said.length, 4);
});

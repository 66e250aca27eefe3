/** Cards that come and go while the guest runs, and guests that do not let go of them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { newId, type PortId } from '../../contract/ids.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 };

async function running(t: TestContext, options: { layout?: number; slots?: number[] } = {}) {
  const world = await hostWorld(t);
  const host = world.host({ configuration: { limits: { unplugTimeoutMs: 150 } } });
  await host.start();
  const plain = wantedServer(await world.storeImage());
  const port = (slot: number) => ({
    ...{ ...plain.ports[0]!, id: newId<PortId>(), slot },
    mac: `fa:16:3e:00:00:${slot.toString(16).padStart(2, '0')}`,
  });
  let server: DesiredServer = {
    ...{ ...plain, machine: { ...machine, layout: options.layout ?? 1 } },
    ports: (options.slots ?? [0]).map(port),
  };
  const want = async (changes: Partial<DesiredServer>) => {
    server = { ...server, ...changes, generation: server.generation + 1 };
    world.control.want(server);
    const { generation } = server;
    await world.control.until(
      server.id,
      'running',
      (seen) => seen.state === 'running' && seen.generation === generation,
    );
  };
  await want({});
  const qemu = () => world.machine.guest(server.id)!;
  const macs = () => qemu().machine.cards.map(({ mac }) => mac);
  return { world, host, port, want, qemu, macs, server: () => server };
}

const last = (slot: number) => `fa:16:3e:00:00:0${slot}`;

test('a card comes into the lowest place, and the guest keeps running', async (t) => {
  const { port, want, qemu, macs, server, world } = await running(t);
  const before = qemu();
  await want({ ports: [...server().ports, port(1), port(2)] });
  assert.deepEqual(macs(), [last(0), last(1), last(2)]);
  assert.equal(qemu(), before);
  const [first, , third] = server().ports;
  await want({ ports: [first!, third!] });
  assert.deepEqual(macs(), [last(0), last(2)]);
  assert.deepEqual([...world.network.ports.keys()], [first!.id, third!.id]);
  // The next start has the same in the same places.
  await want({ reboot: { count: 1, type: 'hard' } });
  assert.notEqual(qemu(), before);
  assert.deepEqual(
    qemu().machine.cards.map(({ id, mac }) => [id, mac]),
    [
      ['nic0', last(0)],
      ['nic2', last(2)],
    ],
  );
});

test('a guest that does not let go of a card loses its port at once, is left in peace, and has no such card at its next start', async (t) => {
  const { port, want, qemu, macs, server, world } = await running(t, { slots: [0, 1] });
  world.machine.behave(server().id, { holdsDevices: true });
  const [first, second] = server().ports;
  await want({ ports: [first!] });
  assert.deepEqual(macs(), [last(0), last(1)], 'the card is still there');
  assert.deepEqual([...qemu().machine.taps.keys()], ['net0'], 'nothing is behind it');
  assert.equal(world.network.ports.has(second!.id), false);
  assert.equal(qemu().executed.filter((command) => command === 'device_del').length, 1, 'it was asked once');
  // Another one in its place waits; one in another does not.
  await want({ ports: [first!, { ...port(1), mac: 'fa:16:3e:00:00:aa' }, port(2)] });
  assert.deepEqual(macs(), [last(0), last(1), last(2)]);
  // A reset by the guest itself completes it.
  qemu().reboot();
  await until('the card that waited', () => macs().includes('fa:16:3e:00:00:aa'));
  assert.deepEqual(macs().toSorted(), [last(0), last(2), 'fa:16:3e:00:00:aa'].toSorted());
});

test('a guest with a card that it holds is suspended and goes on with it, without a port', async (t) => {
  const { want, qemu, macs, server, world } = await running(t, { slots: [0, 1] });
  world.machine.behave(server().id, { holdsDevices: true });
  await want({ ports: server().ports.slice(0, 1) });
  const { memory } = qemu().guest;
  world.control.want({ ...server(), generation: server().generation + 1, power: 'suspended' });
  await world.control.until(server().id, 'suspended', ({ state }) => state === 'suspended');
  await want({ generation: server().generation + 2 });
  assert.equal(qemu().guest.memory, memory);
  assert.deepEqual(macs(), [last(0), last(1)]);
  assert.deepEqual([...qemu().machine.taps.keys()], ['net0']);
});

test('cards that no place is for while the guest runs are there at its next start', async (t) => {
  for (const [layout, slot] of [
    [1, 4],
    [0, 1],
  ] as const) {
    const { port, want, macs, server } = await running(t, { layout });
    await want({ ports: [...server().ports, port(slot)] });
    assert.deepEqual(macs(), [last(0)]);
    await want({ reboot: { count: 1, type: 'hard' } });
    assert.deepEqual(macs(), [last(0), last(slot)]);
  }
});

test('a host process that comes back goes on where the other ended', async (t) => {
  const { host, port, want, macs, server, world } = await running(t);
  await want({ ports: [...server().ports, port(1)] });
  await host.stop();
  await world.host().start();
  await want({ ports: server().ports.slice(1) });
  assert.deepEqual(macs(), [last(1)]);
});

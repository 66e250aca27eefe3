/** What control asks of a guest at once, over the host's real service: an interrupt, a password, how it is doing. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Secret } from '../../contract/secret.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

async function running(t: TestContext, hardware = {}) {
  const world = await hostWorld(t);
  const process = world.host();
  await process.start();
  const server = wantedServer(await world.storeImage(), { hardware });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  return {
    world,
    process,
    server,
    client: world.client,
    host: world.endpoint(),
    qemu: world.machine.guest(server.id)!,
  };
}

test('an interrupt reaches the guest', async (t) => {
  const { client, host, server, qemu } = await running(t);
  await client.injectNmi(host, server.id);
  assert.equal(qemu.guest.counts.nmi, 1);
});

test('how a guest is doing is what its QEMU counts', async (t) => {
  const { client, host, server } = await running(t);
  const { state, cpus, disks, cards, memoryMiB } = await client.diagnostics(host, server.id);
  assert.deepEqual([state, cpus.length, memoryMiB], ['running', server.vcpus, server.memoryMiB]);
  assert.deepEqual(
    disks.map(({ name }) => name),
    ['disk0', 'config-drive0'],
  );
  assert.deepEqual(
    cards.map(({ mac, rxBytes }) => [mac, rxBytes]),
    [[server.ports[0]!.mac, 0]],
  );
});

test('a password is set by the agent; a guest without one, or one that refuses, is told of', async (t) => {
  const wish = { user: 'root', password: new Secret('密 🏔') };
  const { client, host, server, qemu, world } = await running(t, { guestAgent: true });
  const agent = { passwords: new Map<string, string>(), refuses: null as string | null };
  qemu.behaviour.agent = agent;
  await client.setPassword(host, server.id, wish);
  assert.deepEqual([...agent.passwords], [['root', '密 🏔']]);
  agent.refuses = 'child process has failed to set user password';
  await assert.rejects(client.setPassword(host, server.id, wish), {
    code: 'conflict',
    fields: { host: world.hostId, host_code: 'conflict', said: agent.refuses },
  });
  const without = await running(t);
  await assert.rejects(without.client.setPassword(without.host, without.server.id, wish), { code: 'conflict' });
});

test('a guest that does not hear the power button is shut down by its agent', async (t) => {
  const { server, qemu, world } = await running(t, { guestAgent: true });
  const told: string[] = [];
  qemu.behaviour.shutdownMs = null;
  qemu.behaviour.agent = {
    ...{ passwords: new Map(), refuses: null },
    shutdown() {
      told.push('shutdown');
      qemu.guest.powerOff();
    },
  };
  world.control.want({ ...server, generation: 2, power: 'off' });
  await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  assert.deepEqual([told, qemu.guest.counts.powerdown], [['shutdown'], 1]);
});

test('of a server that is off, or unknown, nothing can be asked', async (t) => {
  const { client, host, server, world } = await running(t);
  world.control.want({ ...server, generation: 2, power: 'off' });
  await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  await assert.rejects(client.injectNmi(host, server.id), { code: 'conflict' });
  await assert.rejects(client.diagnostics(host, server.id), { code: 'conflict' });
});

/** proc(5): addresses with their ports in hexadecimal, the state, queues, and the timer that runs. */
function timerOf(local: number, remote: number): string | undefined {
  const end = (port: number) => `:${port.toString(16).padStart(4, '0').toUpperCase()}`;
  const lines = readFileSync('/proc/self/net/tcp', 'utf8').split('\n');
  const rows = lines.map((line) => line.trim().split(/\s+/));
  return rows.find(([, here, there]) => here?.endsWith(end(local)) && there?.endsWith(end(remote)))?.[5]?.slice(0, 2);
}

test('whoever has a console is asked whether it is still there: a machine that vanishes says nothing', async (t) => {
  const { world, process, server } = await running(t);
  const host = { id: world.hostId, url: process.facts().url };
  const console = (await world.remote.console(host, server.id, 'serial')) as Socket;
  t.after(() => console.destroy());
  console.resume();
  await until('a timer for signs of life', () => timerOf(console.remotePort!, console.localPort!) === '02');
});

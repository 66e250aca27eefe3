/** What a host does when control falls silent for longer than it lends servers: see host/lease/README.md. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

async function lent(t: TestContext, configuration = {}) {
  const world = await hostWorld(t);
  world.control.leaseMs = 300;
  const host = world.host({ configuration });
  await host.start();
  const image = await world.storeImage();
  const lease = () => host.status().lease.state;
  const running = async (server: ReturnType<typeof wantedServer>) => {
    world.control.want(server);
    await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  };
  return { world, host, image, lease, running };
}

test('signs of life keep the lease, though control says nothing else', async (t) => {
  const { host, lease } = await lent(t);
  await until('the lease', () => lease() === 'held');
  const began = performance.now();
  await until('several leases to pass', () => {
    assert.equal(lease(), 'held');
    return performance.now() - began > 1000;
  });
  assert.ok(host.status().lease.endsInMs! <= 300);
});

test('under a frozen control guests run on and a reboot that was begun waits; it goes on when control answers', async (t) => {
  const { world, lease, image, running } = await lent(t);
  const { control, machine } = world;
  const [bystander, server] = [wantedServer(image), wantedServer(image)];
  await running(bystander);
  await running(server);
  const before = machine.guest(bystander.id)!.pid;
  machine.behave(server.id, { shutdownMs: 1e6 });
  control.want({
    ...server,
    generation: server.generation + 1,
    reboot: { count: server.reboot.count + 1, type: 'soft' },
  });
  await until('the guest to be asked', () => machine.guest(server.id)!.guest.counts.powerdown > 0);
  control.freeze();
  await until('the lease to end', () => lease() === 'ended');
  const { launches } = machine;
  const asked = machine.guest(server.id)!.guest.counts.powerdown;
  // Its owner switches the guest off meanwhile: it would be started again.
  machine.guest(server.id)!.guest.powerOff();
  await until('the guest to be off', () => machine.guest(server.id)!.state === 'shutdown');
  await settled(world);
  assert.deepEqual([machine.launches, machine.guest(server.id)!.guest.counts.powerdown], [launches, asked]);
  assert.equal(machine.guest(bystander.id)!.pid, before);
  control.thaw();
  await control.until(
    server.id,
    'rebooted',
    ({ rebootCount, state }) => state === 'running' && rebootCount === server.reboot.count + 1,
  );
  assert.equal(lease(), 'held');
  assert.equal(machine.guest(bystander.id)!.pid, before);
});

test('what could not be started before the lease ended is not started after it, until control answers', async (t) => {
  const { world, lease, image } = await lent(t);
  const { control, machine, network } = world;
  const server = wantedServer(image);
  network.failure = new Error('no switch');
  control.want(server);
  await control.until(server.id, 'failing', ({ error }) => error !== null);
  control.freeze();
  await until('the lease to end', () => lease() === 'ended');
  network.failure = undefined;
  await settled(world);
  assert.equal(machine.launches, 0);
  control.thaw();
  control.want({ ...server, generation: server.generation + 1 });
  await control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a server that was to be stopped or deleted ends, lease or not', async (t) => {
  const { world, lease, image, running } = await lent(t, { limits: { stopTimeoutMs: 1e6 } });
  const { control, machine } = world;
  const server = wantedServer(image);
  await running(server);
  machine.behave(server.id, { shutdownMs: 1e6 });
  control.want({ ...server, generation: server.generation + 1, power: 'off' });
  await until('the guest to be asked', () => machine.guest(server.id)!.guest.counts.powerdown > 0);
  control.freeze();
  await until('the lease to end', () => lease() === 'ended');
  machine.guest(server.id)!.guest.powerOff();
  await until('the guest to be gone', () => machine.guest(server.id) === undefined);
});

/** Everything that the host does by itself has been done a few times over. */
async function settled(world: Awaited<ReturnType<typeof hostWorld>>): Promise<void> {
  const began = performance.now();
  await until('the host to have had its time', () => performance.now() - began > 200 && world.machine.launches >= 0);
}

/** What a host does when control falls silent for longer than it lends servers: see host/lease/README.md. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { absentServer } from '../../contract/host/index.ts';
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

test('a guest that may not outlive the lease stands still with it, whoever is frozen, and goes on with the next one', async (t) => {
  const { world, host, lease, image, running } = await lent(t);
  const { control, machine } = world;
  const server = wantedServer(image, { onLeaseEnd: 'pause' });
  await running(server);
  const qemu = machine.guest(server.id)!;
  assert.ok(qemu.executes);
  control.freeze();
  await until('the guest to stand still', () => !qemu.executes);
  await until('the lease to end', () => lease() === 'ended');
  await settled(world);
  assert.equal(qemu.held, true);
  control.thaw();
  await until('the guest to go on', () => qemu.executes);
  assert.equal(machine.guest(server.id)!.pid, qemu.pid);
  assert.equal(host.status().lease.state, 'held');
});

test('what was given to another meanwhile never goes on: it is removed', async (t) => {
  const { world, image, running } = await lent(t);
  const { control, machine } = world;
  const server = wantedServer(image, { onLeaseEnd: 'pause' });
  await running(server);
  const qemu = machine.guest(server.id)!;
  control.goAway();
  await until('the guest to stand still', () => qemu.held);
  const released = t.mock.method(machine.guard, 'release');
  control.servers = [absentServer({ ...server, generation: server.generation + 1 })];
  control.comeBack();
  await control.until(server.id, 'absent', ({ state }) => state === 'absent');
  assert.equal(released.mock.callCount(), 0);
  assert.equal(qemu.alive, false);
});

test('a guest that shall be stopped with the lease is, and begins anew with the next one', async (t) => {
  const { world, image, running } = await lent(t);
  const { control, machine } = world;
  const server = wantedServer(image, { onLeaseEnd: 'stop' });
  await running(server);
  const qemu = machine.guest(server.id)!;
  control.freeze();
  await until('the guest to end', () => !qemu.alive);
  await settled(world);
  assert.equal(machine.guest(server.id), undefined);
  control.thaw();
  await until('another one', () => machine.guest(server.id)?.executes === true);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a guest that may not outlive the lease does so only where its document says that it may from now on', async (t) => {
  const { world, lease, image, running } = await lent(t);
  const { control, machine } = world;
  const server = wantedServer(image, { onLeaseEnd: 'pause' });
  await running(server);
  const { onLeaseEnd: _, ...free } = server;
  control.want({ ...free, generation: server.generation + 1 });
  await control.until(server.id, 'served', ({ generation }) => generation === server.generation + 1);
  control.freeze();
  await until('the lease to end', () => lease() === 'ended');
  await settled(world);
  assert.ok(machine.guest(server.id)!.executes);
});

test('a host process that is started anew while control is away begins no guest that may not outlive a lease', async (t) => {
  const { world, host, image, running } = await lent(t);
  const { control, machine } = world;
  const [bound, free] = [wantedServer(image, { onLeaseEnd: 'stop' }), wantedServer(image)];
  await running(bound);
  await running(free);
  control.goAway();
  host.abandon();
  machine.powerCut();
  const again = world.host({ dependencies: { bootId: 'boot-2' } });
  await again.start();
  await until('the other one', () => machine.guest(free.id)?.executes === true);
  await settled(world);
  assert.equal(machine.guest(bound.id), undefined);
  control.comeBack();
  await until('it as well', () => machine.guest(bound.id)?.executes === true);
});

/** Everything that the host does by itself has been done a few times over. */
async function settled(world: Awaited<ReturnType<typeof hostWorld>>): Promise<void> {
  const began = performance.now();
  await until('the host to have had its time', () => performance.now() - began > 200 && world.machine.launches >= 0);
}

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const serverFiles = (world: HostWorld) => readdirSync(join(world.directory, 'data/servers'));

async function running(world: HostWorld) {
  const image = await world.storeImage();
  const server = wantedServer(image);
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  return server;
}

test('a server is made and runs, with disk, config drive and ports', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  const qemu = world.machine.guest(server.id)!;
  assert.equal(qemu.machine.memoryMiB, 256);
  assert.equal(qemu.machine.disks.length, 2);
  assert.deepEqual(
    qemu.machine.cards.map(({ mac }) => mac),
    [server.ports[0]!.mac],
  );
  assert.ok(world.network.ports.has(server.ports[0]!.id));
  const observed = world.control.observed.get(server.id)!;
  assert.deepEqual(
    { ...observed, startedAt: typeof observed.startedAt },
    {
      id: server.id,
      epoch: 1,
      generation: 1,
      state: 'running',
      rebootCount: 0,
      rescueCount: 0,
      rootCount: 0,
      resizeCount: 0,
      captures: [],
      step: null,
      error: null,
      startedAt: 'string',
    },
  );
});

test('the host tells its time as soon as it is connected', async (t) => {
  const world = await hostWorld(t);
  const before = Date.now();
  await world.host().start();
  await until('a ping', () => world.control.pinged !== undefined);
  const told = Number(world.control.pinged);
  assert.ok(told >= before && told <= Date.now(), world.control.pinged);
});

test('stop asks the guest first, start brings it back with its disk, delete leaves nothing', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  const { control } = world;
  const qemu = world.machine.guest(server.id)!;
  control.want({ ...server, generation: 2, power: 'off' });
  await control.until(server.id, 'stopped', ({ state, generation }) => state === 'stopped' && generation === 2);
  assert.ok(qemu.executed.includes('system_powerdown'));
  assert.equal(world.machine.guests.length, 0);
  assert.equal(world.network.ports.size, 0);
  control.want({ ...server, generation: 3, power: 'on' });
  await control.until(server.id, 'running', ({ state, generation }) => state === 'running' && generation === 3);
  control.want({ ...server, generation: 4, presence: 'absent' });
  await control.until(server.id, 'absent', ({ state, generation }) => state === 'absent' && generation === 4);
  assert.deepEqual(serverFiles(world), []);
  assert.equal(world.network.ports.size, 0);
  assert.equal(world.machine.guests.length, 0);
  control.forget(server.id);
});

test('a guest that ignores the power button is ended at the deadline', async (t) => {
  const world = await hostWorld(t);
  world.machine.behaviour.shutdownMs = null;
  await world.host({ configuration: { limits: { stopTimeoutMs: 400, powerdownRepeatMs: 20 } } }).start();
  const server = await running(world);
  const qemu = world.machine.guest(server.id)!;
  world.control.want({ ...server, generation: 2, power: 'off' });
  await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  assert.ok(qemu.executed.filter((command) => command === 'system_powerdown').length > 1);
});

test('hard and soft reboot are each served once', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  for (const [count, type] of [
    [1, 'hard'],
    [2, 'soft'],
  ] as const) {
    const before = world.machine.guest(server.id)!;
    world.control.want({ ...server, generation: 1 + count, reboot: { count, type } });
    await world.control.until(
      server.id,
      'rebooted',
      ({ state, rebootCount }) => state === 'running' && rebootCount === count,
    );
    assert.notEqual(world.machine.guest(server.id)!.pid, before.pid);
    assert.equal(before.executed.includes('system_powerdown'), type === 'soft');
  }
  assert.equal(world.machine.launches, 3);
});

test('a soft reboot of a deaf guest becomes a hard one', async (t) => {
  const world = await hostWorld(t);
  world.machine.behaviour.shutdownMs = null;
  await world.host({ configuration: { limits: { softRebootTimeoutMs: 50 } } }).start();
  const server = await running(world);
  world.control.want({ ...server, generation: 2, reboot: { count: 1, type: 'soft' } });
  await world.control.until(
    server.id,
    'rebooted',
    ({ state, rebootCount }) => state === 'running' && rebootCount === 1,
  );
});

test('a guest that switches itself off is stopped and stays off until it is asked for again', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  world.machine.guest(server.id)!.powerOff();
  const observed = await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  assert.equal(observed.error, null);
  assert.equal(world.machine.launches, 1);
  world.control.want({ ...server, generation: 2 });
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a QEMU that dies is seen at once, and told as an error', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  world.machine.guest(server.id)!.kill();
  const observed = await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  assert.equal(observed.error?.code, 'guest_died');
});

test('a guest that reboots itself goes on, and so do guests when the host process ends', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  const qemu = world.machine.guest(server.id)!;
  qemu.reboot();
  await host.stop();
  assert.equal(qemu.state, 'running');
  world.control.observed.clear();
  await world.host().start();
  const observed = await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(observed.rebootCount, 0);
  assert.equal(world.machine.launches, 1);
});

test('a guest that switched itself off while the host process was away is not a crash', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  await host.stop();
  world.machine.guest(server.id)!.powerOff();
  world.control.observed.clear();
  await world.host().start();
  const observed = await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  assert.equal(observed.error, null);
});

test('after a power cut the guests that were on come back', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  await host.stop();
  world.machine.powerCut();
  world.network.ports.clear();
  world.control.observed.clear();
  await world.host({ dependencies: { bootId: 'boot-2' } }).start();
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(world.network.ports.size, 1);
});

test('without control the host acts on what it was last told', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  await host.stop();
  world.control.goAway();
  world.machine.powerCut();
  await world.host({ dependencies: { bootId: 'boot-2' } }).start();
  await until('the guest to run', () => world.machine.guest(server.id) !== undefined);
  world.control.comeBack();
});

test('a damaged saved state removes nothing and waits for control', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  await host.stop();
  world.control.goAway();
  const path = join(world.directory, 'data/desired.json');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20));
  const second = world.host();
  await second.start();
  assert.equal(second.status().desired.known, false);
  assert.equal(second.status().guests, 1);
  assert.equal(world.machine.guest(server.id)!.state, 'running');
  assert.ok(existsSync(`${path}.damaged`));
  world.control.comeBack();
  await until('control to be heard', () => second.status().desired.known);
  assert.equal(world.machine.launches, 1);
});

test('an older epoch or generation never replaces a newer one', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const image = await world.storeImage();
  const server = wantedServer(image, { epoch: 5, generation: 7 });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  world.control.want({ ...server, epoch: 4, generation: 9, presence: 'absent' });
  world.control.want({ ...server, epoch: 5, generation: 6, power: 'off' });
  const other = wantedServer(image);
  world.control.want(other);
  await world.control.until(other.id, 'running', ({ state }) => state === 'running');
  assert.equal(world.control.observed.get(server.id)!.state, 'running');
  assert.equal(world.machine.launches, 2);
});

test('under a new epoch the guest of the old one is ended and a new one runs', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const server = await running(world);
  const before = world.machine.guest(server.id)!;
  world.control.want({ ...server, epoch: 2, generation: 2 });
  await world.control.until(server.id, 'running', ({ state, epoch }) => state === 'running' && epoch === 2);
  assert.equal(before.state, 'gone');
  assert.notEqual(world.machine.guest(server.id)!.pid, before.pid);
});

test('invalid messages end the connection and change nothing', async (t) => {
  const world = await hostWorld(t);
  await world.host({ configuration: { controlRetry: { retryFirstMs: 5, retryMaxMs: 20 } } }).start();
  const server = await running(world);
  const bad: [string, unknown][] = [
    ['no JSON', '{'],
    ['no type', { servers: [] }],
    ['servers that are no list', { type: 'snapshot', servers: {}, networks: [], images: [] }],
    ['a path for an image', { type: 'snapshot', servers: [], networks: [], images: ['../../etc'] }],
    ['half a snapshot', JSON.stringify({ type: 'snapshot', servers: [], networks: [], images: [] }).slice(0, -5)],
  ];
  for (const [, message] of bad) {
    const before = world.control.connections;
    world.control.send(typeof message === 'string' ? message : (JSON.stringify(message) as string));
    await until('a new connection', () => world.control.connections > before);
  }
  assert.equal(world.machine.guest(server.id)!.state, 'running');
  assert.equal(world.machine.launches, 1);
});

test('a control of another cloud, or one that takes the host for another, is refused', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = await running(world);
  const own = world.control.cloudId;
  world.control.cloudId = '01900000-0000-7000-8000-00000000ffff';
  world.control.servers = [];
  world.control.socket!.terminate();
  await until('the refusal', () => host.status().control.lastError?.includes('of cloud') ?? false);
  assert.equal(world.machine.guest(server.id)!.state, 'running');
  world.control.cloudId = own;
  world.control.servers = [server];
  await until('the right control', () => host.status().control.state === 'open');
});

test('a server whose ports cannot be plugged shows why, and recovers', async (t) => {
  const world = await hostWorld(t);
  await world.host({ configuration: { limits: { buildAttempts: 1000 } } }).start();
  world.network.failure = new Error('no switch');
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  const observed = await world.control.until(server.id, 'failing', ({ error }) => error !== null);
  assert.equal(observed.state, 'building');
  assert.match(observed.error!.message, /no switch/);
  world.network.failure = undefined;
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a server that cannot be built is given up, and a new generation tries again', async (t) => {
  const world = await hostWorld(t);
  await world.host({ configuration: { limits: { buildAttempts: 2 } } }).start();
  world.network.failure = new Error('no switch');
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  world.network.failure = undefined;
  world.control.want({ ...server, generation: 2 });
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a guest whose disks QEMU does not limit is not left running without a limit', async (t) => {
  const world = await hostWorld(t);
  await world.host({ configuration: { limits: { retryFirstMs: 1, buildAttempts: 2 } } }).start();
  const limits = { bps: 10, bps_rd: 10, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  const server = wantedServer(await world.storeImage(), { hardware: { diskLimits: limits } });
  world.control.want(server);
  const failed = await world.control.until(server.id, 'given up', ({ state }) => state === 'failed');
  assert.deepEqual([failed.error?.code, world.machine.guest(server.id)], ['guest_start_failed', undefined]);
  assert.match(failed.error!.message, /cannot be used at the same time/);
});

test('a guest of whose start there can be no record does not run on when its server is given up', async (t) => {
  const world = await hostWorld(t);
  let record = '';
  const step = (name: string) => {
    // Where a folder is, no file can be put.
    if (name !== 'spawn' || world.machine.launches > 1) return;
    rmSync(record);
    mkdirSync(record);
  };
  await world.host({ dependencies: { step } }).start();
  const server = wantedServer(await world.storeImage());
  record = join(world.directory, 'data/servers', server.id, 'record.json');
  world.control.want(server);
  await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.deepEqual(world.machine.guests, []);
  assert.equal(world.machine.launches, 1);
  rmSync(record, { recursive: true });
  world.control.want({ ...server, generation: 2 });
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(world.machine.guests.length, 1);
});

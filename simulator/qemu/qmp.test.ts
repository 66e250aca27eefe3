/** The simulated QEMU through the real client: conversation, events, ends, and what it keeps others from. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { QmpClient, type QmpError } from '../../protocols/qmp/index.ts';
import { until } from '../../test/support/until.ts';
import { qemuWorld } from './testing.ts';

test('a guest runs as soon as it is launched, with pid file and console', async (t) => {
  const { launch, connect, paths } = await qemuWorld(t);
  const qemu = await launch();
  const { client } = await connect();
  assert.equal(client.version, '7.2.22');
  assert.deepEqual(await client.execute('query-status'), { status: 'running', singlestep: false, running: true });
  assert.equal(readFileSync(paths.pid, 'utf8'), `${qemu.pid}\n`);
  assert.match(readFileSync(paths.consoleLog, 'utf8'), /login: $/);
  assert.equal((await client.execute<unknown[]>('query-cpus-fast')).length, 2);
  const disks =
    await client.execute<{ inserted: { 'node-name': string; image: { 'virtual-size': number } } }[]>('query-block');
  assert.deepEqual(
    disks.map(({ inserted }) => [inserted['node-name'], inserted.image['virtual-size']]),
    [
      ['disk', 2 ** 30],
      ['config-drive', 2048],
    ],
  );
});

test('the power button ends in state shutdown, from which only quit leads away', async (t) => {
  const { launch, connect, paths } = await qemuWorld(t, { behaviour: { shutdownMs: 5 } });
  const qemu = await launch();
  const { client, events } = await connect();
  await client.execute('system_powerdown');
  await until('the guest to be off', () => qemu.state === 'shutdown');
  await client.execute('query-status');
  assert.deepEqual(
    events.map(({ name, data }) => [name, data]),
    [
      ['POWERDOWN', {}],
      ['SHUTDOWN', { guest: true, reason: 'guest-shutdown' }],
      ['STOP', {}],
    ],
  );
  assert.ok(Math.abs(events[0]!.timestampMs - Date.now()) < 5000);
  await assert.rejects(client.execute('cont'), /Resetting the Virtual Machine is required/);
  await client.execute('quit');
  await Promise.all([qemu.exited, client.closed]);
  assert.deepEqual(events.at(-1)!.data, { guest: false, reason: 'host-qmp-quit' });
  assert.deepEqual(
    [qemu.alive, qemu.exit, existsSync(paths.pid), existsSync(paths.qmp)],
    [false, 'clean', false, false],
  );
});

test('a guest that does not hear its button goes on, and hears it once it is told to', async (t) => {
  const { launch, connect, machine, serverId } = await qemuWorld(t, { behaviour: { shutdownMs: null } });
  const qemu = await launch();
  const { client } = await connect();
  await client.execute('system_powerdown');
  assert.deepEqual([qemu.state, qemu.guest.counts.powerdown], ['running', 1]);
  machine.behave(serverId, { shutdownMs: 0 });
  await client.execute('system_powerdown');
  await until('the guest to be off', () => qemu.state === 'shutdown');
});

test('a guest that is still booting does not hear its button', async (t) => {
  const { launch, connect } = await qemuWorld(t, { behaviour: { bootMs: 30, shutdownMs: 0 } });
  const qemu = await launch();
  const { client } = await connect();
  await client.execute('system_powerdown');
  await until('the guest to be up', () => qemu.guest.booted);
  assert.equal(qemu.state, 'running');
});

test('pause, resume, reset, a guest that reboots itself, a full disk: states and events', async (t) => {
  const { launch, connect } = await qemuWorld(t);
  const qemu = await launch();
  const { client, events } = await connect();
  const states: (string | undefined)[] = [];
  for (const command of ['stop', 'stop', 'cont', 'cont', 'system_reset']) {
    await client.execute(command);
    states.push(qemu.state);
  }
  qemu.reboot();
  qemu.guest.diskError('disk');
  states.push(qemu.state);
  await client.execute('cont');
  states.push(qemu.state);
  assert.deepEqual(states, ['paused', 'paused', 'running', 'running', 'running', 'io-error', 'running']);
  const names = ['STOP', 'RESUME', 'RESET', 'RESET', 'BLOCK_IO_ERROR', 'STOP', 'RESUME'];
  assert.deepEqual(
    events.map(({ name }) => name),
    names,
  );
});

test('a client that is killed makes room for the next, who waits till then', async (t) => {
  const { launch, connect: dial, paths, serverId } = await qemuWorld(t);
  await launch();
  const { client } = await dial();
  await assert.rejects(QmpClient.connect({ path: paths.qmp, timeoutMs: 30 }), /no greeting/);
  const waiting = dial();
  client.close();
  const next = await waiting;
  assert.deepEqual(await next.client.execute('query-name'), { name: serverId });
});

test('crash on demand: the end is seen at once, files and dead sockets stay', async (t) => {
  const { launch, connect: dial, paths } = await qemuWorld(t);
  const qemu = await launch();
  const { client } = await dial();
  qemu.kill();
  await Promise.all([qemu.exited, client.closed]);
  assert.deepEqual([existsSync(paths.pid), existsSync(paths.qmp)], [true, true]);
  const refused = await new Promise((resolve) => {
    connect(paths.qmp).on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  assert.equal(refused, 'ECONNREFUSED');
});

test('a QEMU that hangs takes connections and says nothing', async (t) => {
  const { launch, paths, machine, serverId } = await qemuWorld(t);
  machine.behave(serverId, { silent: true });
  const qemu = await launch();
  await assert.rejects(QmpClient.connect({ path: paths.qmp, timeoutMs: 20 }), /no greeting/);
  assert.equal(qemu.alive, true);
});

test('a start that fails leaves its reason on stderr', async (t) => {
  const { launch, paths, args, machine, serverId } = await qemuWorld(t);
  const bad = await launch([...args, '-foo']);
  assert.deepEqual([bad.alive, bad.exit], [false, 'failed']);
  machine.behave(serverId, { startError: 'no luck' });
  await launch();
  assert.equal(
    readFileSync(paths.qemuLog, 'utf8'),
    'qemu-system-x86_64: -foo: invalid option\nqemu-system-x86_64: no luck\n',
  );
});

test('two guests on one disk, tap or pid file are impossible, one after the other is not', async (t) => {
  const { launch, paths, machine } = await qemuWorld(t);
  const first = await launch();
  const second = await launch();
  assert.deepEqual([second.alive, machine.guests], [false, [first]]);
  assert.match(readFileSync(paths.qemuLog, 'utf8'), /Cannot lock pid file/);
  first.kill();
  assert.equal((await launch()).state, 'running');
});

test('a tap that the machine does not have keeps the guest from starting', async (t) => {
  const { launch, paths } = await qemuWorld(t, { tapExists: () => false });
  assert.equal((await launch()).alive, false);
  assert.match(readFileSync(paths.qemuLog, 'utf8'), /\/dev\/net\/tun \(simt000000001\): Operation not permitted/);
});

test('a launcher that is severed neither starts, finds nor ends guests', async (t) => {
  const { machine, serverId, args, paths } = await qemuWorld(t);
  const launcher = machine.launcher();
  const guest = await launcher.launch({ serverId, args, logFile: paths.qemuLog, user: undefined });
  assert.deepEqual(
    (await machine.launcher().list()).map(({ process }) => process.pid),
    [guest.pid],
  );
  launcher.sever();
  guest.kill();
  assert.equal(machine.guests.length, 1);
  const late = Promise.race([
    launcher.list(),
    guest.exited,
    new Promise((resolve) => setTimeout(resolve, 20, 'nothing')),
  ]);
  assert.equal(await late, 'nothing');
});

test('a refusal has the class and the words of QEMU', async (t) => {
  const { launch, connect } = await qemuWorld(t);
  await launch();
  const { client } = await connect();
  await assert.rejects(client.execute('screendump'), (error: QmpError) => error.errorClass === 'CommandNotFound');
  await assert.rejects(client.execute('stop', { x: 1 }), /Parameter 'x' is unexpected/);
});

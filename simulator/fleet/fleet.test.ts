/** A real Host over a simulated machine: what stays when the host process goes, and what the machine sees. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type HostId, newId } from '../../contract/ids.ts';
import { exampleNetwork } from '../../host/metadata/testing.ts';
import { testAuthority } from '../../test/support/certificates.ts';
import { until } from '../../test/support/until.ts';
import { FakeDatabase, FakeNorthd, northbound } from '../ovsdb/index.ts';
import type { FleetConfiguration } from './configuration.ts';
import { Fleet } from './fleet.ts';
import { fleetWorld, wantedServer, writeTls } from './testing.ts';

test('a server is created, stopped, started, rebooted and deleted, and nothing is left of it', async (t) => {
  const { host, control, image, directory } = await fleetWorld(t);
  const { machine } = host;
  const server = wantedServer(await image());
  const [port] = server.ports;
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.deepEqual(machine.switch.pluggedPorts, [port!.id]);
  assert.deepEqual(
    machine.qemus.guest(server.id)!.machine.cards.map(({ tap }) => tap),
    [...machine.switch.taps],
  );

  control.want({ ...server, generation: 2, power: 'off' });
  await control.until(server.id, 'stopped', ({ state, generation }) => state === 'stopped' && generation === 2);
  assert.equal(machine.qemus.guests.length, 0);

  control.want({ ...server, generation: 3 });
  await control.until(server.id, 'running', ({ state, generation }) => state === 'running' && generation === 3);

  control.want({ ...server, generation: 4, reboot: { count: 1, type: 'soft' } });
  await control.until(server.id, 'rebooted', ({ state, rebootCount }) => state === 'running' && rebootCount === 1);
  assert.equal(machine.qemus.launches, 3);

  control.want({ ...server, generation: 5, presence: 'absent' });
  await control.until(server.id, 'absent', ({ state }) => state === 'absent');
  assert.deepEqual([machine.qemus.guests.length, machine.switch.taps.size], [0, 0]);
  assert.deepEqual(machine.switch.pluggedPorts, []);
  assert.equal(existsSync(join(directory, 'data/servers', server.id)), false);
  assert.equal(existsSync(join(directory, 'run/guests', server.id)), false);
});

test('a host process that was killed finds its guests again, and they never noticed', async (t) => {
  const { host, control, image } = await fleetWorld(t);
  const server = wantedServer(await image());
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  const guest = host.machine.qemus.guest(server.id)!;
  await host.restart();
  control.observed.delete(server.id);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(host.machine.qemus.guest(server.id), guest);
  assert.deepEqual([guest.state, guest.guest.counts.reset, host.machine.qemus.launches], ['running', 0, 1]);
});

test('after a death at each step of a create, the next host process ends up the same', async (t) => {
  const steps = ['record-disk', 'make-disk', 'prepare-launch', 'record-launch', 'spawn', 'launch', 'note-running'];
  for (const step of steps) {
    await t.test(step, async (t) => {
      const { host, control, image } = await fleetWorld(t);
      const server = wantedServer(await image());
      const died = host.dieAfter(step);
      control.want(server);
      assert.equal(await died, step);
      assert.equal(host.running, false);
      control.observed.clear();
      await host.start();
      await control.until(server.id, 'running', ({ state }) => state === 'running');
      assert.equal(host.machine.qemus.guests.length, 1);
      assert.deepEqual(host.machine.switch.pluggedPorts, [server.ports[0]!.id]);
    });
  }
});

test('what a killed host process was about to do reaches the machine no more', async (t) => {
  const { host, control, image } = await fleetWorld(t, { behaviour: { startMs: 50 } });
  const server = wantedServer(await image());
  control.want(server);
  await until('QEMU to be started', () => host.machine.qemus.guests.length === 1);
  const first = host.machine.qemus.guests[0]!;
  host.kill();
  await until('QEMU to listen', () => first.state === 'running');
  const history = host.machine.switch.kernel.history.length;
  await host.start();
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(host.machine.qemus.guest(server.id), first);
  assert.ok(host.machine.switch.kernel.history.length > history);
});

test('a power cut takes guests and taps; the host process brings both back', async (t) => {
  const { host, control, image } = await fleetWorld(t);
  const server = wantedServer(await image());
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  await host.powerCut();
  await until('the guest to be back', () => host.machine.qemus.guest(server.id)?.state === 'running');
  await until('its port to be plugged', () => host.machine.switch.taps.size === 1);
  assert.equal(host.machine.qemus.launches, 2);
});

test('metadata is served on a network while it is desired', async (t) => {
  const { host, control } = await fleetWorld(t);
  const network = exampleNetwork();
  const { kernel } = host.machine.switch;
  await until('the host to be connected', () => control.messages.length > 0);
  control.send({ type: 'update', servers: [], networks: [network], removedNetworks: [] });
  await until('the network to be served', () => host.machine.switch.served.length === 1);
  assert.equal(kernel.namespaces.length, 1);
  control.send({ type: 'update', servers: [], networks: [], removedNetworks: [network.id] });
  await until('the namespace to be gone', () => kernel.namespaces.length === 0);
  assert.equal(host.machine.switch.served.length, 0);
});

test('a tap that cannot be made is an error that control hears of, and is made in the end', async (t) => {
  const { host, control, image } = await fleetWorld(t);
  const server = wantedServer(await image());
  host.machine.switch.kernel.failures.set('tuntap add', 'ioctl(TUNSETIFF): Operation not permitted');
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  const told = control.history.find(({ error }) => error !== null);
  assert.match(told?.error?.message ?? '', /could not be plugged.*Operation not permitted/s);
});

test('what a killed host process leaves in files is only what a restart reads', async (t) => {
  const { host, control, image, directory } = await fleetWorld(t);
  const server = wantedServer(await image());
  const died = host.dieAfter('spawn');
  control.want(server);
  await died;
  assert.deepEqual(readdirSync(join(directory, 'data/servers')), [server.id]);
  assert.ok(host.machine.qemus.guest(server.id));
});

test('ports come up in the northbound database while their guests are plugged', async (t) => {
  const { host, control, image } = await fleetWorld(t);
  const server = wantedServer(await image());
  const nb = new FakeDatabase(northbound);
  const northd = new FakeNorthd(nb);
  t.after(() => northd.close());
  northd.follow(host.machine.switch.database);
  nb.edit((tx) => {
    const port = tx.insert('Logical_Switch_Port', { name: server.ports[0]!.id });
    tx.insert('Logical_Switch', { name: 's', ports: [port] });
  });
  const up = () => [...nb.rows('Logical_Switch_Port').values()][0]!.up;
  control.want(server);
  await until('the port to be up', () => up() === true);
  host.kill();
  host.machine.powerCut();
  await until('the port to be down', () => up() === false);
  await host.start();
  await until('the port to be up again', () => up() === true);
  control.want({ ...server, generation: 2, presence: 'absent' });
  await until('the port to be down for good', () => up() === false);
});

async function temporary(t: TestContext, hosts: number) {
  const directory = mkdtempSync(join(tmpdir(), 'bf-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const authority = await testAuthority();
  const made = Array.from({ length: hosts }, async (_, index) => {
    const id = newId<HostId>();
    const name = `h${index + 1}`;
    mkdirSync(join(directory, name));
    return { id, name, tls: writeTls(join(directory, name), await authority.issue(id)) };
  });
  return { directory, hosts: await Promise.all(made) };
}

test('a fleet starts while control is away, and its hosts live and die alone', async (t) => {
  const { directory, hosts } = await temporary(t, 3);
  await using fleet = await Fleet.start({ hosts, directory, cloudId: newId(), controlUrls: ['wss://127.0.0.1:1/'] });
  assert.deepEqual(
    fleet.hosts.map(({ host }) => host?.status().desired.known),
    [false, false, false],
  );
  fleet.host('h2').kill();
  assert.deepEqual(
    fleet.hosts.map(({ running }) => running),
    [true, false, true],
  );
  await fleet.host(hosts[1]!.id).start();
  assert.equal(fleet.host('h2').running, true);
  assert.throws(() => fleet.host('h4'), /no host h4/);
});

test('a fleet as a process says when it serves, and ends when told', async (t) => {
  const { directory, hosts } = await temporary(t, 2);
  const configuration: FleetConfiguration = {
    ...{ cloudId: newId(), controlUrl: 'wss://127.0.0.1:1/', directory, hosts, logLevel: 'warn' },
    northbound: join(directory, 'nb.sock'),
  };
  const file = join(directory, 'configuration.json');
  writeFileSync(file, JSON.stringify(configuration));
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = spawn(process.execPath, [main, '--configuration', file], { stdio: 'inherit' });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
  const ready = join(directory, 'ready');
  await until('the fleet to serve', () => existsSync(ready));
  assert.equal(readFileSync(ready, 'utf8'), `${child.pid}\n`);
  assert.ok(existsSync(configuration.northbound));
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(existsSync(ready), false);
});

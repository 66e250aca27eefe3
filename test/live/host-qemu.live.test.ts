/** The real Host with real QEMU under TCG and a guest of one boot sector. Needs QEMU; as root it runs guests as their own user. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { qemuMachine } from '../../host/index.ts';
import { bootSectorDisk, bootText } from '../support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const haveQemu = existsSync('/usr/bin/qemu-system-x86_64');
const guests = guestAccounts();

/** Numbers that nobody has: the tests of this file run one after the other. */
function guestAccounts() {
  if (process.getuid?.() !== 0) return undefined;
  return { uid: 64055, gid: 64055, uids: { first: 0x6fff_f000, count: 256 } };
}

async function liveHost(t: TestContext, limits: object = {}) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const configuration = { guests, accelerator: 'tcg', durable: true, limits } as const;
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...base, ...configuration });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  const make = () => world.host({ configuration, dependencies: machine });
  const host = make();
  await host.start();
  return { world, host, make, machine };
}

/** Real taps are another test's business. */
const withoutPorts = (image: Parameters<typeof wantedServer>[0], changes = {}) =>
  wantedServer(image, { ports: [], memoryMiB: 64, ...changes });

const consoleOf = async (world: HostWorld, id: Parameters<HostWorld['client']['consoleLog']>[1]) =>
  (await world.client.consoleLog(world.endpoint(), id, 65_536)).toString();

test('a real guest is made, stopped, started, rebooted and deleted', {
  skip: !haveQemu,
  timeout: 60_000,
}, async (t) => {
  const { world, machine } = await liveHost(t, { stopTimeoutMs: 300 });
  const { control } = world;
  const image = await world.storeImage(bootSectorDisk());
  const server = withoutPorts(image, { diskGiB: 1 });
  const asked = performance.now();
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running', 20_000);
  t.diagnostic(`desired state to running: ${Math.round(performance.now() - asked)} ms`);
  await until('the guest to speak', async () => (await consoleOf(world, server.id)).includes(bootText.trim()), {
    timeoutMs: 20_000,
  });

  const disk = join(world.directory, 'data/servers', server.id, 'disk.qcow2');
  const info = JSON.parse(execFileSync('qemu-img', ['info', '-U', '--output=json', disk], { encoding: 'utf8' }));
  assert.equal(info['virtual-size'], 2 ** 30);
  const qemu = (await machine.launcher.list())[0]!.process;
  const status = readFileSync(`/proc/${qemu.pid}/status`, 'utf8');
  const uid = guests && statSync(disk).uid;
  if (guests) assert.match(status, new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, 'm'));
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp:\t2$/m);
  assert.match(status, /^CapEff:\t0+$/m);

  control.want({ ...server, generation: 2, reboot: { count: 1, type: 'hard' } });
  await control.until(
    server.id,
    'rebooted',
    ({ state, rebootCount }) => state === 'running' && rebootCount === 1,
    20_000,
  );
  control.want({ ...server, generation: 3, reboot: { count: 1, type: 'hard' }, power: 'off' });
  await control.until(server.id, 'stopped', ({ state }) => state === 'stopped', 20_000);
  assert.deepEqual(await machine.launcher.list(), []);
  execFileSync('qemu-img', ['check', disk]);
  control.want({ ...server, generation: 4, reboot: { count: 1, type: 'hard' } });
  await control.until(server.id, 'running', ({ state }) => state === 'running', 20_000);
  control.want({ ...server, generation: 5, presence: 'absent' });
  await control.until(server.id, 'absent', ({ state }) => state === 'absent', 20_000);
  assert.deepEqual(readdirSync(join(world.directory, 'data/servers')), []);
  assert.deepEqual(await machine.launcher.list(), []);
});

test('a real guest outlives the host process and is found again', { skip: !haveQemu, timeout: 60_000 }, async (t) => {
  const { world, host, make, machine } = await liveHost(t);
  const server = withoutPorts(await world.storeImage(bootSectorDisk()));
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running', 20_000);
  const [before] = await machine.launcher.list();
  await host.stop();
  const size = statSync(join(world.directory, 'data/servers', server.id, 'console.log')).size;
  world.control.observed.clear();
  await make().start();
  await world.control.until(server.id, 'running', ({ state }) => state === 'running', 20_000);
  const [after] = await machine.launcher.list();
  assert.equal(after!.process.pid, before!.process.pid);
  await until(
    'the guest to count on',
    async () => (await world.client.consoleLog(world.endpoint(), server.id, 65_536)).length > size,
    { timeoutMs: 10_000 },
  );
  process.kill(after!.process.pid, 'SIGKILL');
  const dead = await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped', 10_000);
  assert.equal(dead.error?.code, 'guest_died');
});

test('an image that qemu-img does not believe is refused', { skip: !haveQemu, timeout: 60_000 }, async (t) => {
  const { world } = await liveHost(t);
  await assert.rejects(world.storeImage(Buffer.from('KDMV'.padEnd(4096, '\0'))), {
    code: 'invalid',
    message: /vmdk, not raw/,
  });
  assert.deepEqual(readdirSync(join(world.directory, 'data/images/incoming')), []);
});

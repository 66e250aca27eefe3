/** What a flavor gives a guest of the processors, by the kernel's control groups, with a real QEMU whose guest never rests. Needs QEMU, root. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { findHierarchy } from '../../host/guest/cpu-groups.ts';
import { openCpuGroups, qemuMachine } from '../../host/index.ts';
import { burningDisk } from '../support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const tag = 'f0f0';
const hierarchy = findHierarchy(readFileSync('/proc/self/mountinfo', 'utf8'));
const skip = !existsSync('/usr/bin/qemu-system-x86_64')
  ? 'needs QEMU'
  : process.getuid?.() !== 0
    ? 'needs root'
    : hierarchy?.version !== 1 && 'needs the cpu controller of cgroup v1';
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_d000, count: 256 } };
const parent = join(hierarchy?.directory ?? '', `bothy-${tag}`);

async function liveHost(t: TestContext) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const configuration = { guests, accelerator: 'tcg', durable: true, limits: { stopTimeoutMs: 300 } } as const;
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...base, ...configuration });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  const cpuGroups = openCpuGroups(tag);
  const make = () => world.host({ configuration, dependencies: { ...machine, cpuGroups } });
  const host = make();
  await host.start();
  return { world, host, make };
}

const running = (world: HostWorld, server: DesiredServer) =>
  world.control.until(
    server.id,
    'running',
    ({ state, generation }) => state === 'running' && generation === server.generation,
    30_000,
  );

const inGroup = (server: DesiredServer, file: string): string => readFileSync(join(parent, server.id, file), 'utf8');
const pidOf = (server: DesiredServer): number => Number(inGroup(server, 'cgroup.procs'));

/** User and system time, in ticks of 10 ms (proc(5)). */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Its part of a processor, from now until it has had so many of the kernel's periods. */
async function partOfProcessor(server: DesiredServer): Promise<number> {
  const pid = pidOf(server);
  const before = { ms: processorMs(pid), at: performance.now() };
  await until('two seconds of a guest that never rests', () => performance.now() - before.at > 2000);
  return (processorMs(pid) - before.ms) / (performance.now() - before.at);
}

test('a guest that never rests is held to its part of the processors, also by the next host process', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const { world, host, make } = await liveHost(t);
  const image = await world.storeImage(burningDisk());
  const cpuLimits = { shares: 512, quotaUs: 10_000, periodUs: 50_000 };
  const server = wantedServer(image, { ports: [], memoryMiB: 64, vcpus: 1, hardware: { cpuLimits } });
  world.control.want(server);
  await running(world, server);
  const pid = pidOf(server);
  await until('the kernel to hold it', () => /nr_throttled [1-9]/.test(inGroup(server, 'cpu.stat')));
  const held = await partOfProcessor(server);
  t.diagnostic(`20 % allowed, ${(held * 100).toFixed(1)} % taken`);
  assert.ok(held < 0.25, `${held}`);
  assert.equal(inGroup(server, 'cpu.shares').trim(), '512');

  await host.stop();
  world.control.observed.clear();
  const next = make();
  await next.start();
  await running(world, server);
  assert.equal(pidOf(server), pid, 'the guest went on where it was');
  assert.ok((await partOfProcessor(server)) < 0.25);

  const other = { ...server, generation: 2, hardware: {}, reboot: { count: 1, type: 'hard' } } as const;
  world.control.want(other);
  await running(world, other);
  assert.notEqual(pidOf(server), pid);
  assert.equal(inGroup(server, 'cpu.cfs_quota_us').trim(), '-1');

  const off = { ...other, generation: 3, power: 'off' } as const;
  world.control.want(off);
  await world.control.until(server.id, 'off', ({ state }) => state === 'stopped', 20_000);
  assert.equal(existsSync(join(parent, server.id)), false, 'a guest that ended has no group');
  world.control.want({ ...off, generation: 4, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent', 20_000);
  assert.equal(existsSync(parent), false);
});

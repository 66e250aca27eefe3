/** What image and flavor ask of a machine, on real QEMU: it starts, the guest finds it, and what has a memory keeps it. Needs QEMU, ovmf, swtpm. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { firmwareFiles } from '../../host/guest/hardware.ts';
import { qemuMachine } from '../../host/index.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
import { bootSectorDisk, bootText } from '../support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const lacking = ['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm', firmwareFiles.uefi.code].filter(
  (path) => !existsSync(path),
);
const skip = lacking.length > 0 ? `needs ${lacking.join(', ')}` : process.getuid?.() !== 0 ? 'needs root' : false;
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_e000, count: 256 } };
const pinned = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 };

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
  const make = () => world.host({ configuration, dependencies: machine });
  const host = make();
  await host.start();
  const files = (server: DesiredServer) => join(world.directory, 'data/servers', server.id);
  const pidOfTpm = (server: DesiredServer) =>
    Number(readFileSync(join(world.directory, 'run/guests', server.id, 'tpm.pid'), 'utf8'));
  return { world, host, make, machine, files, pidOfTpm };
}

const running = (world: HostWorld, server: DesiredServer) =>
  world.control.until(
    server.id,
    'running',
    ({ state, generation }) => state === 'running' && generation === server.generation,
    30_000,
  );

const consoleOf = async (world: HostWorld, server: DesiredServer) =>
  (await world.client.consoleLog(world.endpoint(), server.id, 65_536)).toString();

/** Only while the host process is away: QEMU talks with one at a time. */
async function ask(world: HostWorld, server: DesiredServer, command: string): Promise<unknown> {
  const client = await QmpClient.connect({
    path: join(world.directory, 'run/guests', server.id, 'qmp.sock'),
    timeoutMs: 5000,
  });
  try {
    return await client.execute(command);
  } finally {
    client.close();
  }
}

const hardwares: Record<string, NonNullable<DesiredServer['hardware']>> = {
  'disks on SCSI, the config drive a CD': { diskBus: 'scsi' },
  'disks and config drive on SATA': { diskBus: 'sata' },
  'the rest at once': {
    ...({
      video: 'vga',
      videoRamMiB: 16,
      watchdog: 'reset',
      bootMenu: false,
      pointer: 'usb',
      hidden: true,
      pmu: false,
    } as const),
    ...({ hpet: true, guestAgent: true, cdromBus: 'scsi', rng: { bytes: 1024, periodMs: 1000 } } as const),
    topology: { sockets: 1, cores: 2, threads: 1 },
    diskLimits: { bps: 10_000_000, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 500, iops_wr: 0 },
  },
};

for (const [what, hardware] of Object.entries(hardwares)) {
  test(`a guest boots with ${what}`, { skip, timeout: 60_000 }, async (t) => {
    const { world, host } = await liveHost(t);
    const image = await world.storeImage(bootSectorDisk());
    const server = wantedServer(image, {
      ports: [],
      memoryMiB: 64,
      vcpus: 2,
      configDrive: true,
      hardware,
      machine: pinned,
    });
    world.control.want(server);
    await running(world, server);
    await until('the guest to speak', async () => (await consoleOf(world, server)).includes(bootText.trim()), {
      timeoutMs: 20_000,
    });
    if (!hardware.diskLimits) return;
    await host.stop();
    const [disk] = (await ask(world, server, 'query-block')) as { inserted: { bps: number; iops_rd: number } }[];
    assert.deepEqual([disk!.inserted.bps, disk!.inserted.iops_rd], [10_000_000, 500]);
  });
}

for (const firmware of ['uefi', 'uefi-secure'] as const) {
  test(`a guest starts with ${firmware}, and what its firmware keeps is its own`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { world, files } = await liveHost(t);
    const image = await world.storeImage(bootSectorDisk());
    const server = wantedServer(image, { ports: [], memoryMiB: 256, hardware: { firmware }, machine: pinned });
    world.control.want(server);
    await running(world, server);
    // A boot sector is nothing that it boots: it says so.
    await until('the firmware to look for a system', async () => (await consoleOf(world, server)).includes('BdsDxe'), {
      timeoutMs: 90_000,
    });
    const variables = join(files(server), 'firmware-variables.fd');
    const { uid, mode } = statSync(variables);
    assert.deepEqual([uid >= guests.uids.first, mode & 0o777], [true, 0o600]);
    const written = readFileSync(variables);
    assert.notDeepEqual(written, readFileSync(firmwareFiles[firmware].variables));
    const anew = { ...server, generation: 2, rootCount: 2, power: 'off' } as const;
    world.control.want(anew);
    await world.control.until(
      server.id,
      'rebuilt',
      ({ state, rootCount }) => state === 'stopped' && rootCount === 2,
      20_000,
    );
    assert.equal(existsSync(variables), false);
  });
}

test('a TPM is a process of the guest’s user, outlives the host process, and ends with its guest', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const { world, host, make, files, pidOfTpm } = await liveHost(t);
  const image = await world.storeImage(bootSectorDisk());
  const hardware = { tpm: { model: 'tpm-crb', version: '2.0' } } as const;
  const server = wantedServer(image, { ports: [], memoryMiB: 64, hardware, machine: pinned });
  world.control.want(server);
  await running(world, server);
  const pid = pidOfTpm(server);
  const uid = statSync(join(files(server), 'disk.qcow2')).uid;
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\\t${uid}\\t`, 'm'));
  await host.stop();
  const [device] = (await ask(world, server, 'query-tpm')) as { model: string }[];
  assert.equal(device?.model, 'tpm-crb');
  world.control.observed.clear();
  await make().start();
  await running(world, server);
  assert.equal(pidOfTpm(server), pid);
  assert.ok(existsSync(`/proc/${pid}`));
  const rebooted = { ...server, generation: 2, reboot: { count: 1, type: 'hard' } } as const;
  world.control.want(rebooted);
  await running(world, rebooted);
  assert.notEqual(pidOfTpm(server), pid);
  await until('the TPM of before to be gone', () => !existsSync(`/proc/${pid}`));
  const suspended = { ...rebooted, generation: 3, power: 'suspended' } as const;
  world.control.want(suspended);
  await world.control.until(server.id, 'suspended', ({ state }) => state === 'suspended', 20_000);
  const resumed = { ...rebooted, generation: 4 } as const;
  world.control.want(resumed);
  await running(world, resumed);
  const last = pidOfTpm(server);
  world.control.want({ ...server, generation: 5, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent', 20_000);
  await until('its TPM to be gone', () => !existsSync(`/proc/${last}`));
  assert.equal(existsSync(files(server)), false);
});

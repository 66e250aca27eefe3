/** For tests: a simulated machine in a temporary directory, with the command line that a host would give a guest on it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { makeOverlay } from '../../host/disk/disk.ts';
import { type GuestMachine, qemuArguments } from '../../host/guest/arguments.ts';
import { serverPaths } from '../../host/paths.ts';
import { QmpClient, type QmpEvent } from '../../protocols/qmp/index.ts';
import { FakeMachine, type FakeMachineOptions } from './fake-machine.ts';

export interface QemuWorld {
  machine: FakeMachine;
  serverId: ServerId;
  paths: ReturnType<typeof serverPaths>;
  args: string[];
  launch(args?: string[]): ReturnType<FakeMachine['launch']>;
  connect(): Promise<{ client: QmpClient; events: QmpEvent[] }>;
}

export async function qemuWorld(t: TestContext, options: FakeMachineOptions = {}): Promise<QemuWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'bq-'));
  const machine = new FakeMachine(options);
  const serverId = newId<ServerId>();
  const { description, paths } = await prepareGuest(directory, serverId);
  const clients: QmpClient[] = [];
  t.after(() => {
    for (const client of clients) client.close();
    machine.powerCut();
    rmSync(directory, { recursive: true });
  });
  const args = qemuArguments(description);
  return {
    ...{ machine, serverId, paths, args },
    launch: (changed = args) => machine.launch({ serverId, args: changed, logFile: paths.qemuLog, user: undefined }),
    async connect() {
      const client = await QmpClient.connect({ path: paths.qmp, timeoutMs: 2000 });
      clients.push(client);
      const events: QmpEvent[] = [];
      client.listen((event) => events.push(event));
      return { client, events };
    },
  };
}

/** Files and description of a guest, as a host makes them. */
export async function prepareGuest(directory: string, serverId: ServerId) {
  const paths = serverPaths({ dataDirectory: join(directory, 'data'), runDirectory: join(directory, 'run') }, serverId);
  for (const path of [paths.disk, paths.qmp]) mkdirSync(dirname(path), { recursive: true });
  const base = { path: join(directory, 'base'), format: 'raw' as const };
  writeFileSync(base.path, Buffer.alloc(1024 * 1024));
  await makeOverlay(paths.disk, { sizeBytes: 2 ** 30, backing: base, owner: undefined });
  writeFileSync(paths.configDrive, Buffer.alloc(2048));
  const description: GuestMachine = {
    id: serverId,
    accelerator: 'tcg',
    machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 },
    vcpus: 2,
    memoryMiB: 64,
    paths,
    disks: [{ name: 'disk', path: paths.disk, base }],
    hardware: {},
    volumes: [],
    volumeBus: false,
    begins: 'boot',
    configDrive: true,
    ports: [{ tap: 'simt000000001', mac: 'fa:16:3e:00:00:01', mtu: 1442, vnetHeader: false, slot: 0 }],
  };
  return { description, paths };
}

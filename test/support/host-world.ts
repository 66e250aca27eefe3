/** A real Host over a fake machine and a fake control, in temporary directories, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { type HostId, type ImageId, newId, newOrderedId, type PortId, type ServerId } from '../../contract/ids.ts';
import type { HostEndpoint } from '../../control/host/answers.ts';
import { HostClient } from '../../control/host/client.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import type { HostDependencies } from '../../host/dependencies.ts';
import { Host } from '../../host/host.ts';
import { silent } from '../../host/logger.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { headersOnly } from '../../simulator/fleet/layer-tools.ts';
import { MemoryNetwork } from '../../simulator/fleet/network.ts';
import { FakeMachine } from '../../simulator/qemu/index.ts';
import { keepNothing, saveEmptyDisk } from '../../simulator/qemu/save-disk.ts';
import { type TestAuthority, testAuthority } from './certificates.ts';
import { FakeControl } from './fake-control.ts';

export interface HostWorld {
  directory: string;
  hostId: HostId;
  authority: TestAuthority;
  control: FakeControl;
  machine: FakeMachine;
  network: MemoryNetwork;
  /** Control on this machine, and on another one. */
  client: HostClient;
  remote: HostClient;
  /** The host's own service, for control on this machine. */
  socket: string;
  endpoint(): HostEndpoint;
  /** A new host process on this machine. */
  host(changes?: HostChanges): Host;
  /** Stores an image on the host and answers how a server names it. */
  storeImage(contents?: Buffer): Promise<NonNullable<DesiredServer['image']>>;
}

export interface HostChanges {
  configuration?: Partial<HostConfiguration>;
  dependencies?: Partial<HostDependencies>;
}

/** @param options authority: that of another world, so that the two hosts are of one cloud */
export async function hostWorld(
  t: Pick<TestContext, 'after'>,
  options: { authority?: TestAuthority } = {},
): Promise<HostWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  const hostId = newOrderedId<HostId>();
  const authority = options.authority ?? (await testAuthority());
  const files = await certificateFiles(directory, authority, hostId);
  const controlTls = await authority.issue('bothy-control');
  const control = new FakeControl({ tls: controlTls, cloudId: newId(), hostId });
  await control.listen();
  const machine = new FakeMachine();
  const network = new MemoryNetwork();
  const socket = join(directory, 'host.sock');
  const client = new HostClient({ tls: controlTls, local: { id: hostId, socket } });
  const remote = new HostClient({ tls: controlTls });
  const hosts: Host[] = [];
  t.after(async () => {
    for (const host of hosts) await host.stop();
    machine.powerCut();
    client.close();
    remote.close();
    await control.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const endpoint = () => ({ id: hostId, url: 'https://127.0.0.1:1' });
  return {
    ...{ directory, hostId, authority, control, machine, network, client, remote, socket, endpoint },
    host(changes = {}) {
      const basis = { directory, hostId, files, controlUrl: control.url };
      const host = new Host(configurationOf(basis, changes), dependenciesOf({ machine, network }, changes));
      hosts.push(host);
      return host;
    },
    async storeImage(contents = Buffer.alloc(4096, 7)) {
      const id = newId<ImageId>();
      // The client frees what it has sent.
      const source = Readable.from([Buffer.from(contents)]);
      const result = await client.putImage(endpoint(), id, source, { format: 'raw', maxBytes: 2 ** 30 });
      return { id, format: 'raw', sizeBytes: result.sizeBytes, sha256: result.sha256, sources: [] };
    },
  };
}

async function certificateFiles(directory: string, authority: TestAuthority, hostId: HostId) {
  const { cert, key, ca } = await authority.issue(hostId);
  const files = { certificate: join(directory, 'crt'), key: join(directory, 'key'), ca: join(directory, 'ca') };
  writeFileSync(files.certificate, cert);
  writeFileSync(files.key, key);
  writeFileSync(files.ca, ca);
  return files;
}

function configurationOf(
  basis: { directory: string; hostId: HostId; files: HostConfiguration['tls']; controlUrl: string },
  { configuration }: HostChanges,
): HostConfiguration {
  return {
    hostId: basis.hostId,
    name: 'host 小屋',
    cloudId: null,
    bothyVersion: '0.1.0',
    dataDirectory: join(basis.directory, 'data'),
    runDirectory: join(basis.directory, 'run'),
    controlUrls: [basis.controlUrl],
    controlName: 'bothy-control',
    tls: basis.files,
    listen: { address: '127.0.0.1', port: 0 },
    url: 'https://127.0.0.1:{port}',
    socket: { path: join(basis.directory, 'host.sock') },
    guests: undefined,
    accelerator: 'tcg',
    durable: false,
    ...configuration,
    limits: { retryFirstMs: 5, retryMaxMs: 20, stopTimeoutMs: 1000, powerdownRepeatMs: 200, ...configuration?.limits },
  };
}

function dependenciesOf(
  { machine, network }: { machine: FakeMachine; network: MemoryNetwork },
  { dependencies }: HostChanges,
): HostDependencies {
  return {
    network,
    launcher: machine,
    guard: machine.guard,
    inspect: async () => {},
    convert: async () => {},
    saveDisk: saveEmptyDisk,
    keeper: keepNothing,
    layerTools: headersOnly,
    tpm: { start: async () => {}, end: async () => {} },
    tryWay: async () => {},
    resetConnections: async (way) => machine.resetConnections(way),
    log: silent,
    bootId: 'boot-1',
    qemuVersion: '7.2.22',
    machineTypes: ['pc-q35-7.2', 'pc-q35-7.1'],
    accelerator: async () => ({ accelerator: 'tcg', reason: 'simulated' }),
    ...dependencies,
  };
}

/** A server that boots from the image, with one port. */
export function wantedServer(image: DesiredServer['image'], changes: Partial<DesiredServer> = {}): DesiredServer {
  const [port] = exampleServer().ports;
  return exampleServer({ id: newOrderedId<ServerId>(), image, ports: [{ ...port!, id: newId<PortId>() }], ...changes });
}

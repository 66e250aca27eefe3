/** A real Host over a fake machine and a fake control, in temporary directories, for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DesiredServer } from '../../contract/host.ts';
import { type HostId, type ImageId, newId, type PortId, type ServerId } from '../../contract/ids.ts';
import { HostClient, type HostEndpoint } from '../../control/host/client.ts';
import type { HostConfiguration } from '../../host/configuration.ts';
import { Host, type HostDependencies } from '../../host/host.ts';
import { silent } from '../../host/logger.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { MemoryNetwork } from '../../simulator/fleet/network.ts';
import { FakeMachine } from '../../simulator/qemu/index.ts';
import { testAuthority } from './certificates.ts';
import { FakeControl } from './fake-control.ts';

export interface HostWorld {
  directory: string;
  hostId: HostId;
  control: FakeControl;
  machine: FakeMachine;
  network: MemoryNetwork;
  client: HostClient;
  endpoint(): HostEndpoint;
  /** A new host process on this machine. */
  host(changes?: { configuration?: Partial<HostConfiguration>; dependencies?: Partial<HostDependencies> }): Host;
  /** Stores an image on the host and answers how a server names it. */
  storeImage(contents?: Buffer): Promise<NonNullable<DesiredServer['image']>>;
}

export async function hostWorld(t: TestContext): Promise<HostWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  const hostId = newId<HostId>();
  const authority = await testAuthority();
  const hostTls = await authority.issue(hostId);
  const controlTls = await authority.issue('bothy-control');
  const files = { certificate: join(directory, 'crt'), key: join(directory, 'key'), ca: join(directory, 'ca') };
  writeFileSync(files.certificate, hostTls.cert);
  writeFileSync(files.key, hostTls.key);
  writeFileSync(files.ca, hostTls.ca);
  const control = new FakeControl({ tls: controlTls, cloudId: newId(), hostId });
  await control.listen();
  const machine = new FakeMachine();
  const network = new MemoryNetwork();
  const client = new HostClient({ tls: controlTls });
  const hosts: Host[] = [];
  const socket = join(directory, 'host.sock');
  t.after(async () => {
    for (const host of hosts) await host.stop();
    machine.powerCut();
    client.close();
    await control.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const world: HostWorld = {
    directory,
    hostId,
    control,
    machine,
    network,
    client,
    endpoint: () => ({ id: hostId, url: 'https://127.0.0.1:1', socket }),
    host({ configuration, dependencies } = {}) {
      const host = new Host(
        {
          hostId,
          name: 'host 小屋',
          cloudId: null,
          bothyVersion: '0.1.0',
          dataDirectory: join(directory, 'data'),
          runDirectory: join(directory, 'run'),
          controlUrls: [control.url],
          controlName: 'bothy-control',
          tls: files,
          listen: { address: '127.0.0.1', port: 0 },
          url: 'https://127.0.0.1:{port}',
          socket: { path: socket },
          guestUser: undefined,
          accelerator: 'tcg',
          durable: false,
          ...configuration,
          limits: {
            retryFirstMs: 5,
            retryMaxMs: 20,
            stopTimeoutMs: 1000,
            powerdownRepeatMs: 200,
            ...configuration?.limits,
          },
        },
        {
          network,
          launcher: machine,
          inspect: async () => {},
          log: silent,
          bootId: 'boot-1',
          qemuVersion: '7.2.22',
          accelerator: async () => ({ accelerator: 'tcg', reason: 'simulated' }),
          ...dependencies,
        },
      );
      hosts.push(host);
      return host;
    },
    async storeImage(contents = Buffer.alloc(4096, 7)) {
      const id = newId<ImageId>();
      const { Readable } = await import('node:stream');
      const result = await client.putImage(world.endpoint(), id, Readable.from([contents]), {
        format: 'raw',
        maxBytes: 2 ** 30,
      });
      return { id, format: 'raw', sizeBytes: result.sizeBytes, sha256: result.sha256, sources: [] };
    },
  };
  return world;
}

/** A server that boots from the image, with one port. */
export function wantedServer(image: DesiredServer['image'], changes: Partial<DesiredServer> = {}): DesiredServer {
  const [port] = exampleServer().ports;
  return exampleServer({ id: newId<ServerId>(), image, ports: [{ ...port!, id: newId<PortId>() }], ...changes });
}

/** For tests: one simulated machine with its host process, and a fake control that it dials. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type DesiredServer, hostPaths, type ImageUploadResult } from '../../contract/host/index.ts';
import { type HostId, type ImageId, newId, newOrderedId, type PortId, type ServerId } from '../../contract/ids.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { type TestTls, testAuthority } from '../../test/support/certificates.ts';
import { FakeControl } from '../../test/support/fake-control.ts';
import { FleetHost, type FleetHostOptions } from './fleet-host.ts';

export interface FleetWorld {
  directory: string;
  host: FleetHost;
  control: FakeControl;
  /** An image that is on the host, as a server names it. */
  image(): Promise<NonNullable<DesiredServer['image']>>;
}

/** Limits with which a test need not wait. */
const impatient = { retryFirstMs: 5, retryMaxMs: 20, stopTimeoutMs: 1000, powerdownRepeatMs: 200 };

export async function fleetWorld(t: TestContext, changes: Partial<FleetHostOptions> = {}): Promise<FleetWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'bf-'));
  const hostId = newOrderedId<HostId>();
  const authority = await testAuthority();
  const tls = writeTls(directory, await authority.issue(hostId));
  const control = new FakeControl({ tls: await authority.issue('bothy-control'), cloudId: newId(), hostId });
  await control.listen();
  const socket = join(directory, 'host.sock');
  const host = new FleetHost({
    ...{ hostId, name: 'host 小屋', cloudId: null, directory, controlUrls: [control.url], tls },
    ...changes,
    configuration: { socket: { path: socket }, limits: impatient, ...changes.configuration },
  });
  t.after(async () => {
    await host.remove();
    await control.close();
    rmSync(directory, { recursive: true, force: true });
  });
  await host.start();
  return { directory, host, control, image: () => storeImage(socket) };
}

/** Writes what a host needs for mutual TLS below the directory. */
export function writeTls(directory: string, { cert, key, ca }: TestTls) {
  const files = { certificate: join(directory, 'crt'), key: join(directory, 'key'), ca: join(directory, 'ca') };
  writeFileSync(files.certificate, cert);
  writeFileSync(files.key, key);
  writeFileSync(files.ca, ca);
  return files;
}

/** A server that boots from the image, with one port. */
export function wantedServer(image: DesiredServer['image'], changes: Partial<DesiredServer> = {}): DesiredServer {
  const [port] = exampleServer().ports;
  return exampleServer({ id: newOrderedId<ServerId>(), image, ports: [{ ...port!, id: newId<PortId>() }], ...changes });
}

async function storeImage(socketPath: string): Promise<NonNullable<DesiredServer['image']>> {
  const id = newId<ImageId>();
  const { sizeBytes, sha256 } = await new Promise<ImageUploadResult>((resolve, reject) => {
    const call = request({ socketPath, method: 'PUT', path: `${hostPaths.image(id)}?format=raw` }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => {
        text += piece;
      });
      response.on('end', () => {
        if (response.statusCode === 201) resolve(JSON.parse(text) as ImageUploadResult);
        else reject(new Error(`the host answered ${response.statusCode}: ${text}`));
      });
    });
    call.on('error', reject).end(Buffer.alloc(4096, 7));
  });
  return { id, format: 'raw', sizeBytes, sha256, sources: [] };
}

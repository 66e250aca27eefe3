/**
 * Certificates that end while the cloud runs: control and hosts take the new ones from their files, whoever connects later
 * sees them, and what was connected before goes on.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { HostClient } from '../../control/host/client.ts';
import { Authority, type LeafRequest } from '../../control/pki/authority.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
});
after(() => cloud[Symbol.asyncDispose]());

const files = (name: string) => join(cloud.directory, 'certificates', name);

/** The certificate that a new connection is shown. */
async function shown(port: number): Promise<{ serial: string; ends: number }> {
  const host = { certificate: files('host-1.pem'), key: files('host-1.key') };
  const own = { cert: readFileSync(host.certificate), key: readFileSync(host.key) };
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: readFileSync(files('ca.pem')), ...own });
  await once(socket, 'secureConnect');
  const { serialNumber, valid_to } = socket.getPeerCertificate();
  socket.destroy();
  return { serial: serialNumber, ends: Date.parse(valid_to) };
}

/** GET of the version document, and whether the connection was one that was there already. */
async function version(agent: Agent): Promise<{ status: number | undefined; reused: boolean }> {
  const request = get(`https://127.0.0.1:${cloud.port}/identity/v3`, { agent, ca: readFileSync(files('ca.pem')) });
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  return { status: response.statusCode, reused: request.reusedSocket };
}

test('certificates end and are renewed under an API session and a host’s stream, and both go on', async (t) => {
  const [host] = cloud.hosts;
  const { id, name } = cloud.identity.hosts[0]!;
  const usages = ['server', 'client'] as const;
  const names = ['localhost', '127.0.0.1', '::1'];
  const requests: LeafRequest[] = [
    { name: 'api', commonName: 'bothy-control', names, usages },
    { name, commonName: id, names, usages },
  ];
  const authority = await Authority.open(files(''), cloud.identity.cloudId, { leafLifeMs: 4000 });
  const ensureAll = async () =>
    (await Promise.all(requests.map((request) => authority.ensure(request)))).map(({ renewed }) => renewed);
  const hostPort = Number(new URL(host!.facts().url).port);
  const ports = [cloud.port, hostPort];

  // From here on they live for seconds.
  const first = await Promise.all(ports.map(shown));
  for (const request of requests) rmSync(files(`${request.name}.pem`));
  assert.deepEqual(await ensureAll(), [true, true]);
  const changed = (former: { serial: string }[]) => async () =>
    (await Promise.all(ports.map(shown))).every(({ serial }, index) => serial !== former[index]!.serial);
  await cloud.until('both to show the short-lived ones', changed(first));
  const short = await Promise.all(ports.map(shown));
  assert.ok(short.every(({ ends }) => ends - Date.now() < 10_000));

  host!.dropConnection();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await version(agent)).status, 200);
  await cloud.until('the stream to be back', () => host!.connected);

  await cloud.until('them to be due and renewed', async () => (await ensureAll()).every(Boolean));
  await cloud.until('both to show the new ones', changed(short));
  await cloud.until('the old ones to have ended', async () => {
    await ensureAll();
    assert.equal(host!.connected, true, 'the stream lives on');
    return short.every(({ ends }) => Date.now() > ends);
  });
  assert.deepEqual(await version(agent), { status: 200, reused: true }, 'and so does the session');

  // Everything that connects anew has a certificate that is good.
  const tls = {
    key: readFileSync(files('api.key'), 'utf8'),
    cert: readFileSync(files('api.pem'), 'utf8'),
    ca: readFileSync(files('ca.pem'), 'utf8'),
  };
  const client = new HostClient({ tls });
  t.after(() => client.close());
  await client.health({ id, url: `https://127.0.0.1:${hostPort}` });
  host!.dropConnection();
  await cloud.until('the stream to be lost', () => !host!.connected);
  await cloud.until('the stream to be back', async () => {
    await ensureAll();
    return host!.connected;
  });
});

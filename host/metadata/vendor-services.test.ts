import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, beforeEach, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { testAuthority } from '../../test/support/certificates.ts';
import { until } from '../../test/support/until.ts';
import { silent } from '../logger.ts';
import { exampleServer } from './testing.ts';
import { VendorServices, type VendorServicesOptions } from './vendor-services.ts';

let service: Server;
let asked: { body: unknown; headers: IncomingMessage['headers']; method: string | undefined }[];
let reply: (response: ServerResponse, path: string) => void;
let warnings: object[];

before(async () => {
  service = createServer(async (request, response) => {
    asked.push({ body: await json(request), headers: request.headers, method: request.method });
    reply(response, request.url!);
  });
  await once(service.listen(0, '127.0.0.1'), 'listening');
});
beforeEach(() => {
  asked = [];
  warnings = [];
  reply = (response) => response.end('{}');
});
after(() => {
  service.closeAllConnections();
  service.close();
});

const url = (path: string) => `http://127.0.0.1:${(service.address() as AddressInfo).port}/${path}`;
const log = { ...silent, warn: (fields: object) => void warnings.push(fields) };
const services = (names: string[], limits: VendorServicesOptions['limits'] = {}) => {
  const made = new VendorServices({ targets: names.map((name) => ({ name, url: url(name) })), log, limits });
  return Object.assign(made, { [Symbol.dispose]: () => made.close() });
};

test('each service is told what Nova tells, and its answer stands under its name', async () => {
  reply = (response, path) => response.end(JSON.stringify(path === '/join' ? { token: '小屋' } : ['#cloud-config']));
  using vendor = services(['join', 'cloud-init']);
  const server = exampleServer({ bootRoles: ['member', 'reader'], adminPassword: 'secret' });
  assert.deepEqual(await vendor.of(server), { join: { token: '小屋' }, 'cloud-init': ['#cloud-config'] });
  assert.equal(asked.length, 2);
  assert.deepEqual([asked[0]!.method, asked[0]!.headers['content-type']], ['POST', 'application/json']);
  assert.deepEqual(asked[0]!.body, {
    'project-id': server.projectId,
    'instance-id': server.id,
    'image-id': server.image!.id,
    'user-data': server.userData,
    hostname: 'host-1',
    metadata: { role: 'web' },
    'boot-roles': 'member,reader',
  });
});

test('whatever goes wrong with one service is an empty object of that one, and a line in the log without its address', async () => {
  const bad: Record<string, (response: ServerResponse) => void> = {
    refused: (response) => response.writeHead(503).end('{"a": 1}'),
    moved: (response) => response.writeHead(302, { location: url('good') }).end(),
    broken: (response) => response.destroy(),
    cut: (response) => response.writeHead(200, { 'content-length': 10 }).write('{', () => response.destroy()),
    text: (response) => response.end('not JSON'),
    bytes: (response) => response.end(Buffer.from([0x22, 0xff, 0x22])),
    large: (response) => response.end(JSON.stringify('x'.repeat(65_535))),
    endless: (response) => void response.write('['.repeat(1000)),
    silent: () => {},
  };
  reply = (response, path) => (bad[path.slice(1)] ?? (() => response.end('{"b": 2}')))(response);
  using vendor = services([...Object.keys(bad), 'good'], { callMs: 2000 });
  const found = await vendor.of(exampleServer());
  assert.deepEqual(found, { ...Object.fromEntries(Object.keys(bad).map((name) => [name, {}])), good: { b: 2 } });
  await until('a line for each', () => warnings.length === Object.keys(bad).length);
  assert.ok(!JSON.stringify(warnings).includes('http://'), JSON.stringify(warnings));
});

test('what nobody could write into a document again is no answer', async () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  reply = (response, path) => response.end(path === '/deep' ? deep(32_000) : deep(64));
  using vendor = services(['deep', 'fine']);
  const found = await vendor.of(exampleServer());
  assert.equal(JSON.stringify(found), `{"deep":{},"fine":${deep(64)}}`);
  assert.equal(warnings.length, 1);
});

test('nothing of an answer is in the log: it may be a token', async () => {
  const secret = 's3cr3t-小屋';
  reply = (response, path) => response.end(path === '/text' ? secret : `{"token": "${secret}", }`);
  using vendor = services(['text', 'json']);
  assert.deepEqual(await vendor.of(exampleServer()), { text: {}, json: {} });
  assert.equal(warnings.length, 2);
  assert.ok(!/s3c|小屋/.test(JSON.stringify(warnings)), JSON.stringify(warnings));
});

test('an answer without content is an empty object, and nothing to tell', async () => {
  reply = (response) => response.writeHead(204).end();
  using vendor = services(['join']);
  assert.deepEqual(await vendor.of(exampleServer()), { join: {} });
  assert.deepEqual(warnings, []);
});

test('a service is asked once, however often a guest asks, and anew when the server is another or time has passed', async () => {
  reply = (response) => response.end(String(asked.length));
  using vendor = services(['join'], { keptMs: 100 });
  const server = exampleServer();
  const together = await Promise.all([vendor.of(server), vendor.of(server)]);
  assert.deepEqual([...together, await vendor.of(server)], [{ join: 1 }, { join: 1 }, { join: 1 }]);
  assert.deepEqual(await vendor.of({ ...server, metadata: {} }), { join: 2 });
  await until(
    'the answer to be forgotten',
    async () => ((await vendor.of({ ...server, metadata: {} })).join as number) > 2,
  );
});

test('who has no time to wait is answered without the service, whose word is there for the next one', async () => {
  let answer = () => {};
  reply = (response) => {
    answer = () => response.end('"late"');
  };
  using vendor = services(['join']);
  assert.deepEqual(await vendor.of(exampleServer(), 20), { join: {} });
  assert.deepEqual(await vendor.of(exampleServer(), -1), { join: {} });
  await until('the service to be asked', () => asked.length === 1);
  const waiting = vendor.of(exampleServer());
  answer();
  assert.deepEqual(await waiting, { join: 'late' });
});

test('a service with TLS is believed by its authority alone, and sees this host’s certificate', async () => {
  const cloud = await testAuthority();
  const operator = await testAuthority('operator');
  const directory = mkdtempSync(join(tmpdir(), 'bothy-vendor-'));
  const files = {
    certificate: join(directory, 'host.pem'),
    key: join(directory, 'host-key.pem'),
    ca: join(directory, 'ca.pem'),
  };
  const host = await cloud.issue('a-host');
  for (const [file, content] of [
    [files.certificate, host.cert],
    [files.key, host.key],
    [files.ca, host.ca],
  ] as const)
    writeFileSync(file, content);
  const own = await operator.issue('vendor', ['127.0.0.1']);
  const options = { key: own.key, cert: own.cert, ca: cloud.ca, requestCert: true };
  const secure = createTlsServer(options, (request, response) =>
    response.end(JSON.stringify((request.socket as TLSSocket).getPeerCertificate().subject.CN)),
  );
  await once(secure.listen(0, '127.0.0.1'), 'listening');
  const target = { name: 'join', url: `https://127.0.0.1:${(secure.address() as AddressInfo).port}/` };
  const ask = async (ca: string | undefined) => {
    const vendor = new VendorServices({ targets: [target], ca, tls: files, log });
    const found = await vendor.of(exampleServer());
    vendor.close();
    return found.join;
  };
  try {
    assert.equal(await ask(operator.ca), 'a-host');
    assert.deepEqual([await ask(cloud.ca), await ask(undefined)], [{}, {}]);
  } finally {
    secure.close();
    rmSync(directory, { recursive: true });
  }
});

/** The socket that everyone reaches: what comes before any dialect. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { testAuthority } from '../test/support/certificates.ts';
import { exchange } from '../test/support/raw-http.ts';
import { until } from '../test/support/until.ts';
import { createApi } from './server.ts';

let api: FastifyInstance;
let port: number;
let ca: string;

before(async () => {
  const authority = await testAuthority();
  ca = authority.ca;
  const failing = () => {
    throw new Error('a defect');
  };
  api = await createApi({
    tls: await authority.issue('api'),
    log: pino({ level: 'silent' }),
    bodyMs: 200,
    silenceMs: 1500,
    dialects: [
      {
        prefix: '/some',
        plugin: async (app) => {
          app.get('/thing', async () => ({ thing: 1 }));
          app.get('/much', async () => 'x'.repeat(50e6));
          app.post('/thing', async () => ({ thing: 2 }));
          const contract = { summary: '', rights: 'open', bytes: 'x/bytes', answers: { 200: null } } as const;
          app.addContentTypeParser('x/bytes', (_request, payload, done) => done(null, payload));
          app.put('/bytes', { config: { contract } }, async ({ raw }) => {
            for await (const _ of raw);
            return 'taken';
          });
        },
      },
      {
        prefix: '/named',
        claim: ({ url = '', headers }) =>
          url.startsWith('/named/') || headers.host?.startsWith('named.') ? '/named/any' : undefined,
        plugin: async (app) => {
          app.get('/any', async ({ originalUrl }) => originalUrl);
        },
      },
    ],
    upgrades: [
      { path: '/failing', handle: failing },
      { path: '/taken', handle: (_request, socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n') },
    ],
  });
  await api.listen({ host: '127.0.0.1', port: 0 });
  port = (api.server.address() as AddressInfo).port;
});
after(() => api.close());

const upgrade = async (target: string, options: { cut?: boolean } = {}) => {
  const lines = [`GET ${target} HTTP/1.1`, 'host: api', 'connection: upgrade', 'upgrade: websocket', '', ''];
  return exchange([lines.join('\r\n')], { port, ca, ...options });
};
const serves = async () => {
  const { answers } = await exchange(['GET /some/thing HTTP/1.1\r\nhost: api\r\n\r\n'], { port, ca });
  assert.equal(answers[0]?.status, 200);
};

test('an upgrade of a request target that is no path does not end the process', async () => {
  for (const target of [
    '//',
    '///x',
    'https://',
    'http://[',
    '*',
    '//[',
    'https://api:99999999',
    '/failing?%',
    '\u00e9',
  ]) {
    const { answers, ended } = await upgrade(target);
    assert.ok(answers.length === 1 || ended === 'by the server', target);
    await serves();
  }
});

test('an upgrade whose handler fails costs its own connection only', async () => {
  assert.deepEqual(await upgrade('/failing'), { answers: [], rest: '', ended: 'by the server' });
  await serves();
});

test('a peer that goes away before its upgrade is answered does no harm', async () => {
  for (const target of ['/taken', '/failing', '/nowhere', '/some/thing']) await upgrade(target, { cut: true });
  await serves();
});

test('an upgrade is taken where there is one to take; elsewhere the request is answered as if there were none', async () => {
  assert.equal((await upgrade('/taken')).answers[0]?.status, 101);
  const { answers } = await upgrade('/some/thing');
  assert.deepEqual([answers[0]?.status, answers[0]?.body], [200, '{"thing":1}']);
  assert.equal((await upgrade('/nowhere')).answers[0]?.status, 404);
});

test('a body that stops half way is not waited for, unless it is bytes that may take hours', async () => {
  const half = (method: string, path: string, type: string) =>
    `${method} ${path} HTTP/1.1\r\nhost: api\r\ncontent-type: ${type}\r\ncontent-length: 9\r\n\r\n{`;
  const cut = await exchange([half('POST', '/some/thing', 'application/json')], { port, ca });
  assert.deepEqual([cut.answers, cut.ended], [[], 'by the server']);
  const chunked =
    'POST /some/thing HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{';
  assert.equal((await exchange([chunked], { port, ca })).ended, 'by the server');
  const patient = await exchange([half('PUT', '/some/bytes', 'x/bytes')], { port, ca, patienceMs: 600 });
  assert.equal(patient.ended, 'by us');
  const whole = `POST /some/thing HTTP/1.1\r\nhost: api\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}`;
  assert.equal((await exchange([whole], { port, ca })).answers[0]?.body, '{"thing":2}');
  await serves();
});

test('an answer that nobody reads does not keep its connection for ever', async () => {
  const socket = tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost' });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  socket.pause();
  socket.write('GET /some/much HTTP/1.1\r\nhost: api\r\n\r\n');
  const open = () => new Promise<number>((resolve) => api.server.getConnections((_, count) => resolve(count)));
  await until('the connection', async () => (await open()) > 0);
  await until('its end', async () => (await open()) === 0);
  socket.destroy();
});

test('what a dialect claims comes to it with the target that the client sent, whatever is in it', async () => {
  for (const target of ['/named/a//b/', '/named/../some/thing', '/named/%2e%2E/a%2Fb%zz?x=%', '/named/a?b?c#d']) {
    const { answers } = await exchange([`GET ${target} HTTP/1.1\r\nhost: api\r\n\r\n`], { port, ca });
    assert.equal(answers[0]?.body, target);
  }
  const { answers } = await exchange(['GET /some/thing HTTP/1.1\r\nhost: named.api\r\n\r\n'], { port, ca });
  assert.equal(answers[0]?.body, '/some/thing', 'by its host');
  await serves();
});

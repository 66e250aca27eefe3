/** The socket that everyone reaches: what comes before any dialect. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { testAuthority } from '../test/support/certificates.ts';
import { exchange } from '../test/support/raw-http.ts';
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
    dialects: [{ prefix: '/some', plugin: async (app) => void app.get('/thing', async () => ({ thing: 1 })) }],
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

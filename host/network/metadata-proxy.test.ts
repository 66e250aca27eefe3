/** A real HAProxy with our configuration, listening on this machine's own loopback. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, createServer as createSocketServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../../test/support/free-port.ts';
import { until } from '../../test/support/until.ts';
import { proxyConfig } from './metadata-proxy.ts';

const haproxy = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy'].find(existsSync);
const directory = mkdtempSync(join(tmpdir(), 'bothy-proxy-'));
const sockets = new Set<Socket>();
let port: number;
/** Requests that came through. */
let served = 0;
/** When the last one's guest asked, by the proxy's word. */
let lastAsked = 0;
const service = createServer((request, response) => {
  served++;
  request.resume();
  lastAsked = Number(request.headers['x-bothy-asked-at']);
  response.end(`for ${request.headers['x-forwarded-for']} on ${request.headers['x-bothy-network']}`);
});
let proxy: ReturnType<typeof spawn> | undefined;

before(async () => {
  if (!haproxy) return;
  const backend = join(directory, 'service.sock');
  await new Promise<void>((resolve) => service.listen(backend, resolve));
  port = await freePort();
  const network = { id: 'a-network', namespace: 'none', inode: 1 };
  const text = proxyConfig({ networks: [network], backend, ids: { uid: process.getuid!(), gid: process.getgid!() } })
    .replace(/^ {2}[ug]id .*\n/gm, '')
    .replace(/^ {2}bind \[.*\n/m, '')
    .replace(/bind 169.*/, `bind 127.0.0.1:${port}`)
    .replace(/frontend names-(.*\n)+? {2}default_backend uplink\n/, '');
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, text);
  proxy = spawn(haproxy, ['-db', '-f', file], { stdio: 'ignore' });
  await until('HAProxy to listen', async () => (await ask('GET / HTTP/1.0\r\n\r\n')) !== '');
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  if (proxy?.exitCode === null) {
    proxy.kill();
    await once(proxy, 'exit');
  }
  service.closeAllConnections();
  service.close();
  rmSync(directory, { recursive: true });
});

function open(text: string, from = '127.0.0.1'): { socket: Socket; said: () => string; closed: () => boolean } {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  sockets.add(socket);
  let said = '';
  let closed = false;
  socket.setEncoding('latin1').on('data', (part) => {
    said += part;
  });
  socket
    .on('error', () => {})
    .on('close', () => {
      closed = true;
    });
  socket.write(text);
  return { socket, said: () => said, closed: () => closed };
}

/** What is answered until the connection ends. */
async function ask(text: string, from?: string): Promise<string> {
  const { said, closed } = open(text, from);
  await until('an answer', closed);
  return said();
}

const plain = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';

test('what a guest says of itself is dropped', { skip: !haproxy }, async () => {
  const lies =
    'X-Forwarded-For: 10.0.0.9\r\nx-bothy-network: other\r\nX-Forwarded-For: 10.0.0.8\r\nX-Bothy-Asked-At: 1\r\n';
  const before = Date.now();
  assert.match(await ask(`${plain}${lies}\r\n`), /for 127\.0\.0\.1 on a-network$/);
  assert.ok(lastAsked >= before - 1000 && lastAsked <= Date.now(), `${before} ${lastAsked}`);
});

test('a request with a body is refused before it costs the host process a connection', { skip: !haproxy }, async () => {
  const before = served;
  for (const body of ['Content-Length: 1000\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    assert.match(await ask(`${plain}${body}`), /^HTTP\/1\.[01] 413 /);
  }
  const post = 'POST /openstack/latest/password HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length:';
  assert.match(await ask(`${post} 1021\r\n\r\nabc`), /^HTTP\/1\.[01] 413 /, 'longer than any password');
  const slow = open(`${post} 4\r\n\r\nabc`);
  // The proxy does one thing after the other: when this is refused, it has seen the rest.
  assert.match(await ask('no request\r\n\r\n'), /^HTTP\/1\.[01] 400 /);
  assert.equal(served, before);
  slow.socket.write('d');
  await until('the whole password to come through', () => served === before + 1);
  assert.match(await ask(`${plain}Content-Length: 0\r\n\r\n`), /^HTTP\/1\.1 200 /);
});

test('a request waits for a host process that is started again, whether it was away or died over it', {
  skip: !haproxy,
}, async () => {
  const backend = service.address() as string;
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
  const waiting = open(`${plain}\r\n`);
  // The proxy does one thing after the other: when this is refused, the first has been tried.
  assert.match(await ask('no request\r\n\r\n'), /^HTTP\/1\.[01] 400 /);
  assert.equal(waiting.said(), '');
  // Takes the request and goes without a word.
  const dying = createSocketServer((socket) => socket.once('data', () => socket.destroy()));
  await new Promise<void>((resolve) => dying.listen(backend, resolve));
  await once(dying, 'connection');
  await new Promise((resolve) => dying.close(resolve));
  await new Promise<void>((resolve) => service.listen(backend, resolve));
  await until('an answer', waiting.closed);
  assert.match(waiting.said(), /^HTTP\/1\.1 200 .*for 127\.0\.0\.1 on a-network$/s);
});

test('a guest that keeps connections open keeps few, and none of its neighbours waits', {
  skip: !haproxy,
}, async () => {
  const held = Array.from({ length: 100 }, () => open('GET / HTTP/1.1\r\nX-a: '));
  await until('most to be cut off', () => held.filter(({ closed }) => closed()).length >= 90);
  assert.match(await ask(`${plain}\r\n`, '127.0.0.2'), /for 127\.0\.0\.2 on/);
});

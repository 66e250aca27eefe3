import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, afterEach, before, test } from 'node:test';
import tls from 'node:tls';
import { testAuthority } from '../../test/support/certificates.ts';
import { collect } from '../../test/support/collect.ts';
import { until } from '../../test/support/until.ts';
import type { ByteRequest } from './connection.ts';
import { getBytes } from './get.ts';
import { pieces } from './memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'bothy-test-bytes-'));
const socketPath = join(folder, 'server.sock');
/** What the next connections are served with. */
let serve: (socket: net.Socket) => void = () => {};
const sockets = new Set<net.Socket>();
const accept = (socket: net.Socket) => {
  sockets.add(socket);
  socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  serve(socket);
};
const plain = net.createServer(accept);
let secure: tls.Server;
let secureTo: ByteRequest['to'];

before(async () => {
  const authority = await testAuthority();
  const { key, cert, ca } = await authority.issue('server');
  secure = tls.createServer({ key, cert }, accept);
  await Promise.all([
    new Promise<void>((resolve) => plain.listen(socketPath, resolve)),
    new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve)),
  ]);
  const { port } = secure.address() as net.AddressInfo;
  secureTo = { tls: { host: '127.0.0.1', port, ca, checkServerIdentity: () => undefined } };
});
after(() => {
  for (const socket of sockets) socket.destroy();
  plain.close();
  secure.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await until('all memory to be given back', () => pieces.inUse === 0);
});

const get = (over: Partial<ByteRequest> = {}) =>
  getBytes({ to: { socket: socketPath }, path: '/bytes', answerMs: 5000, silenceMs: 5000, ...over });
const headOf = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nX-Name: a: b \r\n\r\n`;

/** Answers with these pieces, one after the other as they are taken, and then ends, or breaks off. */
function answerWith(parts: readonly (string | Buffer)[], then: 'end' | 'cut' | 'stay' = 'end'): void {
  serve = (socket) =>
    socket.once('data', async () => {
      for (const part of parts) {
        await new Promise((resolve) => socket.write(part, resolve));
        await new Promise(setImmediate);
      }
      if (then === 'end') socket.end();
      if (then === 'cut') socket.destroy();
    });
}

test('a body comes as it was, whatever its size and however it was cut, over a socket and over TLS', async () => {
  for (const to of [{ socket: socketPath }, secureTo]) {
    for (const [size, cut] of [
      [0, 1],
      [1, 1],
      [70_000, 999],
      [300_000, 300_000],
      [5_000_000, 1_000_000],
    ] as const) {
      const bytes = randomBytes(size);
      const parts = Array.from({ length: Math.ceil(size / cut) }, (_, index) =>
        bytes.subarray(index * cut, (index + 1) * cut),
      );
      for (const whole of [true, false]) {
        answerWith(whole ? [Buffer.concat([Buffer.from(headOf(size)), ...parts])] : [headOf(size), ...parts]);
        assert.ok((await collect(await get({ to }))).equals(bytes), `${size} in pieces of ${cut}`);
      }
    }
  }
});

test('a head is read wherever it is cut', async () => {
  const text = `${headOf(5)}bytes`;
  for (let at = 1; at < text.length; at++) {
    answerWith([text.slice(0, at), text.slice(at)]);
    const answer = await get();
    assert.deepEqual([answer.head.status, answer.head.headers.get('x-name')], [200, 'a: b']);
    assert.equal((await collect(answer)).toString(), 'bytes');
  }
});

test('what is no answer of HTTP is refused: a greeting of something else, a head without end, an early end, silence', async () => {
  for (const parts of [
    ['SSH-2.0-OpenSSH\r\n\r\n'],
    ['HTTP/1.1 200 OK\r\nno header\r\n\r\n'],
    [`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}`],
    ['HTTP/1.1 200'],
    [],
  ]) {
    answerWith(parts);
    await assert.rejects(get());
  }
  answerWith(['HTTP/1.1 200 OK\r\n'], 'stay');
  await assert.rejects(get({ answerMs: 50 }), /no answer within 50 ms/);
  await assert.rejects(get({ to: { socket: join(folder, 'nobody') } }), { code: 'ENOENT' });
});

test('a server that lies about the length, or breaks off, or says no length, leaves a sink that is cut and not ended', async () => {
  const cases: [string, readonly (string | Buffer)[], 'end' | 'cut'][] = [
    ['too few', [headOf(100), Buffer.alloc(99)], 'end'],
    ['broken off', [headOf(1_000_000), Buffer.alloc(500_000)], 'cut'],
    ['too many', [headOf(100), Buffer.alloc(101)], 'end'],
    ['too many by far', [headOf(1), Buffer.alloc(1_000_000)], 'end'],
    ['no length', ['HTTP/1.1 200 OK\r\n\r\nbytes'], 'end'],
    ['no number', ['HTTP/1.1 200 OK\r\ncontent-length: 5e1\r\n\r\nbytes'], 'end'],
  ];
  for (const [what, parts, then] of cases) {
    answerWith(parts, then);
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    const answer = await get();
    await assert.rejects(async () => answer.sendTo(sink), what);
    await until('the sink is closed', () => sink.closed);
    assert.equal(sink.writableFinished, false, what);
    await until('the server is let go', () => sockets.size === 0);
  }
});

test('a sink that goes away, before or in between, lets the server go and is no error', async () => {
  answerWith([headOf(50_000_000), Buffer.alloc(50_000_000)], 'stay');
  const answer = await get();
  let taken = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken += chunk.length;
      if (taken > 1_000_000) this.destroy();
      else setImmediate(done);
    },
  });
  await answer.sendTo(sink);
  await until('the server is let go', () => sockets.size === 0);
  const closed = new PassThrough().destroy();
  await (await get()).sendTo(closed);
  await until('the server is let go', () => sockets.size === 0);
  (await get()).destroy();
  await until('the server is let go', () => sockets.size === 0);
});

test('a body that stands still is cut off', async () => {
  answerWith([headOf(10), 'five.'], 'stay');
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  await assert.rejects((await get({ silenceMs: 50 })).sendTo(sink), /stood still/);
  await until('the sink is closed', () => sink.destroyed);
});

test('a text is read to its end, and never more of it than allowed', async () => {
  answerWith(['HTTP/1.1 404 Not Found\r\n\r\n', 'why', ' not']);
  assert.equal(await (await get()).text(100), 'why not');
  answerWith([headOf(1000), Buffer.alloc(1000)]);
  await assert.rejects((await get()).text(999), /more than 999 bytes/);
  answerWith([headOf(10), 'five.']);
  await assert.rejects((await get()).text(999));
});

test('a hundred readers that do not read cost little memory, are not read for, and hinder no one', async () => {
  let written = 0;
  const total = 100_000_000;
  serve = (socket) =>
    socket.once('data', () => {
      socket.write(headOf(total));
      const chunk = Buffer.alloc(65_536);
      const more = () => {
        while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
        socket.once('drain', more);
      };
      more();
    });
  const before = process.memoryUsage().arrayBuffers;
  const stuck = await Promise.all(
    Array.from({ length: 100 }, async () => {
      let first = true;
      // A first piece is taken, slowly; then no more.
      const sink = new Writable({
        write(_chunk, _encoding, done) {
          if (first) setTimeout(done, 60);
          first = false;
        },
      });
      (await get({ silenceMs: 60_000 })).sendTo(sink).catch(() => {});
      return sink;
    }),
  );
  let seen = -1;
  await until('nothing to move any more', async () => {
    const before = seen;
    seen = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return before === written;
  });
  const more = process.memoryUsage().arrayBuffers - before;
  assert.ok(more < 24 * 2 ** 20, `${(more / 2 ** 20).toFixed(1)} MiB of memory`);
  assert.ok(written < 100 * 1_000_000, `${written} bytes were read`);
  const bytes = randomBytes(1_000_000);
  answerWith([headOf(bytes.length), bytes]);
  assert.ok((await collect(await get())).equals(bytes));
  for (const sink of stuck) sink.destroy();
});

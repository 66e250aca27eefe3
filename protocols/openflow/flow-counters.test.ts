/** Counters of flows, asked of a fake switch on the wire. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFlowCounters } from './index.ts';

/** A switch that answers each question with these flows, byte by byte, a part of an answer for each flow. */
async function fakeSwitch(
  answer: (cookie: number, xid: number) => Buffer[],
): Promise<AsyncDisposable & { path: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'bo-'));
  const path = join(directory, 'mgmt');
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write(header(0, 0, Buffer.alloc(0)));
    socket.write(header(2, 99, Buffer.from('echo')));
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= 8 && rest.length >= rest.readUInt16BE(2)) {
        const message = rest.subarray(0, rest.readUInt16BE(2));
        rest = rest.subarray(message.length);
        if (message[1] !== 18) continue;
        for (const part of answer(Number(message.readBigUInt64BE(32)), message.readUInt32BE(4))) drip(socket, part);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

const drip = (socket: Socket, bytes: Buffer) => {
  for (const byte of bytes) socket.write(Buffer.from([byte]));
};

function header(type: number, xid: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(4, 0);
  head.writeUInt8(type, 1);
  head.writeUInt16BE(8 + body.length, 2);
  head.writeUInt32BE(xid, 4);
  return Buffer.concat([head, body]);
}

function part(xid: number, { more }: { more: boolean }, ...flows: { packets: bigint; bytes: bigint }[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(1, 0);
  head.writeUInt16BE(more ? 1 : 0, 2);
  const entries = flows.map(({ packets, bytes }) => {
    const entry = Buffer.alloc(56);
    entry.writeUInt16BE(56, 0);
    entry.writeUInt32BE(7, 4);
    entry.writeUInt32BE(250_000_000, 8);
    entry.writeBigUInt64BE(packets, 32);
    entry.writeBigUInt64BE(bytes, 40);
    return entry;
  });
  return header(19, xid, Buffer.concat([head, ...entries]));
}

test('each cookie gets its own flows, in several parts too, and none where there are none', async () => {
  await using fake = await fakeSwitch((cookie, xid) =>
    cookie === 1
      ? [
          part(xid, { more: true }, { packets: 3n, bytes: 2n ** 40n }),
          part(xid, { more: false }, { packets: 1n, bytes: 60n }),
        ]
      : [part(xid, { more: false })],
  );
  const found = await readFlowCounters(fake.path, [0xdeadbeef, 1], { timeoutMs: 10_000 });
  assert.deepEqual(found.get(0xdeadbeef), []);
  assert.deepEqual(found.get(1), [
    { ageMs: 7250, packets: 3n, bytes: 2n ** 40n },
    { ageMs: 7250, packets: 1n, bytes: 60n },
  ]);
  assert.equal((await readFlowCounters(fake.path, [], { timeoutMs: 1 })).size, 0);
});

test('a switch that is away, refuses, or says nonsense is an error, never zero', async () => {
  const ask = (path: string) => readFlowCounters(path, [1], { timeoutMs: 10_000 });
  await assert.rejects(ask('/nowhere/mgmt'), { code: 'ENOENT' });
  await using refusing = await fakeSwitch((_, xid) => [header(1, xid, Buffer.from([0, 1, 0, 5]))]);
  await assert.rejects(ask(refusing.path), /error 00010005/);
  await using short = await fakeSwitch((_, xid) => [header(19, xid, Buffer.alloc(20))]);
  await assert.rejects(ask(short.path), /without a length/);
  await using other = await fakeSwitch(() => [part(5, { more: false })]);
  await assert.rejects(ask(other.path), /not asked/);
  await using silent = await fakeSwitch(() => []);
  await assert.rejects(readFlowCounters(silent.path, [1], { timeoutMs: 50 }), /did not answer/);
});

/** Frames that a fake switch on the wire is asked to send. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sendFrames } from './index.ts';
import { addressBytes } from './packet-out.ts';

/** Answers the barrier, and says what came before it. @param refuse: an error instead of the first frame */
async function fakeSwitch(t: TestContext, { refuse = false } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'bo-'));
  const path = join(directory, 'mgmt');
  const heard: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    let rest = Buffer.alloc(0);
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data]);
      while (rest.length >= 8 && rest.length >= rest.readUInt16BE(2)) {
        const message = rest.subarray(0, rest.readUInt16BE(2));
        rest = rest.subarray(message.length);
        heard.push(message);
        const xid = message.readUInt32BE(4);
        if (message[1] === 13 && refuse) socket.write(answer(1, xid, Buffer.from([0, 2, 0, 4])));
        if (message[1] === 20) socket.write(answer(21, xid));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  return { path, heard };
}

function answer(type: number, xid: number, body = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(4, 0);
  head.writeUInt8(type, 1);
  head.writeUInt16BE(8 + body.length, 2);
  head.writeUInt32BE(xid, 4);
  return Buffer.concat([head, body]);
}

test('each frame goes out of the port to the address that it names, before the barrier', async (t) => {
  const { path, heard } = await fakeSwitch(t);
  const frame = Buffer.from('frame');
  const frames = [
    { to: '10.9.0.2', frame },
    { to: 'fd00:9::2', frame },
  ];
  await sendFrames(path, frames, { port: 1, timeoutMs: 10_000 });
  assert.deepEqual(
    heard.map((message) => message[1]),
    [0, 13, 13, 20],
  );
  const bodies = heard.slice(1, 3).map((message) => message.subarray(8).toString('hex'));
  const head = (length: string) => `fffffffffffffffd${length}000000000000`;
  const output = '0000001000000001000000000000' + '0000';
  assert.equal(bodies[0], `${head('0020')}00190010000140040a09000200000000${output}${frame.toString('hex')}`);
  assert.equal(
    bodies[1],
    `${head('0028')}001900180001dc10fd000009000000000000000000000002${output}${frame.toString('hex')}`,
  );
});

test('a switch that refuses one is an error', async (t) => {
  const { path } = await fakeSwitch(t, { refuse: true });
  const frames = [{ to: '10.9.0.2', frame: Buffer.alloc(4) }];
  await assert.rejects(sendFrames(path, frames, { port: 1, timeoutMs: 10_000 }), /error 00020004/);
});

test('addresses in the order of the wire', () => {
  assert.equal(addressBytes('::1').toString('hex'), '00000000000000000000000000000001');
  assert.equal(addressBytes('fe80::').toString('hex'), 'fe800000000000000000000000000000');
  assert.equal(addressBytes('1:2:3:4:5:6:7:8').toString('hex'), '00010002000300040005000600070008');
});

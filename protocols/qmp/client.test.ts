import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { QmpClient, type QmpEvent, QmpFramer } from './index.ts';

const greeting = '{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":["oob"]}}\r\n';

interface Message {
  execute?: string;
  'exec-oob'?: string;
  id: number;
  arguments?: unknown;
}

/** A peer that answers each line as told; `qmp_capabilities` by itself. */
async function peer(
  t: TestContext,
  answer: (message: Message, socket: Socket) => void,
  options: { greeting?: string; negotiated?: (message: Message) => void } = {},
) {
  const directory = mkdtempSync(join(tmpdir(), 'qmp-'));
  const path = join(directory, 's');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const framer = new QmpFramer();
    socket.on('error', () => {});
    socket.write(options.greeting ?? greeting);
    socket.on('data', (chunk) => {
      for (const message of framer.push(chunk) as unknown as Message[]) {
        if (message.execute === 'qmp_capabilities') {
          options.negotiated?.(message);
          socket.write(`{"return":{},"id":${message.id}}\r\n`);
        } else answer(message, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = await QmpClient.connect({ path, timeoutMs: 2000 });
  t.after(() => {
    client.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true });
  });
  return client;
}

test('the greeting tells the version, and commands answer', async (t) => {
  const client = await peer(t, ({ id }, socket) => socket.write(`{"return":{"status":"running"},"id":${id}}\n`));
  assert.equal(client.version, '7.2.22');
  assert.deepEqual(await client.execute('query-status'), { status: 'running' });
});

test('answers out of order reach the commands that they belong to', async (t) => {
  const ids: number[] = [];
  const client = await peer(t, ({ id }, socket) => {
    ids.push(id);
    if (ids.length === 2) for (const each of ids.reverse()) socket.write(`{"return":${each},"id":${each}}\n`);
  });
  const [first, second] = await Promise.all([client.execute<number>('a'), client.execute<number>('b')]);
  assert.ok(first < second);
});

test('a refusal carries the class and the words of QEMU', async (t) => {
  const client = await peer(t, ({ id }, socket) =>
    socket.write(`{"error":{"class":"CommandNotFound","desc":"no"},"id":${id}}\n`),
  );
  await assert.rejects(client.execute('nonsense'), {
    name: 'QmpError',
    errorClass: 'CommandNotFound',
    message: /nonsense: no/,
  });
});

test('a command without an answer fails in time, and the connection goes on', async (t) => {
  let silent = true;
  const client = await peer(t, ({ id }, socket) => {
    if (!silent) socket.write(`{"return":1,"id":${id - 1}}\n{"return":2,"id":${id}}\n`);
  });
  await assert.rejects(client.execute('a', {}, { timeoutMs: 10 }), { name: 'QmpTimeoutError' });
  silent = false;
  assert.equal(await client.execute('b'), 2);
});

test('what passes by is asked beside commands that are not answered, and its answer comes before theirs', async (t) => {
  const negotiated: unknown[] = [];
  const client = await peer(
    t,
    (message, socket) => message['exec-oob'] && socket.write(`{"return":"done","id":${message.id}}\n`),
    { negotiated: (message) => negotiated.push(message.arguments) },
  );
  const waiting = client.execute('a');
  assert.equal(await client.executeOutOfBand('yank'), 'done');
  assert.deepEqual(negotiated, [{ enable: ['oob'] }]);
  client.close();
  await assert.rejects(waiting, { name: 'QmpConnectionError' });
});

test('a QEMU that lets nothing pass by is asked in its turn', async (t) => {
  const negotiated: unknown[] = [];
  const client = await peer(t, ({ execute, id }, socket) => socket.write(`{"return":"${execute}","id":${id}}\n`), {
    greeting: greeting.replace('"oob"', ''),
    negotiated: (message) => negotiated.push(message.arguments),
  });
  assert.equal(await client.executeOutOfBand('yank'), 'yank');
  assert.deepEqual(negotiated, [undefined]);
});

test('what passes by is heard however many commands wait: no more than QEMU reads are sent', async (t) => {
  const heard: { command: string; go(): void }[] = [];
  const client = await peer(t, ({ execute, 'exec-oob': passing, id }, socket) => {
    const go = () => socket.write(`{"return":"${execute}","id":${id}}\n`);
    if (passing !== undefined || execute === 'last') go();
    heard.push({ command: (execute ?? passing)!, go });
  });
  const slow = Array.from({ length: 6 }, () => client.execute('slow', {}, { timeoutMs: 10 }));
  for (const each of slow) await assert.rejects(each, { name: 'QmpTimeoutError' });
  const seventh = client.execute('seventh');
  await assert.rejects(client.execute('nobody waits for it', {}, { timeoutMs: 10 }), { name: 'QmpTimeoutError' });
  const last = client.execute('last');
  await client.executeOutOfBand('yank');
  const commands = () => heard.map(({ command }) => command);
  assert.deepEqual(commands(), [...Array(6).fill('slow'), 'seventh', 'yank']);
  for (const { go } of heard.slice(0, 7)) go();
  assert.deepEqual(await Promise.all([seventh, last]), ['seventh', 'last']);
  assert.equal(commands().at(-1), 'last');
});

test('a lost connection fails what is under way and everything after it', async (t) => {
  const client = await peer(t, (_message, socket) => socket.destroy());
  await assert.rejects(client.execute('a'), { name: 'QmpConnectionError' });
  await client.closed;
  await assert.rejects(client.execute('b'), { name: 'QmpConnectionError' });
  assert.equal(client.open, false);
});

test('events come with their data and time', async (t) => {
  const client = await peer(t, ({ id }, socket) =>
    socket.write(
      `{"timestamp":{"seconds":2,"microseconds":5000},"event":"SHUTDOWN","data":{"guest":true}}\n{"return":{},"id":${id}}\n`,
    ),
  );
  const events: QmpEvent[] = [];
  client.listen((event) => events.push(event));
  await client.execute('a');
  assert.deepEqual(events, [{ name: 'SHUTDOWN', data: { guest: true }, timestampMs: 2005 }]);
});

test('what is no JSON ends the connection instead of being guessed at', async (t) => {
  const client = await peer(t, (_message, socket) => socket.write('{"return": \n'));
  await assert.rejects(client.execute('a'), { name: 'QmpConnectionError', message: /broke the protocol/ });
});

test('a socket that is not there, and a peer that says nothing, are both told', async () => {
  await assert.rejects(QmpClient.connect({ path: '/nonexistent/qmp' }), { name: 'QmpConnectionError' });
  const directory = mkdtempSync(join(tmpdir(), 'qmp-'));
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  await assert.rejects(QmpClient.connect({ path: join(directory, 's'), timeoutMs: 20 }), {
    name: 'QmpConnectionError',
    message: /no greeting/,
  });
  server.close();
  rmSync(directory, { recursive: true });
});

test('text in any script survives being cut at any byte', () => {
  const text = '小屋 🏔 "x"; drop';
  const bytes = Buffer.from(`${JSON.stringify({ name: text })}\r\n`);
  for (let at = 1; at < bytes.length; at++) {
    const framer = new QmpFramer();
    const messages = [...framer.push(bytes.subarray(0, at)), ...framer.push(bytes.subarray(at))];
    assert.deepEqual(messages, [{ name: text }]);
  }
});

test('a line without end is refused', () => {
  const framer = new QmpFramer({ maxBytes: 100 });
  assert.throws(() => framer.push(Buffer.alloc(101, 0x20)), /more than 100 bytes/);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { HostFault } from '../host-error.ts';
import { silenceMs, tryWay, watchWay } from './way.ts';

const isCut = (error: unknown) => error instanceof HostFault && error.code === 'way_cut' && error.permanent;

test('a way by which nothing has passed for too long is cut, one by which anything passes is not', () => {
  let passed = watchWay(undefined, 0, 1000);
  passed = watchWay(passed, 0, 1000 + silenceMs);
  passed = watchWay(passed, 1, 1001 + silenceMs);
  passed = watchWay(passed, 1, 1001 + 2 * silenceMs);
  assert.throws(() => watchWay(passed, 1, 1002 + 2 * silenceMs), isCut);
  assert.ok(watchWay(passed, 0, 1002 + 2 * silenceMs), 'a count that begins anew is another one');
});

test('where nobody takes connections, or nobody greets, the way is cut', async (t) => {
  let greet = (socket: Socket): unknown => socket.write('NBDMAGICIHAVEOPT\0\x03', 'latin1');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    greet(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const way = { address: '127.0.0.1', port };
  await tryWay(way);

  greet = (socket) => {
    socket.write('NBDMAGIC');
    setImmediate(() => socket.write('IHAVEOPT'));
  };
  await tryWay(way);

  greet = (socket) => socket.write('SSH-2.0-');
  await assert.rejects(tryWay(way), isCut);

  greet = (socket) => socket.end('NBDMAGIC');
  await assert.rejects(tryWay(way), isCut);

  // As a QEMU that stands still: its kernel takes the connection.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const silent = new Promise<void>((resolve) => {
    greet = () => resolve();
  });
  const tried = assert.rejects(tryWay(way), isCut);
  await silent;
  t.mock.timers.tick(10_000);
  await tried;
  t.mock.timers.reset();

  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
  await assert.rejects(tryWay(way), isCut);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
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

test('where nobody takes connections the way is cut', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await tryWay({ address: '127.0.0.1', port });
  server.close();
  await once(server, 'close');
  await assert.rejects(tryWay({ address: '127.0.0.1', port }), isCut);
});

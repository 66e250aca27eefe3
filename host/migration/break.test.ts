import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Execute, QmpError, QmpTimeoutError } from '../../protocols/qmp/index.ts';
import { breakWay, resetConnections } from './break.ts';

const way = { address: '192.0.2.1', ports: [1, 2] };
const monitor = { type: 'chardev', id: 'qmp' };
const other = { type: 'block-node', 'node-name': 'somebody-else' };
const disk = { type: 'block-node', 'node-name': 'migrated-disk' };
const memory = { type: 'migration' };

/** @param answer to each command that is told */
async function broken(answer: (command: string, args: unknown) => unknown) {
  const told: unknown[] = [];
  const outOfBand = (async (command: string, args: unknown) => {
    if (command === 'yank') told.push((args as { instances: unknown[] }).instances);
    return answer(command, args);
  }) as Execute;
  const reset: unknown[] = [];
  await breakWay(['disk'], way, { outOfBand, reset: async (to) => void reset.push(to) });
  return { told, reset };
}

test('of a QEMU only what it sends to another host is broken, one after the other', async () => {
  const all = [monitor, other, disk, memory];
  const { told, reset } = await broken((command) => {
    if (command === 'query-yank') return all;
    // It has ended by itself meanwhile.
    throw new QmpError('yank', 'DeviceNotFound', 'Instance not found');
  });
  assert.deepEqual([told, reset], [[[disk], [memory]], [way]]);
});

test('the kernel ends connections also of a QEMU that says nothing at all', async () => {
  const { reset } = await broken(() => {
    throw new QmpTimeoutError('QEMU did not answer query-yank within 10000 ms');
  });
  assert.deepEqual(reset, [way]);
});

const here = { list: async () => '', end: async () => {} };

test('an address that another host has said is one address, whatever it says', async () => {
  const asked: string[] = [];
  const list = async (to: string) => {
    asked.push(to);
    return '';
  };
  const reset = (address: string) => resetConnections({ address, ports: [49_152] }, 1, { ...here, list });
  for (const every of ['0.0.0.0/0', '192.0.2.1:1 or dst 0.0.0.0/0', 'any', '*', '::/0', '-f', 'inet:0.0.0.0/0'])
    await assert.rejects(reset(every), { code: 'way_unknown' }, every);
  assert.deepEqual(asked, []);
  await reset('192.0.2.1');
  await reset('2001:db8::1');
  await reset('fe80::1%eth0');
  await reset('localhost');
  assert.deepEqual(asked.slice(0, 3), ['192.0.2.1:49152', '[2001:db8::1]:49152', '[fe80::1%eth0]:49152']);
  assert.match(asked[3]!, /^(127\.0\.0\.1|\[::1\]):49152$/);
});

test('a connection of another process to there is left alone: the port may be given to somebody else by now', async () => {
  const ended: string[][] = [];
  const list = async () => `ESTAB 0 0 192.0.2.7:40001 192.0.2.1:49152 users:(("qemu-system-x86",pid=12,fd=31))
ESTAB 0 0 192.0.2.7:40002 192.0.2.1:49152 users:(("qemu-system-x86",pid=1,fd=31),("iou",pid=3,fd=31))
CLOSE-WAIT 0 0 192.0.2.7:40003 192.0.2.1:49152
SYN-SENT 0 1 192.0.2.7%eth0:40004 192.0.2.1:49152 users:(("qemu-system-x86",pid=123,fd=9))
`;
  const end = async (from: string, to: string) => void ended.push([from, to]);
  await resetConnections({ address: '192.0.2.1', ports: [49_152] }, 1, { list, end });
  assert.deepEqual(ended, [
    ['192.0.2.7:40002', '192.0.2.1:49152'],
    ['192.0.2.7:40003', '192.0.2.1:49152'],
  ]);
});

/** Ceph's programs, of a cluster that hangs: a program that never ends stands for it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { HostFault } from '../../host-error.ts';
import { longMs, RbdClient } from './client.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-rbd-client-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const hanging = join(directory, 'rbd');
writeFileSync(hanging, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
const clientOf = () =>
  new RbdClient({ conf: '/c', keyring: '/k', user: 'u', pool: 'p', programs: { rbd: hanging, ceph: hanging } });
const unavailable = (error: unknown) => error instanceof HostFault && error.code === 'pool_unavailable';

test('a program that hangs is killed at its deadline, and the pool is unavailable', async () => {
  await assert.rejects(clientOf().rbd(['ls'], { timeoutMs: 50 }), unavailable);
});

test('a host process that ends waits for none of them, however long they may take, nor for those that wait for their turn', async () => {
  const client = clientOf();
  const asked = Array.from({ length: 4 }, () => client.rbd(['trash', 'rm', 'p/1'], { timeoutMs: longMs }));
  const ends = Promise.all(asked.map((each) => assert.rejects(each, unavailable)));
  client.close();
  await ends;
  await assert.rejects(client.level(), unavailable);
});

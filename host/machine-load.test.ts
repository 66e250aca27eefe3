import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLoad } from '../contract/host/index.ts';
import { read } from '../contract/schema/read.ts';
import { machineLoad, sessions } from './machine-load.ts';

test('of what is kept of logins only sessions of people count, and no half record', () => {
  const record = (kind: number) => {
    const bytes = Buffer.alloc(384);
    bytes.writeInt16LE(kind);
    return bytes;
  };
  const boot = record(2);
  assert.equal(sessions(Buffer.concat([boot, record(7), record(8), record(7), record(7).subarray(0, 100)])), 2);
  assert.equal(sessions(Buffer.alloc(0)), 0);
});

test('a machine says how busy it is, also where nobody keeps who logs in', async () => {
  const said = read(hostLoad, await machineLoad('/nonexistent'));
  assert.deepEqual([said.users, said.averages.length], [0, 3]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import { hostProtocol, speaking } from '../../contract/host/index.ts';
import { type HostId, newId } from '../../contract/ids.ts';
import { type HostConnection, HostSession, type SessionOwner } from './session.ts';
import { Told } from './told.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a host that says more than can be recorded is not read until it can', async () => {
  let reads = true;
  const connection: HostConnection = {
    send() {},
    ping() {},
    close() {},
    terminate() {},
    pause() {
      reads = false;
    },
    resume() {
      reads = true;
    },
    bufferedBytes: 0,
  };
  const waiting: (() => void)[] = [];
  const owner: SessionOwner = {
    ...{ cloudId: newId(), leaseMs: 1000, protocol: hostProtocol, log: pino({ level: 'silent' }), told: new Told() },
    controls: () => [],
    connect: async () => true,
    readSnapshot: async () => ({
      servers: [],
      networks: [],
      images: [],
      pools: [],
      held: { servers: undefined, layers: undefined },
    }),
    record: async () => ({ servers: [], layers: [] }),
    quarantined: () => new Promise<void>((resolve) => waiting.push(resolve)),
    metered: async () => {},
    handOutKeys: async () => [],
    opened() {},
    ended() {},
  };
  const session = new HostSession(newId<HostId>(), connection, owner);
  const facts = {
    ...{ name: 'h', accelerator: 'tcg', acceleratorReason: '', architecture: 'x86_64', cpus: 1, memoryMiB: 1024 },
    ...{ diskGiB: 10, datapath: 'netdev', qemuVersion: '7', bothyVersion: '0', url: 'https://127.0.0.1:1' },
  };
  session.received(JSON.stringify({ type: 'hello', ...speaking(hostProtocol), cloudId: null, facts }));
  await turn();
  assert.ok(session.open);
  const word = JSON.stringify({ type: 'quarantine', ids: [], servers: [], images: [] });
  for (let times = 0; times < 20; times++) session.received(word);
  await turn();
  assert.deepEqual([reads, waiting.length], [false, 1]);
  // A report that is recorded meanwhile opens nothing.
  session.received(JSON.stringify({ type: 'report', complete: true, servers: [] }));
  await turn();
  assert.equal(reads, false);
  while (waiting.length > 0) {
    waiting.shift()!();
    await turn();
  }
  assert.equal(reads, true);
});

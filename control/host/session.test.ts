import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import pino from 'pino';
import { hostProtocol, speaking } from '../../contract/host/index.ts';
import { type HostId, newId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { Account, type HostConnection } from './connection.ts';
import { HostSession, type SessionOwner } from './session.ts';
import { Told } from './told.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A wire that says whether it is read, and with which code it was closed. */
class Wire implements HostConnection {
  reads = true;
  code: number | undefined;
  readonly bufferedBytes = 0;
  send(): void {}
  ping(): void {}
  terminate(): void {}
  close(code: number): void {
    this.code = code;
  }
  pause(): void {
    this.reads = false;
  }
  resume(): void {
    this.reads = true;
  }
}

async function opened(over: Partial<SessionOwner> = {}) {
  const wire = new Wire();
  let stoodMs = 0;
  const account = new Account(() => performance.now() + stoodMs);
  const waiting: (() => void)[] = [];
  const recording = Promise.withResolvers<{ servers: []; layers: [] }>();
  const owner: SessionOwner = {
    ...{ cloudId: newId(), leaseMs: 1000, protocol: hostProtocol, log: pino({ level: 'silent' }), told: new Told() },
    controls: () => [],
    accounts: { of: () => account },
    connect: async () => true,
    readSnapshot: async () => ({
      servers: [],
      networks: [],
      images: [],
      pools: [],
      held: { servers: undefined, layers: undefined },
    }),
    record: () => recording.promise,
    quarantined: () => new Promise<void>((resolve) => waiting.push(resolve)),
    metered: async () => {},
    handOutKeys: async () => [],
    opened() {},
    ended() {},
    ...over,
  };
  const session = new HostSession(newId<HostId>(), wire, owner);
  const facts = {
    ...{ name: 'h', accelerator: 'tcg', acceleratorReason: '', architecture: 'x86_64', cpus: 1, memoryMiB: 1024 },
    ...{ diskGiB: 10, datapath: 'netdev', qemuVersion: '7', bothyVersion: '0', url: 'https://127.0.0.1:1' },
  };
  session.received(JSON.stringify({ type: 'hello', ...speaking(hostProtocol), cloudId: null, facts }));
  await turn();
  assert.ok(session.open);
  // A first message may take long by itself.
  await until('it to be read', () => wire.reads);
  return {
    ...{ session, wire, waiting, recorded: () => recording.resolve({ servers: [], layers: [] }) },
    /** The host has used up its share, and more. */
    spend: () => {
      for (let messages = 0; messages < 10; messages++) {
        account.spend(() => {
          stoodMs += 1000;
        });
      }
    },
    /** Another stream of the host. */
    dial: () => {
      const again = new Wire();
      return { wire: again, session: new HostSession(session.hostId, again, owner) };
    },
    pass: (ms: number) => {
      stoodMs += ms;
    },
  };
}

test('a host that has used up its share has no more of it by dialling anew', async () => {
  const { spend, dial, pass } = await opened();
  pass(10_000);
  assert.equal(dial().wire.reads, true);
  spend();
  assert.equal(dial().wire.reads, false);
  pass(120_000);
  assert.equal(dial().wire.reads, true);
});

test('of a message of nothing but what cannot be read most is not looked at, and what could be read before counts', async () => {
  const recorded: string[] = [];
  const { session, wire } = await opened({
    record: async (_, { servers }) => {
      recorded.push(...servers.map(({ id }) => id));
      return { servers: [], layers: [] };
    },
  });
  const right = JSON.parse(longReport()).servers.map((server: object) => ({ ...server, copies: [] }));
  const texts = [[...right, ...Array(19_000).fill(1)], Array(19_000).fill({ id: 'x' })].map((servers) =>
    JSON.stringify({ type: 'report', complete: false, servers, layers: Array(180_000).fill(1) }),
  );
  const began = performance.now();
  for (const text of texts) session.received(text);
  assert.ok(performance.now() - began < 2000, 'it took seconds');
  assert.equal(wire.code, undefined);
  await turn();
  assert.deepEqual(
    recorded,
    right.map(({ id }: { id: string }) => id),
  );
});

/** Of fifty servers, in five million characters. */
function longReport(): string {
  const failure = { code: 'x', message: 'y'.repeat(4000) };
  const copies = () =>
    Array.from({ length: 26 }, () => ({ ...{ volumeId: newId(), id: newId(), state: 'lost', error: failure } }));
  const state = { epoch: 1, generation: 1, state: 'running', rebootCount: 0, step: null, error: null, startedAt: null };
  const servers = Array.from({ length: 50 }, () => ({ id: newId(), ...state, copies: copies() }));
  return JSON.stringify({ type: 'report', complete: false, servers });
}

test('a host of which much waits to be recorded is not read, however few it is of', async (t) => {
  const { session, wire, recorded } = await opened();
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let said = 0;
  while (wire.reads && said < 20) {
    session.received(longReport());
    said++;
    // That reading them takes long holds it back for a while alone.
    mock.timers.tick(60_000);
  }
  mock.timers.reset();
  assert.ok(said < 20, `${said} times five million characters wait`);
  recorded();
  await until('it to be read again', () => wire.reads);
});

test('what could not be recorded waits with the rest while it is tried again', async (t) => {
  const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  let away = true;
  let recorded = 0;
  const { session, wire } = await opened({
    record: async (_, { servers }) => {
      if (away) throw refused;
      recorded += servers.length;
      return { servers: [], layers: [] };
    },
  });
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let said = 0;
  for (let tries = 0; tries < 20; tries++) {
    // While it is tried, and after that.
    for (const _ of [1, 2]) {
      if (wire.reads) {
        session.received(longReport());
        said++;
      }
      await turn();
    }
    mock.timers.tick(60_000);
  }
  assert.ok(said < 12, `${said} times five million characters wait`);
  away = false;
  await turn();
  mock.timers.tick(60_000);
  await turn();
  assert.equal(recorded, said * 50);
  assert.equal(wire.reads, true);
});

test('a host that says more than can be recorded is not read until it can', async () => {
  const { session, wire, waiting } = await opened();
  const word = JSON.stringify({ type: 'quarantine', ids: [], servers: [], images: [] });
  for (let times = 0; times < 20; times++) session.received(word);
  await turn();
  assert.deepEqual([wire.reads, waiting.length], [false, 1]);
  // A report that is recorded meanwhile opens nothing.
  session.received(JSON.stringify({ type: 'report', complete: true, servers: [] }));
  await turn();
  assert.equal(wire.reads, false);
  while (waiting.length > 0) {
    waiting.shift()!();
    await turn();
  }
  assert.equal(wire.reads, true);
});

/** What is next of a server on its way between hosts: who may let it run, and when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredServer, IncomingServer, OutgoingServer } from '../../contract/host/index.ts';
import type { MigrationId } from '../../contract/ids.ts';
import { exampleServer } from '../metadata/testing.ts';
import { comesBackToWhatItLeft, leftBehindStep, migrationStep, takeBackStep } from './migrating.ts';
import { type IncomingRecord, newRecord, type OutgoingRecord, type ServerRecord } from './record.ts';

const id = '00000000-0000-4000-8000-000000000001' as MigrationId;
const other = '00000000-0000-4000-8000-000000000002' as MigrationId;
const key = 'a'.repeat(64);
const target = { address: '192.0.2.1', disksPort: 1, disks: ['disk'], memoryPort: 2 };
const incoming = (changes: Partial<IncomingServer> = {}) =>
  ({ incoming: { id, mode: 'live', key, cancelled: false, ...changes } }) as const;
const outgoing = (changes: Partial<OutgoingServer> = {}) =>
  ({ outgoing: { id, mode: 'live', key, target, cancelled: false, force: false, keep: false, ...changes } }) as const;

type Facts = Parameters<typeof migrationStep>[1];
const server = (changes: Partial<DesiredServer>) => exampleServer({ epoch: 2, ...changes });
const disk = { imageId: '00000000-0000-4000-8000-000000000003' as never, imageFormat: 'raw', sizeBytes: 1 } as const;
const running = { startedAt: '', bootId: 'boot' };
const guest = (state: string) => ({ state, ending: false });

function next(desired: DesiredServer, facts: Partial<Facts>): string | undefined {
  return migrationStep(desired, { record: undefined, disk: false, guest: undefined, received: false, ...facts })?.do;
}
const receiving = (changes: Partial<IncomingRecord> = {}): ServerRecord => ({
  ...{ ...newRecord(2), disk },
  migration: { id, mode: 'live', side: 'incoming', state: 'receiving', error: null, ...changes },
});
const sending = (changes: Partial<OutgoingRecord> = {}): ServerRecord => ({
  ...{ ...newRecord(2), disk, running },
  migration: { id, mode: 'live', side: 'outgoing', state: 'sending', error: null, ...changes },
});

test('a target lets the guest run only when all of it is there, and never after it was told that nobody wants it', () => {
  assert.equal(next(server(incoming()), {}), 'receive');
  const waits = receiving({ target });
  assert.equal(next(server(incoming()), { record: waits, guest: guest('inmigrate') }), 'await-source');
  assert.equal(next(server(incoming()), { record: waits, guest: guest('paused') }), 'take-over');
  assert.equal(next(server(incoming({ cancelled: true })), { record: waits, guest: guest('paused') }), 'give-up');
  const taken = receiving({ state: 'taken_over' });
  assert.equal(next(server(incoming({ cancelled: true })), { record: taken, guest: guest('paused') }), undefined);
  assert.equal(next(server({}), { record: taken, guest: guest('running') }), 'forget-migration');
});

test('a target whose QEMU nobody finds starts another one, and one that has said where it is gives up', () => {
  assert.equal(next(server(incoming()), { record: receiving(), guest: guest('inmigrate') }), 'quit');
  assert.equal(next(server(incoming()), { record: receiving() }), 'receive');
  assert.equal(next(server(incoming()), { record: receiving({ target }) }), 'give-up');
  assert.equal(next(server({}), { record: receiving({ target }) }), 'keep-incomplete');
});

test('what came in part goes before the server is given to this host anew', () => {
  const facts = { record: receiving({ target }), disk: true, guest: guest('inmigrate'), received: false };
  assert.deepEqual(leftBehindStep(server({ epoch: 3 }), facts), { do: 'give-up', error: null });
  assert.equal(leftBehindStep(server({ epoch: 2 }), facts), undefined);
  assert.equal(leftBehindStep(server({ epoch: 3, ...incoming({ id: other }) }), facts), undefined);
  for (const state of ['taken_over', 'given_up'] as const)
    assert.equal(leftBehindStep(server({ epoch: 3 }), { ...facts, record: receiving({ state }) }), undefined);
});

test('a server that is off is taken over when the last word is there and its QEMU has ended', () => {
  const cold = receiving({ mode: 'cold', target });
  const desired = server(incoming({ mode: 'cold' }));
  assert.equal(next(desired, { record: cold, guest: guest('inmigrate') }), 'await-source');
  assert.equal(next(desired, { record: cold, guest: guest('inmigrate'), received: true }), 'quit');
  assert.equal(next(desired, { record: cold, received: true }), 'take-over');
});

test('what was here before is not touched by a server that shall come', () => {
  const step = migrationStep(server(incoming()), {
    record: { ...newRecord(1), disk },
    disk: true,
    guest: undefined,
    received: false,
  });
  assert.deepEqual(step, {
    ...{ do: 'give-up', keep: true },
    error: { code: 'server_here', message: 'the server is on this host already, or what is left of it' },
  });
});

test('what it left here on its way out goes before it comes back, and only that', () => {
  const left = { record: sending({ state: 'handed_over' }), disk: true, guest: guest('postmigrate'), received: false };
  const back = server({ epoch: 3, ...incoming({ id: other }) });
  assert.equal(comesBackToWhatItLeft(back, left), true);
  assert.equal(comesBackToWhatItLeft(back, { ...left, record: sending({ state: 'lost_sight' }) }), true);
  assert.equal(takeBackStep(back, left), undefined);
  // Control has not given it away since, or nothing had gone.
  assert.equal(comesBackToWhatItLeft(server({ epoch: 2, ...incoming({ id: other }) }), left), false);
  for (const state of ['sending', 'handing_over', 'stayed'] as const)
    assert.equal(comesBackToWhatItLeft(back, { ...left, record: sending({ state }) }), false);
  assert.equal(comesBackToWhatItLeft(server({ epoch: 3 }), left), false);
});

test('a source sends what runs, and stays where it does not', () => {
  const record = { ...newRecord(2), disk, running };
  assert.equal(next(server(outgoing()), { record, guest: guest('running') }), 'send');
  assert.equal(next(server(outgoing({ target: null })), { record, guest: guest('running') }), undefined);
  assert.equal(next(server(outgoing({ mode: 'cold' })), { record: { ...newRecord(2), disk } }), 'send');
  for (const mode of ['cold', 'live'] as const)
    for (const cancelled of [false, true])
      assert.equal(next(server(outgoing({ mode, cancelled })), {}), undefined, 'it is not here');
  assert.equal(next(server(outgoing()), { record: sending(), guest: guest('shutdown') }), 'stay');
  assert.equal(next(server(outgoing()), { record: sending() }), 'stay');
  assert.equal(next(server(outgoing({ target: null })), { record: sending(), guest: guest('running') }), 'stay');
  assert.equal(next(server({}), { record: sending(), guest: guest('running') }), 'stay');
  assert.equal(next(server(outgoing({ id: other })), { record: sending(), guest: guest('running') }), 'stay');
});

test('a source that has handed over lets nothing run until control says so', () => {
  for (const state of ['handed_over', 'lost_sight'] as const) {
    const record = sending({ state });
    for (const document of [server(outgoing()), server({}), server(outgoing({ id: other }))]) {
      // Its own migration's word is waited for, a while.
      const waits = state === 'handed_over' && document.outgoing?.id === id ? 'await-take-over' : 'nothing';
      assert.equal(next(document, { record, guest: guest('postmigrate') }), waits);
      assert.equal(next(document, { record }), 'nothing');
    }
    assert.equal(next(server(outgoing({ cancelled: true })), { record, guest: guest('postmigrate') }), 'stay');
    const facts = { record, disk: true, received: false };
    assert.equal(takeBackStep(server({ epoch: 3 }), { ...facts, guest: guest('postmigrate') })?.do, 'take-back');
    assert.equal(takeBackStep(server({ epoch: 2 }), { ...facts, guest: guest('postmigrate') }), undefined);
  }
  assert.equal(next(server(outgoing()), { record: sending({ state: 'handing_over' }) }), 'lose-sight');
  // QEMU lets it run again by itself where the last of it does not get through, however late.
  const runs = { record: sending({ state: 'lost_sight' }), guest: guest('running') };
  assert.equal(next(server(outgoing()), runs), 'hold');
  assert.equal(next(server({}), { ...runs, record: sending({ state: 'handed_over' }) }), 'hold');
  assert.equal(
    next(server({}), { record: sending({ state: 'handing_over' }), guest: guest('postmigrate') }),
    'nothing',
  );
});

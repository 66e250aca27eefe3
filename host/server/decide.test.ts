import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, MigrationId } from '../../contract/ids.ts';
import { exampleServer } from '../metadata/testing.ts';
import { decide, type ServerFacts } from './decide.ts';
import { newRecord, type OutgoingRecord, type ServerRecord } from './record.ts';

const built: ServerRecord = {
  ...newRecord(1),
  disk: { imageId: '01900000-0000-7000-8000-000000000011' as ImageId, imageFormat: 'raw', sizeBytes: 1 },
};
const ran: ServerRecord = { ...built, running: { startedAt: '2025-01-01T00:00:00Z', bootId: 'b' } };
const blank: ServerFacts = {
  record: undefined,
  files: false,
  disk: false,
  rescueDisk: false,
  localDisks: [],
  keptDisks: [],
  memory: false,
  plugged: false,
  guest: undefined,
  received: false,
  bootId: 'b',
  erasedEpoch: undefined,
  leaseEnded: false,
};
const whole: ServerFacts = { ...blank, record: ran, files: true, disk: true, plugged: true };
const on = exampleServer();
const off = exampleServer({ power: 'off', generation: 2 });
const running = { state: 'running', ending: false } as const;
const rebooted = (type: 'soft' | 'hard') => exampleServer({ generation: 2, reboot: { count: 1, type } });

const paused = exampleServer({ power: 'paused', generation: 2 });
const suspended = exampleServer({ power: 'suspended', generation: 2 });
const image = on.image!;
const rescued = exampleServer({ generation: 2, rescue: { count: 2, image } });
const newlyRescued = exampleServer({ generation: 3, rescue: { count: 3, image } });
const rebuilt = exampleServer({ generation: 2, rootCount: 2 });
const rebuiltOff = exampleServer({ power: 'off', generation: 2, rootCount: 2 });
const captured = exampleServer({ generation: 2, captures: [{ imageId: image.id }] });
const capturedOff = { ...captured, power: 'off' } as const;
const stands = { state: 'paused', ending: false } as const;
const sent = { state: 'postmigrate', ending: false } as const;
const loading = { state: 'inmigrate', ending: false } as const;
const shape = {
  accelerator: 'tcg',
  vcpus: 1,
  memoryMiB: 1,
  configDrive: false,
  rescued: false,
  guestAgent: false,
  cards: [],
} as const;
/** Of a guest whose memory is saved. */
const kept: ServerRecord = { ...built, memory: { ...shape, cards: [] } };
const inRescue: ServerRecord = { ...built, rescue: { ...built.disk!, count: 2 } };

const cases: [string, DesiredServer | undefined, ServerFacts, string][] = [
  ['nothing is there: the disk is first', on, blank, 'make-disk'],
  [
    'a disk without a record is not touched',
    on,
    { ...blank, files: true, disk: true, record: newRecord(1) },
    'keep-out',
  ],
  ['one whose disk was erased under this epoch gets no other', on, { ...blank, erasedEpoch: 1 }, 'stay-erased'],
  ['under a new epoch it does', exampleServer({ epoch: 2 }), { ...blank, erasedEpoch: 1 }, 'make-disk'],
  ['a disk: the guest starts', on, { ...whole, record: built }, 'launch'],
  ['a start that was not noted is noted', on, { ...whole, record: built, guest: running }, 'note-running'],
  ['a guest that runs as desired is left alone', on, { ...whole, guest: running }, 'nothing'],
  [
    'a QEMU that does not answer yet is waited for',
    on,
    { ...whole, guest: { state: 'starting', ending: false } },
    'wait-for-guest',
  ],
  ['a guest that shall stop is asked to', off, { ...whole, guest: running }, 'power-down'],
  ['a guest that has obeyed is ended', off, { ...whole, guest: { state: 'shutdown', ending: false } }, 'quit'],
  ['a stopped guest loses its ports', off, { ...whole, record: built }, 'unplug'],
  ['a stopped guest without ports is left alone', off, { ...whole, record: built, plugged: false }, 'nothing'],
  ['a hard reboot ends the guest', rebooted('hard'), { ...whole, guest: running }, 'quit'],
  ['a soft reboot asks it first', rebooted('soft'), { ...whole, guest: running }, 'power-down'],
  ['a reboot of a guest that is off starts it', rebooted('soft'), { ...whole, record: built }, 'launch'],
  [
    'a guest that went off by itself is remembered',
    on,
    { ...whole, guest: { state: 'shutdown', ending: false } },
    'halt',
  ],
  ['a QEMU that vanished is remembered', on, whole, 'halt'],
  ['a QEMU that vanished with its machine comes back', on, { ...whole, bootId: 'c' }, 'launch'],
  ['a guest of an older epoch is ended', exampleServer({ epoch: 2 }), { ...whole, guest: running }, 'quit'],
  ['the epoch is taken over without a guest only', exampleServer({ epoch: 2 }), whole, 'adopt-epoch'],
  [
    'a guest that waits for its disk is resumed',
    on,
    { ...whole, guest: { state: 'io-error', ending: false } },
    'resume',
  ],
  ['delete ends the guest first', exampleServer({ presence: 'absent' }), { ...whole, guest: running }, 'quit'],
  ['then its ports go', exampleServer({ presence: 'absent' }), whole, 'unplug'],
  ['then its files', exampleServer({ presence: 'absent' }), { ...whole, plugged: false }, 'erase'],
  ['then it is absent', exampleServer({ presence: 'absent' }), blank, 'nothing'],
  ['a guest that shall pause is paused', paused, { ...whole, guest: running }, 'pause'],
  ['a paused guest is left alone', paused, { ...whole, guest: stands }, 'nothing'],
  ['a paused guest that shall run goes on', on, { ...whole, guest: stands }, 'continue'],
  ['a paused guest that shall stop is ended: it hears no button', off, { ...whole, guest: stands }, 'quit'],
  ['a paused guest whose machine was restarted has lost its memory', paused, { ...whole, bootId: 'c' }, 'halt'],
  ['a guest that shall suspend is paused first', suspended, { ...whole, guest: running }, 'pause'],
  ['then its memory is saved', suspended, { ...whole, guest: stands }, 'save-memory'],
  ['then it is ended', suspended, { ...whole, memory: true, guest: sent }, 'quit'],
  ['then its ports go', suspended, { ...whole, record: kept, memory: true }, 'unplug'],
  ['then it is suspended', suspended, { ...whole, record: kept, memory: true, plugged: false }, 'nothing'],
  [
    'one whose memory was sent and not kept goes on, to be saved again',
    suspended,
    { ...whole, guest: sent },
    'continue',
  ],
  [
    'a suspended guest of which the memory is gone is no longer suspended',
    suspended,
    { ...whole, record: kept },
    'halt',
  ],
  ['a suspended guest that shall run is started', on, { ...whole, record: kept, memory: true }, 'launch'],
  [
    'QEMU that loads a memory is waited for',
    on,
    { ...whole, record: kept, memory: true, guest: loading },
    'wait-for-guest',
  ],
  [
    'before a resumed guest runs its memory goes',
    on,
    { ...whole, record: kept, memory: true, guest: stands },
    'drop-memory',
  ],
  ['then it runs', on, { ...whole, record: built, guest: stands }, 'continue'],
  [
    'a suspended guest that shall be off loses its memory',
    off,
    { ...whole, record: kept, memory: true },
    'drop-memory',
  ],
  ['so it does before a hard reboot', rebooted('hard'), { ...whole, record: kept, memory: true }, 'drop-memory'],
  ['a guest whose disk shall be made anew is ended, not asked', rebuilt, { ...whole, guest: running }, 'quit'],
  ['so is one that shall be off', rebuiltOff, { ...whole, guest: running }, 'quit'],
  ['then its disk goes', rebuilt, { ...whole, record: built }, 'drop-disk'],
  ['also where it was taken back as running', rebuilt, whole, 'drop-disk'],
  ['then another is made', rebuilt, { ...whole, record: built, disk: false }, 'make-disk'],
  ['a suspended guest loses its memory first', rebuilt, { ...whole, record: kept, memory: true }, 'drop-memory'],
  [
    'a disk of a rebuild that the database has forgotten stays',
    on,
    { ...whole, record: { ...ran, disk: { ...built.disk!, count: 2 } }, guest: running },
    'nothing',
  ],
  ['an image of the disk of a guest that runs is made meanwhile', captured, { ...whole, guest: running }, 'capture'],
  ['of one that is off when its ports are gone', capturedOff, { ...whole, record: built }, 'unplug'],
  ['then it is made', capturedOff, { ...whole, record: built, plugged: false }, 'capture'],
  [
    'what came of it is remembered, and nothing more to do',
    captured,
    { ...whole, record: { ...ran, captures: [{ imageId: image.id, result: null, error: null }] }, guest: running },
    'nothing',
  ],
  ['a guest that shall be rescued is asked to stop', rescued, { ...whole, guest: running }, 'power-down'],
  ['then the disk of the rescue is made', rescued, { ...whole, record: built }, 'make-rescue-disk'],
  ['a record of a rescue is no disk', rescued, { ...whole, record: inRescue }, 'make-rescue-disk'],
  ['then the rescue starts', rescued, { ...whole, record: inRescue, rescueDisk: true }, 'launch'],
  [
    'the disk of an older rescue is not this one',
    newlyRescued,
    { ...whole, record: inRescue, rescueDisk: true },
    'drop-rescue',
  ],
  ['a rescue that is over is ended', on, { ...whole, record: inRescue, rescueDisk: true, guest: running }, 'quit'],
  ['then its disk goes', on, { ...whole, record: inRescue, rescueDisk: true }, 'drop-rescue'],
  ['a server without a document is left alone', undefined, { ...whole, guest: running }, 'nothing'],
];

for (const [name, desired, facts, step] of cases) {
  test(name, () => assert.equal(decide(desired, facts).do, step));
}

test('a guest that went off stays off until something new is asked for', () => {
  const halted = { ...built, halted: { generation: 1, error: null } };
  const facts = { ...whole, record: halted, plugged: false };
  assert.deepEqual(decide(on, facts), { do: 'nothing', state: 'stopped', error: null });
  assert.equal(decide(exampleServer({ generation: 2 }), facts).do, 'launch');
  assert.equal(decide(rebooted('hard'), facts).do, 'launch');
});

test('under a lease that has ended nothing begins, what runs is left alone, and what shall end ends', () => {
  for (const [name, desired, facts, step] of cases) {
    const { do: now } = decide(desired, { ...facts, leaseEnded: true });
    const disks = desired?.rescue != null || facts.rescueDisk || desired?.rootCount;
    const anew = desired?.power === 'on' && (desired.reboot.count > 0 || disks);
    const always = ['make-disk', 'drop-disk', 'make-rescue-disk', 'launch', 'continue'].includes(step);
    const begins = always || (['quit', 'power-down'].includes(step) && anew);
    assert.equal(now, begins ? 'await-lease' : step, name);
  }
});

const guarded = exampleServer({ onLeaseEnd: 'pause' });
const guard = { leaseHeld: true, guarded: undefined, held: false, ended: false };
const watched = { ...guard, guarded: 'pause' } as const;
const frozen = { ...watched, held: true };
const started = { ...whole, guest: { state: 'prelaunch', ending: false } };
const migration = { id: '01900000-0000-7000-8000-000000000012' as MigrationId, mode: 'live', error: null } as const;
const way = { id: migration.id, mode: 'live', key: 'a'.repeat(64), target: null, force: false, keep: false } as const;
const target = { address: '192.0.2.1', disksPort: 1, disks: ['disk'], memoryPort: 2 };
const outgoing = { ...guarded, outgoing: { ...way, target, cancelled: false } };
const calledOff = { ...guarded, outgoing: { ...way, target, cancelled: true } };
const onItsWay = (state: OutgoingRecord['state']): Partial<ServerFacts> => ({
  ...{ record: { ...ran, migration: { ...migration, side: 'outgoing', state } }, guard: frozen },
  guest: { state: 'running', ending: false },
});
const comes = { ...guarded, incoming: { ...way, cancelled: false } };
const arriving: Partial<ServerFacts> = {
  ...{ record: { ...built, migration: { ...migration, side: 'incoming', state: 'receiving', target } }, guard: frozen },
  guest: stands,
};
const leases: [string, DesiredServer, Partial<ServerFacts>, string][] = [
  [
    'a guest that may not outlive the lease runs only when the watchdog knows it',
    guarded,
    { ...started, guard },
    'guard',
  ],
  ['and then', guarded, { ...started, guard: watched }, 'continue'],
  [
    'it does not begin before there is a lease',
    guarded,
    { ...whole, guard: { ...guard, leaseHeld: false }, record: built },
    'await-lease',
  ],
  ['another word is told', guarded, { guest: running, guard: { ...guard, guarded: 'stop' } }, 'guard'],
  ['none any more', on, { guest: running, guard: watched }, 'unguard'],
  ['one that stands still goes on with the lease', guarded, { guest: running, guard: frozen }, 'release'],
  ['not before', guarded, { guest: running, guard: { ...frozen, leaseHeld: false } }, 'await-lease'],
  [
    'nobody asks it anything: off',
    { ...guarded, power: 'off', generation: 2 },
    { guest: running, guard: frozen },
    'quit',
  ],
  ['another epoch', { ...guarded, epoch: 2 }, { guest: running, guard: frozen }, 'quit'],
  ['deleted', exampleServer({ presence: 'absent' }), { guest: running, guard: frozen }, 'quit'],
  ['it need not end with the lease any more', on, { guest: running, guard: frozen }, 'release'],
  ['one that was stopped with the lease begins again', guarded, { guard: { ...guard, ended: true } }, 'launch'],
  ['one that died by itself does not', guarded, { guard }, 'halt'],
  ['one that stood still on its way elsewhere goes on', outgoing, onItsWay('sending'), 'release'],
  ['also one that was being handed over', outgoing, onItsWay('handing_over'), 'release'],
  ['its way is off', calledOff, onItsWay('sending'), 'release'],
  ['also after the hand-over', calledOff, onItsWay('handed_over'), 'release'],
  ['also out of sight', calledOff, onItsWay('lost_sight'), 'release'],
  ['it is taken back', { ...guarded, epoch: 2 }, onItsWay('handing_over'), 'release'],
  [
    'one that runs on without a lease begins under one',
    exampleServer({ beginsLent: true }),
    { record: built, leaseHeld: true },
    'launch',
  ],
  ['and not before', exampleServer({ beginsLent: true }), { record: built, leaseHeld: false }, 'await-lease'],
  ['it has stayed', calledOff, onItsWay('stayed'), 'release'],
  ['one that was handed over is asked nothing', outgoing, onItsWay('handed_over'), 'await-take-over'],
  ['one that has come', comes, arriving, 'release'],
  ['one that has come is taken over', comes, { ...arriving, guard: watched }, 'take-over'],
  ['not without a lease', comes, { ...arriving, guard: { ...watched, leaseHeld: false } }, 'await-lease'],
];
for (const [name, desired, facts, step] of leases) {
  test(`a lease: ${name}`, () => assert.equal(decide(desired, { ...whole, ...facts }).do, step));
}

test('none of these goes on before there is a lease again', () => {
  for (const [name, desired, facts, step] of leases) {
    if (step !== 'release') continue;
    const guard = { ...facts.guard!, leaseHeld: false };
    const bound = desired.onLeaseEnd !== undefined;
    assert.equal(decide(desired, { ...whole, ...facts, guard, leaseEnded: !bound }).do, 'await-lease', name);
  }
});

test('the same facts always give the same step, and no step loops on itself without change', () => {
  for (const [, desired, facts] of cases) assert.deepEqual(decide(desired, facts), decide(desired, facts));
});

test('a server that comes back while what it left is still here finds that removed first, as it would have been', () => {
  const left = { ...built, migration: { ...migration, side: 'outgoing', state: 'handed_over' } } as ServerRecord;
  const back = exampleServer({ epoch: 2, incoming: { ...way, cancelled: false } });
  const steps = [
    { ...whole, record: left, guest: { state: 'postmigrate', ending: false } as const },
    { ...whole, record: left },
    { ...whole, record: left, plugged: false },
    blank,
  ].map((facts) => decide(back, facts).do);
  assert.deepEqual(steps, ['quit', 'unplug', 'erase', 'receive']);
});

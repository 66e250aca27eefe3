import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ControlMessage, DesiredLayer, Unreadable } from '../../contract/host/index.ts';
import type { LayerId, ServerId, VolumeId } from '../../contract/ids.ts';
import { exampleNetwork, exampleServer } from '../metadata/testing.ts';
import { applyMessage, type DesiredState, emptyState, heldStamps, type StateMessage } from './state.ts';
import { DesiredStore, decodeState, encodeState } from './store.ts';

const cloudId = '01900000-0000-7000-8000-0000000000cc';
const sha256 = 'a'.repeat(64);
const server = exampleServer({ image: { ...exampleServer().image!, sha256 } });
const other = { ...server, id: '01900000-0000-7000-8000-000000000052' as ServerId };
const snapshot = { type: 'snapshot', servers: [server, other], networks: [exampleNetwork()], images: [] } as const;
const now = '2030-01-01T00:00:00.000Z';
const start = () =>
  applyMessage(emptyState(cloudId), {
    ...snapshot,
    servers: [...snapshot.servers],
    networks: [...snapshot.networks],
    images: [],
  }).state;

test('an update says what it names; a snapshot says all, and what it leaves out is kept aside', () => {
  const state = start();
  const stopped = { ...server, generation: 2, power: 'off' as const };
  const updated = applyMessage(state, {
    type: 'update',
    servers: [stopped],
    networks: [],
    removedNetworks: [exampleNetwork().id],
  }).state;
  assert.equal(updated.servers.get(server.id)!.power, 'off');
  assert.equal(updated.servers.get(other.id), other);
  assert.equal(updated.networks.size, 0);
  const replaced = applyMessage(
    updated,
    { type: 'snapshot', servers: [other], networks: [], images: [] },
    [],
    now,
  ).state;
  assert.equal(replaced.servers.get(server.id), stopped);
  assert.deepEqual([...replaced.quarantined], [[server.id, { reason: 'missing', since: now }]]);
  const named = applyMessage(replaced, { type: 'snapshot', servers: [stopped, other], networks: [], images: [] }).state;
  assert.equal(named.quarantined.size, 0);
});

test('a snapshot may name what is held by its id alone; what is not held it must not', () => {
  const stamped = [server, other].map((document) => ({ ...document, stamp: `of ${document.id}` }));
  const state = applyMessage(start(), { ...update, servers: stamped }).state;
  assert.deepEqual(heldStamps(state).servers, { [server.id]: `of ${server.id}`, [other.id]: `of ${other.id}` });
  const named = { type: 'snapshot' as const, servers: [], networks: [], images: [] };
  const missing = applyMessage(state, { ...named, unchanged: [server.id] }).state;
  assert.deepEqual([...missing.quarantined.keys()], [other.id]);
  const again = applyMessage(missing, { ...named, unchanged: [server.id, other.id] }).state;
  assert.equal(again.quarantined.size, 0);
  assert.deepEqual([...again.servers.values()], stamped);
  assert.deepEqual(heldStamps(decodeState(encodeState(again))), heldStamps(state), 'and a restart keeps it');
  assert.throws(() => applyMessage(emptyState(cloudId), { ...named, unchanged: [server.id] }), /not held/);
  assert.throws(() => applyMessage(start(), { ...named, unchanged: [server.id] }), /not held/, 'one without a stamp');
  const unread = applyMessage(state, update, [{ ...misread(), id: server.id }]).state;
  assert.deepEqual(Object.keys(heldStamps(unread).servers), [other.id], 'its newest document may be readable now');
});

test('a snapshot from an older database quarantines what it names as it was, and keeps the networks of it', () => {
  const newer = { ...server, generation: 5 };
  const state = applyMessage(start(), { ...update, servers: [newer] }).state;
  const older = { type: 'snapshot' as const, servers: [server, other], networks: [], images: [] };
  const { state: after, refused } = applyMessage(state, older, [], now);
  assert.deepEqual(refused, [server.id]);
  assert.equal(after.servers.get(server.id), newer);
  assert.deepEqual([...after.quarantined], [[server.id, { reason: 'older', since: now }]]);
  assert.deepEqual(
    [[...after.networks.keys()], [...after.keptNetworks]],
    [[exampleNetwork().id], [exampleNetwork().id]],
  );
  const again = applyMessage(after, older, [], '2031-01-01T00:00:00.000Z').state;
  assert.equal(again.quarantined.get(server.id)!.since, now, 'since when it is stays known');
  const taken = applyMessage(again, { ...update, servers: [{ ...server, generation: 6 }] }).state;
  assert.deepEqual([taken.quarantined.size, taken.networks.size], [0, 0]);
});

test('what shall be absent stays so though a snapshot does not name it', () => {
  const gone = { ...server, generation: 2, presence: 'absent' as const };
  const state = applyMessage(start(), { ...update, servers: [gone] }).state;
  const after = applyMessage(state, { type: 'snapshot', servers: [other], networks: [], images: [] }).state;
  assert.equal(after.servers.get(server.id), gone);
  assert.equal(after.quarantined.size, 0);
});

test('the position that control was last at is remembered', () => {
  const incarnation = '01900000-0000-7000-8000-0000000000aa';
  const empty = { type: 'snapshot' as const, servers: [], networks: [], images: [] };
  const state = applyMessage(start(), { ...empty, incarnation, position: '7.1.5' }).state;
  const later = applyMessage(state, { ...update, position: '9.2.6' }).state;
  assert.deepEqual(later.remembers, { incarnation, position: '9.2.6' });
  assert.deepEqual(applyMessage(later, { ...update }).state.remembers, later.remembers);
  assert.deepEqual(decodeState(encodeState(later)), later);
});

test('what is older than what is known is refused, alone', () => {
  const known = applyMessage(start(), {
    type: 'update',
    servers: [{ ...server, epoch: 3, generation: 5 }],
    networks: [],
    removedNetworks: [],
  }).state;
  for (const late of [
    { epoch: 2, generation: 9 },
    { epoch: 3, generation: 4 },
  ]) {
    const { state, refused } = applyMessage(known, {
      ...snapshot,
      servers: [
        { ...server, ...late },
        { ...other, generation: 2 },
      ],
      networks: [],
      images: [],
    });
    assert.deepEqual(refused, [server.id]);
    assert.equal(state.servers.get(server.id)!.generation, 5);
    assert.equal(state.servers.get(other.id)!.generation, 2);
  }
});

test('only what shall be absent is forgotten', () => {
  const state = applyMessage(start(), {
    type: 'update',
    servers: [{ ...server, generation: 2, presence: 'absent' }],
    networks: [],
    removedNetworks: [],
  }).state;
  const after = applyMessage(state, { type: 'forget', servers: [server.id, other.id] }).state;
  assert.deepEqual([...after.servers.keys()], [other.id]);
});

test('a saved state is read back as it was; one that is cut, changed or of another form is not read', async () => {
  const state = start();
  const text = encodeState(state);
  assert.deepEqual(decodeState(text), state);
  for (const bad of [text.slice(0, -10), text.replace('"on"', '"off"'), '', 'x\ny\n', text.slice(70)]) {
    assert.throws(() => decodeState(bad));
  }
  const directory = mkdtempSync(join(tmpdir(), 'desired-'));
  try {
    const store = new DesiredStore({ dataDirectory: directory, durable: true });
    assert.deepEqual(await store.load(), { state: undefined });
    await store.save(state);
    assert.deepEqual((await store.load()).state, state);
    writeFileSync(join(directory, 'desired.json'), text.slice(0, 100));
    assert.match((await store.load()).damaged!, /cut off/);
    assert.equal(readFileSync(join(directory, 'desired.json.damaged'), 'utf8').length, 100);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const misread = (changes: Partial<Unreadable> = {}): Unreadable => ({
  ...{
    kind: 'server',
    id: server.id,
    epoch: 1,
    generation: 2,
    reason: '/power: expected one of on, off, paused, suspended',
  },
  document: { ...server, generation: 2, power: 'maybe' },
  ...changes,
});
const update: ControlMessage & { type: 'update' } = { type: 'update', servers: [], networks: [], removedNetworks: [] };
const nothing: ControlMessage & { type: 'snapshot' } = { type: 'snapshot', servers: [], networks: [], images: [] };

test('a server whose newest document cannot be read stays what it was, until one comes that can', () => {
  for (const message of [update, nothing]) {
    const { state }: { state: DesiredState } = applyMessage(start(), message, [misread()]);
    assert.equal(state.servers.get(server.id), server);
    assert.deepEqual([...state.unreadable.keys()], [server.id]);
    const late = applyMessage(state, { ...update, servers: [server] });
    assert.deepEqual([late.refused, [...late.state.unreadable.keys()]], [[server.id], [server.id]]);
    const mended: DesiredState = applyMessage(state, { ...update, servers: [{ ...server, generation: 2 }] }).state;
    assert.equal(mended.unreadable.size, 0);
    assert.equal(mended.servers.get(server.id)!.generation, 2);
    const absent: DesiredState = applyMessage(state, {
      ...update,
      servers: [{ ...server, generation: 3, presence: 'absent' }],
    }).state;
    assert.deepEqual([absent.unreadable.size, absent.servers.get(server.id)!.presence], [0, 'absent']);
  }
});

test('where a document does not even say whose it is, nothing counts as unwanted', () => {
  const state = applyMessage(start(), nothing, [misread({ id: null })]).state;
  assert.deepEqual([...state.servers.keys()], [server.id, other.id]);
  assert.deepEqual([...state.networks.keys()], [exampleNetwork().id]);
  assert.equal(state.unreadable.size, 0);
});

test('a network whose newest document cannot be read stays what it was', () => {
  const { id } = exampleNetwork();
  const state = applyMessage(start(), nothing, [misread({ kind: 'network', id })]).state;
  assert.deepEqual([...state.networks.keys()], [id]);
  assert.equal(applyMessage(state, { ...update, removedNetworks: [id] }).state.unreadable.size, 0);
});

test('documents that another version wrote are kept as they are, and the others count', () => {
  const apart = applyMessage(start(), update, [misread()]).state;
  const again = decodeState(encodeState(apart));
  assert.deepEqual(again, apart);
  const newer = encodeState({
    ...start(),
    servers: new Map([
      [server.id, { ...server, power: 'dimmed' as never }],
      [other.id, other],
    ]),
  });
  const read = decodeState(newer);
  assert.deepEqual([...read.servers.keys()], [other.id]);
  assert.deepEqual((read.unreadable.get(server.id)!.document as typeof server).power, 'dimmed');
  // The version that wrote it finds it again.
  const text = encodeState({
    ...read,
    unreadable: new Map([[server.id, { ...misread(), document: { ...server, power: 'off' } }]]),
  });
  assert.equal(decodeState(text).servers.get(server.id)!.power, 'off');
});

const layer: DesiredLayer = {
  id: '01900000-0000-7000-8000-0000000000a1' as LayerId,
  volumeId: '01900000-0000-7000-8000-0000000000b1' as VolumeId,
  ...{ epoch: 1, generation: 3, presence: 'present', pool: 'local', sizeBytes: 2 ** 30 },
  ...{ parentId: null, image: null, readOnly: false, stamp: 'of the first' },
};
const secondLayer = { ...layer, id: '01900000-0000-7000-8000-0000000000a2' as LayerId, stamp: 'of the second' };
const withLayers = () => applyMessage(start(), { ...update, layers: [layer, secondLayer] }).state;

test('layers are taken, quarantined, refused and forgotten as servers are', () => {
  const state = withLayers();
  assert.deepEqual(heldStamps(state).layers, { [layer.id]: 'of the first', [secondLayer.id]: 'of the second' });
  const named = { ...nothing, servers: [server, other], layers: [], unchangedLayers: [layer.id] };
  const missing = applyMessage(state, named, [], now).state;
  assert.deepEqual([...missing.quarantinedLayers], [[secondLayer.id, { reason: 'missing', since: now }]]);
  assert.equal(missing.layers.get(secondLayer.id), secondLayer, 'what is missing stays what shall be');
  const older = applyMessage(state, {
    ...named,
    unchangedLayers: [],
    layers: [{ ...layer, generation: 2 }, secondLayer],
  });
  assert.deepEqual([older.refused, [...older.state.quarantinedLayers.keys()]], [[layer.id], [layer.id]]);
  const back = applyMessage(missing, { ...update, layers: [secondLayer] }).state;
  assert.equal(back.quarantinedLayers.size, 0);
  const gone = applyMessage(state, { ...update, layers: [{ ...layer, generation: 4, presence: 'absent' }] }).state;
  const forgotten = applyMessage(gone, { type: 'forget', servers: [], layers: [layer.id, secondLayer.id] }).state;
  assert.deepEqual([...forgotten.layers.keys()], [secondLayer.id], 'only what shall be absent is forgotten');
});

test('a control that knows of no layers says nothing about them', () => {
  const after = applyMessage(withLayers(), { ...nothing, servers: [server, other] }).state;
  assert.deepEqual([after.layers.size, after.quarantinedLayers.size], [2, 0]);
});

test('a layer whose newest document cannot be read stays what it was; a state of before there were volumes is read', () => {
  const bad = { kind: 'layer' as const, id: layer.id, document: { ...layer, generation: 4, pool: 7 } };
  const state = applyMessage(withLayers(), update, [misread({ ...bad, generation: 4 })]).state;
  assert.equal(state.layers.get(layer.id), layer);
  assert.deepEqual([...state.unreadable.keys()], [layer.id]);
  assert.deepEqual(decodeState(encodeState(state)).layers, state.layers);
  const snapshot = applyMessage(state, { ...nothing, servers: [server, other], layers: [secondLayer] }, [
    misread({ ...bad, generation: 4 }),
  ]).state;
  assert.deepEqual([...snapshot.layers.keys()].sort(), [layer.id, secondLayer.id]);
  assert.equal(snapshot.quarantinedLayers.size, 0);
  const [, body = ''] = encodeState(start()).split('\n');
  const { layers: _, quarantinedLayers: __, ...before } = JSON.parse(body) as Record<string, unknown>;
  const text = JSON.stringify(before);
  assert.equal(decodeState(`${hash('sha256', text)}\n${text}\n`).layers.size, 0);
});

/** A store whose process may die: what is on the disk is what the next one finds. */
async function storeAt(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'desired-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const stores: DesiredStore[] = [];
  const store = () => {
    const made = new DesiredStore({ dataDirectory: directory, durable: false });
    stores.push(made);
    return made;
  };
  t.after(() => Promise.all(stores.map((each) => each.abandon())));
  const log = join(directory, 'desired.log');
  let state = emptyState(cloudId);
  const hear = async (to: DesiredStore, message: StateMessage, unreadable: Unreadable[] = []) => {
    const next = applyMessage(state, message, unreadable, now).state;
    await to.record({ message, unreadable, now }, next);
    state = next;
    return state;
  };
  return { directory, store, log, hear };
}
const whole: StateMessage = { ...nothing, servers: [server, other], networks: [exampleNetwork()], layers: [layer] };

test('each message is saved for what it costs, and the next process finds the state that they made', async (t) => {
  const { directory, store, log, hear } = await storeAt(t);
  const first = store();
  await hear(first, whole);
  await hear(first, { ...update, layers: [secondLayer] }, [misread()]);
  const state = await hear(first, { type: 'forget', servers: [server.id] });
  assert.deepEqual(readdirSync(directory), ['desired.log']);
  const next = store();
  assert.deepEqual((await next.load()).state, state);
  assert.deepEqual((await store().load()).state, state, 'and so does the one after that');
  assert.deepEqual(readdirSync(directory), ['desired.json'], 'from one file');
  const later = await hear(next, { ...update, servers: [{ ...server, generation: 9 }] });
  assert.deepEqual((await store().load()).state, later);
  // The process died between the state and the end of the log.
  writeFileSync(log, '');
  const lines = store();
  await hear(lines, { ...update, removedNetworks: [exampleNetwork().id] });
  const kept = readFileSync(log);
  const { state: folded } = await store().load();
  writeFileSync(log, kept);
  assert.deepEqual((await store().load()).state, folded, 'what it has already is passed over');
});

test('a message that was torn at the end of the log was never acted on; what is damaged before it counts as none', async (t) => {
  const { directory, store, log, hear } = await storeAt(t);
  const first = store();
  const before = await hear(first, whole);
  await hear(first, { ...update, layers: [secondLayer] });
  const bytes = readFileSync(log);
  for (const torn of [
    bytes.subarray(0, -1),
    bytes.subarray(0, -300),
    Buffer.concat([bytes.subarray(0, -9), Buffer.from('xxxxxxxx\n')]),
  ]) {
    rmSync(join(directory, 'desired.json'), { force: true });
    writeFileSync(log, torn);
    assert.deepEqual((await store().load()).state, before);
  }
  rmSync(join(directory, 'desired.json'));
  bytes[200]! ^= 1;
  writeFileSync(log, bytes);
  const { state, damaged } = await store().load();
  assert.deepEqual([state, damaged], [undefined, 'the log of the saved state does not match its checksums']);
  assert.deepEqual(readdirSync(directory), ['desired.log.damaged']);
});

test('a log with a message missing is not believed, and one that has grown long is folded into the state', async (t) => {
  const { directory, store, log, hear } = await storeAt(t);
  const first = store();
  await hear(first, whole);
  await hear(first, { ...update, layers: [secondLayer] });
  const state = await hear(first, { ...update, layers: [layer] });
  const lines = readFileSync(log, 'utf8').split('\n');
  writeFileSync(log, [lines[0], ...lines.slice(2)].join('\n'));
  assert.match((await store().load()).damaged!, /missing/);
  const second = store();
  await second.save(state);
  const long = exampleServer({ ...server, userData: 'a'.repeat(60_000), generation: 20 });
  for (let n = 0; n < 40; n++) await hear(second, { ...update, servers: [{ ...long, generation: 20 + n }] });
  assert.ok(statSync(log).size < 1.2 * 2 ** 20, `${statSync(log).size} bytes`);
  await second.close((await store().load()).state);
  assert.deepEqual(
    readdirSync(directory).filter((name) => !name.endsWith('.damaged')),
    ['desired.json'],
  );
});

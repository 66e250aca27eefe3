import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { exampleNetwork, exampleServer } from '../metadata/testing.ts';
import { applyMessage, emptyState } from './state.ts';
import { DesiredStore, decodeState, encodeState } from './store.ts';

const cloudId = '01900000-0000-7000-8000-0000000000cc';
const sha256 = 'a'.repeat(64);
const server = exampleServer({ image: { ...exampleServer().image!, sha256 } });
const other = { ...server, id: '01900000-0000-7000-8000-000000000052' as ServerId };
const snapshot = { type: 'snapshot', servers: [server, other], networks: [exampleNetwork()], images: [] } as const;
const start = () =>
  applyMessage(emptyState(cloudId), {
    ...snapshot,
    servers: [...snapshot.servers],
    networks: [...snapshot.networks],
    images: [],
  }).state;

test('a snapshot replaces everything, an update what it names', () => {
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
  const replaced = applyMessage(updated, { type: 'snapshot', servers: [other], networks: [], images: [] }).state;
  assert.deepEqual([...replaced.servers.keys()], [other.id]);
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

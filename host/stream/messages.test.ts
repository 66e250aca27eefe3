import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mismatch } from '../../contract/schema/read.ts';
import { exampleNetwork, exampleServer } from '../metadata/testing.ts';
import { parseControlMessage } from './messages.ts';

const server = exampleServer({ image: { ...exampleServer().image!, sha256: 'a'.repeat(64) } });
const snapshot = (change: object = {}) => ({
  type: 'snapshot',
  servers: [{ ...server, ...change }],
  networks: [exampleNetwork()],
  images: [],
});

test('a whole snapshot is taken as it is, unknown fields left out', () => {
  const message = parseControlMessage(JSON.stringify(snapshot({ news: 1 })));
  assert.deepEqual(message, snapshot());
});

const bad: [string, object][] = [
  ['an id that is a path', { id: '../../../etc/passwd' }],
  ['an id in capitals', { id: server.id.toUpperCase().replace('0190', 'ABCD') }],
  ['a negative epoch', { epoch: -1 }],
  ['a generation that is no whole number', { generation: 1.5 }],
  ['an unknown power', { power: 'maybe' }],
  ['a MAC that would be more arguments', { ports: [{ ...server.ports[0], mac: 'fa:16:3e:00:00:01,x' }] }],
  ['two ports with one id', { ports: [server.ports[0], server.ports[0]] }],
  ['an image of an unknown format', { image: { ...server.image, format: 'vmdk' } }],
  ['an image source that is no https address', { image: { ...server.image, sources: ['file:///etc/passwd'] } }],
  ['a checksum that is none', { image: { ...server.image, sha256: '../x' } }],
  ['no memory', { memoryMiB: 0 }],
  ['user data that is no base64', { userData: '%%%' }],
  ['metadata that is no text', { metadata: { a: 1 } }],
  [
    'an address that is none',
    { ports: [{ ...server.ports[0], fixedIps: [{ ...server.ports[0]!.fixedIps[0], ip: 'x' }] }] },
  ],
];
for (const [name, change] of bad) {
  test(`${name} spoils the whole message`, () => {
    assert.throws(() => parseControlMessage(JSON.stringify(snapshot(change))), Mismatch);
  });
}

test('every field of a server is needed', () => {
  for (const key of Object.keys(server)) {
    assert.throws(() => parseControlMessage(JSON.stringify(snapshot({ [key]: undefined }))), Mismatch, key);
  }
});

test('what is no message is refused', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '1',
    '{"type":"constructor"}',
    '{"type":["snapshot"]}',
    '{"type":"snapshot"}',
  ]) {
    assert.throws(() => parseControlMessage(text), Mismatch, text);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absentServer, type ControlMessage, readControlMessage, serverLimits } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';
import { Mismatch } from '../../contract/schema/read.ts';
import { exampleNetwork, exampleServer } from '../metadata/testing.ts';

const server = exampleServer({ epoch: 3, generation: 7, image: { ...exampleServer().image!, sha256: 'a'.repeat(64) } });
const other = { ...server, id: '01900000-0000-7000-8000-000000000052' as ServerId };
const snapshot = (...servers: unknown[]) =>
  JSON.stringify({ type: 'snapshot', servers, networks: [exampleNetwork()], images: [] });
const serversOf = (message: ControlMessage | undefined) =>
  message?.type === 'snapshot' || message?.type === 'update' ? message.servers : [];

test('a whole snapshot is taken as it is, unknown fields of any depth left out', () => {
  const newer = { ...server, news: 1, ports: server.ports.map((port) => ({ ...port, news: { a: [] } })) };
  const { message, unreadable } = readControlMessage(snapshot(newer));
  assert.deepEqual(serversOf(message), [server]);
  assert.deepEqual(unreadable, []);
});

test('a message of a type that this version does not know is no error', () => {
  assert.deepEqual(readControlMessage('{"type":"constructor"}'), { message: undefined, unreadable: [] });
  assert.deepEqual(readControlMessage('{"type":"news","ms":1}'), { message: undefined, unreadable: [] });
});

const bad: [string, object][] = [
  ['a negative reboot count', { reboot: { count: -1, type: 'soft' } }],
  ['an unknown power', { power: 'maybe' }],
  ['a MAC that would be more arguments', { ports: [{ ...server.ports[0], mac: 'fa:16:3e:00:00:01,x' }] }],
  ['two ports with one id', { ports: [server.ports[0], server.ports[0]] }],
  ['more ports than there may be', { ports: Array.from({ length: serverLimits.ports + 1 }, () => server.ports[0]) }],
  ['an image of an unknown format', { image: { ...server.image, format: 'unheard of' } }],
  ['a checksum that is none', { image: { ...server.image, sha256: '../x' } }],
  ['no memory', { memoryMiB: 0 }],
  ['user data that is no base64', { userData: '%%%' }],
  ['metadata that is no text', { metadata: { a: 1 } }],
  [
    'an address that is none',
    { ports: [{ ...server.ports[0], fixedIps: [{ ...server.ports[0]!.fixedIps[0], ip: 'x' }] }] },
  ],
  ...Object.keys(server)
    .filter((key) => !['id', 'epoch', 'generation'].includes(key))
    .map((key): [string, object] => [`no ${key}`, { [key]: undefined }]),
];
for (const [name, change] of bad) {
  test(`${name} spoils that server's document alone`, () => {
    const { message, unreadable } = readControlMessage(snapshot({ ...server, ...change }, other));
    assert.deepEqual(serversOf(message), [other]);
    assert.deepEqual(
      unreadable.map(({ kind, id, epoch, generation }) => ({ kind, id, epoch, generation })),
      [{ kind: 'server', id: server.id, epoch: 3, generation: 7 }],
    );
  });
}

test('of a document whose id, epoch or generation is none, they are not known', () => {
  for (const [change, known] of [
    [{ id: '../../../etc/passwd' }, { id: null, epoch: 3, generation: 7 }],
    [{ id: server.id.toUpperCase().replace('0190', 'ABCD') }, { id: null, epoch: 3, generation: 7 }],
    [{ epoch: -1 }, { id: server.id, epoch: null, generation: 7 }],
    [{ generation: 1.5 }, { id: server.id, epoch: 3, generation: null }],
  ] as const) {
    const { id, epoch, generation } = readControlMessage(snapshot({ ...server, ...change })).unreadable[0]!;
    assert.deepEqual({ id, epoch, generation }, known);
  }
  for (const nothing of [null, 1, 'x', []]) {
    assert.equal(readControlMessage(snapshot(nothing, other)).unreadable.length, 1);
  }
});

test('a server that shall be absent may say anything else', () => {
  const { id, epoch, generation } = server;
  const { message, unreadable } = readControlMessage(
    snapshot(
      { ...server, presence: 'absent', ports: 7, vcpus: 'x' },
      { id: other.id, epoch, generation, presence: 'absent' },
    ),
  );
  assert.deepEqual(unreadable, []);
  assert.deepEqual(serversOf(message), [
    absentServer({ id, epoch, generation }),
    absentServer({ id: other.id, epoch, generation }),
  ]);
});

test("another host's address that is none is left out, and nothing with it", () => {
  const sources = [
    'file:///etc/passwd',
    'https://10.0.0.5:8444',
    'https://u@x',
    'https://a b',
    'https://\n',
    1,
    null,
    '',
  ];
  const { message, unreadable } = readControlMessage(snapshot({ ...server, image: { ...server.image, sources } }));
  assert.deepEqual(unreadable, []);
  assert.deepEqual(serversOf(message)[0]!.image!.sources, ['https://10.0.0.5:8444']);
});

test('why a document cannot be read is said without a word of it', () => {
  const secret = 'secret'.repeat(60);
  for (const change of [
    { name: secret },
    { metadata: { [secret]: 'x' } },
    { keys: [{ name: secret }] },
    { power: secret },
  ]) {
    const { reason } = readControlMessage(snapshot({ ...server, ...change })).unreadable[0]!;
    assert.doesNotMatch(reason, /secret/);
  }
});

test('lengths count code points, as the APIs do', () => {
  const named = {
    ...server,
    name: '🏔'.repeat(serverLimits.nameLength),
    keys: [{ ...server.keys[0], name: '🔑'.repeat(255) }],
  };
  assert.deepEqual(readControlMessage(snapshot(named)).unreadable, []);
  assert.equal(readControlMessage(snapshot({ ...named, name: '🏔'.repeat(1000) })).unreadable.length, 1);
});

test('a network that cannot be read spoils nothing else', () => {
  const networks = [
    { ...exampleNetwork(), mtu: 'x' },
    { ...exampleNetwork(), id: other.id },
  ];
  const { message, unreadable } = readControlMessage(
    JSON.stringify({ type: 'update', servers: [server], networks, removedNetworks: [] }),
  );
  assert.deepEqual(
    unreadable.map(({ kind, id }) => [kind, id]),
    [['network', exampleNetwork().id]],
  );
  assert.deepEqual(message, { type: 'update', servers: [server], networks: [networks[1]], removedNetworks: [] });
});

test('what is no message is refused', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '1',
    '{"type":["snapshot"]}',
    '{"type":"snapshot"}',
    '{"type":"forget"}',
  ]) {
    assert.throws(() => readControlMessage(text), Mismatch, text);
  }
});

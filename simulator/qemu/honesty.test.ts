/** The same conversation with this QEMU and with an installed one: they answer alike. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { qemuArguments } from '../../host/guest/arguments.ts';
import { QmpFramer } from '../../protocols/qmp/index.ts';
import { until } from '../../test/support/until.ts';
import { FakeMachine } from './fake-machine.ts';
import { prepareGuest } from './testing.ts';

const real = ['/usr/bin/qemu-system-x86_64'].find((path) => existsSync(path));

/** What is sent, one line after the answer to the one before. */
const conversation = [
  '{"execute":"query-status","id":1}',
  '{"execute":"nonsense"}',
  '{"exec-oob":"query-yank","id":2}',
  '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":"a"}',
  '{"execute":"qmp_capabilities"}',
  '{"execute":"nonsense","id":{"a":1}}',
  '{"foo":1}',
  '{"execute":"query-status","foo":1}',
  '{"id":1}',
  '[1]',
  '{"execute":"query-status","arguments":{"x":1}}',
  '{"execute":"query-status","arguments":3}',
  '{"execute":5}',
  'garbage',
  '{"execute":"query-uuid"}',
  '{"execute":"query-name"}',
  '{"execute":"query-kvm"}',
  '{"execute":"query-chardev"}',
  '{"exec-oob":"query-yank","id":3}',
  '{"exec-oob":"query-status","id":4}',
  '{"exec-oob":"yank","arguments":{"instances":[{"type":"migration"}]},"id":5}',
  '{"exec-oob":"yank","arguments":{"instances":[{"type":"block-node","node-name":"x"}]},"id":6}',
  '{"execute":"qom-list","arguments":{"path":"/objects"}}',
  '{"execute":"stop"}',
  '{"execute":"stop"}',
  '{"execute":"query-status"}',
  '{"execute":"query-migrate"}',
  '{"execute":"migrate_cancel"}',
  '{"execute":"migrate","arguments":{"uri":"odd"}}',
  '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":1125899906842624}}',
  '{"execute":"inject-nmi"}',
  '{"execute":"system_reset"}',
  '{"execute":"query-status"}',
  '{"execute":"cont","id":7}',
  '{"execute":"cont"}',
  '{"execute":"system_powerdown"}',
  '{"execute":"query-status"}',
  '{"execute":"quit","id":9}',
];

interface Transcript {
  lines: unknown[];
  pidFileIsRight: boolean;
  remains: string[];
}

test('commands, refusals, events and their order', { skip: real ? false : 'QEMU is not installed' }, async () => {
  const [fake, genuine] = await Promise.all([speakWithFake(), speakWithReal()]);
  assert.deepEqual(fake, genuine);
  assert.ok(fake.lines.length > conversation.length);
});

async function speakWithFake(): Promise<Transcript> {
  const machine = new FakeMachine({ behaviour: { shutdownMs: null } });
  return speak(async (serverId, args, logFile) => machine.launch({ serverId, args, logFile, user: undefined }));
}

async function speakWithReal(): Promise<Transcript> {
  return speak(async (_serverId, args) => {
    const child = spawn(real!, args, { stdio: 'ignore' });
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    return { pid: child.pid!, exited };
  });
}

async function speak(
  launch: (serverId: ServerId, args: string[], logFile: string) => Promise<{ pid: number; exited: Promise<void> }>,
): Promise<Transcript> {
  const directory = mkdtempSync(join(tmpdir(), 'bh-'));
  const serverId = newId<ServerId>();
  const { description, paths } = await prepareGuest(directory, serverId);
  try {
    // Without cards: a real tap takes root.
    const { pid, exited } = await launch(serverId, qemuArguments({ ...description, ports: [] }), paths.qemuLog);
    const socket = await connected(paths.qmp);
    const pidFileIsRight = readFileSync(paths.pid, 'utf8') === `${pid}\n`;
    const said = await talk(socket);
    await exited;
    const remains = [paths.pid, paths.qmp, paths.serial].filter((path) => existsSync(path));
    const plain = (value: unknown) =>
      JSON.parse(JSON.stringify(value).replaceAll(directory, '').replaceAll(serverId, 'ID'));
    return { lines: said.map(plain), pidFileIsRight, remains: remains.map(plain) as string[] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** QEMU's socket is a file a moment before it takes connections. */
async function connected(path: string): Promise<Socket> {
  let socket!: Socket;
  const accepted = () => {
    socket = connect(path);
    return once(socket, 'connect').then(
      () => true,
      () => false,
    );
  };
  await until('QEMU to listen', accepted);
  return socket;
}

/** Everything that QEMU says, without what is of the moment. */
function talk(socket: Socket): Promise<unknown[]> {
  const said: unknown[] = [];
  const rest = [...conversation];
  const framer = new QmpFramer();
  socket.on('error', () => {}); // QEMU does not close its sockets before it ends
  socket.on('data', (chunk) => {
    for (const message of framer.push(chunk)) {
      if (isOfTheMoment(message)) continue;
      said.push(normalised(message));
      const next = 'event' in message ? undefined : rest.shift();
      if (next !== undefined) socket.write(`${next}\n`);
    }
  });
  return new Promise((resolve) => socket.on('close', () => resolve(said)));
}

/** The firmware may start itself again when it likes. */
const isOfTheMoment = ({ event, data }: Record<string, unknown>) =>
  event === 'RESET' && (data as { guest: boolean }).guest;

function normalised({ timestamp, QMP, ...message }: Record<string, unknown>): unknown {
  if (QMP) return { QMP: Object.keys(QMP), version: Object.keys((QMP as { version: object }).version) };
  if (timestamp) return { ...message, timestamp: Object.keys(timestamp as object) };
  const list = message.return;
  if (!Array.isArray(list)) return message;
  const byText = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const inOrder = (each: object) => Object.fromEntries(Object.entries(each).sort());
  return { ...message, return: list.map(inOrder).sort(byText) };
}

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MessageSplitter } from '../../protocols/ovsdb/framing.ts';
import type { Row, RowChange } from '../../protocols/ovsdb/index.ts';
import { until } from '../../test/support/until.ts';
import { TakenPorts } from './taken-ports.ts';

let directory: string;
let controller: Server;
let asked: string[];
let ports: TakenPorts;
let warned: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-taken-ports-'));
  [asked, warned] = [[], []];
  writeFileSync(join(directory, 'ovn-controller.pid'), '42\n');
  controller = createServer((socket) => {
    const messages = new MessageSplitter();
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const message of messages.push(chunk)) {
        const { id, method } = JSON.parse(message.toString());
        asked.push(method);
        socket.write(JSON.stringify({ id, result: '', error: null }));
      }
    });
  }).listen(join(directory, 'ovn-controller.42.ctl'));
  const log = { info() {}, warn: (_: object, message: string) => void warned.push(message) };
  ports = new TakenPorts({ ovsDirectory: directory, log, pauseMs: 10 });
});

afterEach(async () => {
  await ports.stop();
  await new Promise((resolve) => controller.close(resolve));
  rmSync(directory, { recursive: true });
});

const row = (external_ids: Record<string, string>): Row =>
  ({ _uuid: 'i1', name: 'tap', external_ids }) as unknown as Row;
const plugged = row({ 'iface-id': 'p1' });
const taken = (at: string) => row({ 'iface-id': 'p1', 'ovn-installed': 'true', 'ovn-installed-ts': at });
const change = (before: Row | undefined, after: Row | undefined, uuid = 'i1'): RowChange => ({
  ...{ table: 'Interface', uuid, before, after },
});

/** Of how many judgements there are, once as many have been asked for. */
const judged = (count: number) => until(`${count} judgements`, () => asked.length === count);

test('a port that is taken has all judged anew, once, whatever else changes', async () => {
  ports.changed([change(undefined, plugged)]);
  ports.changed([change(plugged, taken('1'))]);
  await judged(1);
  ports.changed([change(taken('1'), taken('1'))]);
  ports.changed([change(taken('1'), undefined)]);
  await ports.stop();
  assert.deepEqual(asked, ['inc-engine/recompute']);
});

test('one that it lets go of and takes again does so again, in one word too', async () => {
  ports.changed([change(undefined, taken('1'))]);
  await judged(1);
  ports.changed([change(taken('1'), plugged)]);
  ports.changed([change(plugged, taken('2'))]);
  await judged(2);
  ports.changed([change(taken('2'), taken('3'))]);
  await judged(3);
});

test('however many are taken while all is judged, it is judged once more', async () => {
  for (let n = 0; n < 50; n++) ports.changed([change(undefined, taken(String(n)), `i${n}`)]);
  await judged(2);
  await ports.stop();
  assert.equal(asked.length, 2);
});

test('what may have been taken before this process began is judged at its start', async () => {
  ports.start();
  await judged(1);
});

test('an ovn-controller that is away is told of and breaks nothing', async () => {
  rmSync(join(directory, 'ovn-controller.pid'));
  ports.changed([change(taken('1'), taken('2'))]);
  await ports.stop();
  assert.match(warned.join(), /was not asked/);
});

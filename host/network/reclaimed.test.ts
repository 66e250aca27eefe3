import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MessageSplitter } from '../../protocols/ovsdb/framing.ts';
import type { Row, RowChange } from '../../protocols/ovsdb/index.ts';
import { ReclaimedPorts } from './reclaimed.ts';

let directory: string;
let controller: Server;
let asked: string[];
let ports: ReclaimedPorts;
let warned: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-reclaimed-'));
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
  ports = new ReclaimedPorts({ ovsDirectory: directory, log });
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

test('a port that ovn-controller takes once is none of our business, whatever else changes', async () => {
  ports.changed([change(undefined, plugged)]);
  ports.changed([change(plugged, taken('1'))]);
  ports.changed([change(taken('1'), taken('1'))]);
  ports.changed([change(taken('1'), undefined)]);
  // Its next life is another row.
  ports.changed([change(undefined, taken('2'), 'i2')]);
  await ports.stop();
  assert.deepEqual(asked, []);
});

test('one that it lets go of and takes again has it judge all anew, once', async () => {
  ports.changed([change(undefined, taken('1')), change(taken('1'), plugged), change(plugged, taken('2'))]);
  await ports.stop();
  assert.deepEqual(asked, ['inc-engine/recompute']);
  // In one word, too.
  ports.changed([change(taken('2'), taken('3'))]);
  await ports.stop();
  assert.equal(asked.length, 2);
});

test('an ovn-controller that is away is told of and breaks nothing', async () => {
  rmSync(join(directory, 'ovn-controller.pid'));
  ports.changed([change(taken('1'), taken('2'))]);
  await ports.stop();
  assert.match(warned.join(), /was not asked/);
});

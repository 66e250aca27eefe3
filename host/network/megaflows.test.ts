import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { MessageSplitter } from '../../protocols/ovsdb/framing.ts';
import { until } from '../../test/support/until.ts';
import { Megaflows } from './megaflows.ts';

let directory: string;
let switchd: Switch;
let megaflows: Megaflows;

/** Speaks as ovs-vswitchd does on its control socket. */
class Switch {
  changes = 0;
  looks = 0;
  emptied = 0;
  readonly #server: Server;

  constructor(path: string) {
    this.#server = createServer((socket) => {
      const messages = new MessageSplitter();
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        for (const message of messages.push(chunk)) {
          const { id, method } = JSON.parse(message.toString());
          socket.write(JSON.stringify({ id, result: this.#answer(method), error: null }));
        }
      });
    }).listen(path);
  }

  #answer(method: string): string {
    if (method === 'revalidator/purge') this.emptied++;
    else this.looks++;
    return method === 'revalidator/purge' ? '' : `${this.changes}\n`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-megaflows-'));
  switchd = new Switch(join(directory, 'ctl'));
  megaflows = new Megaflows({ socket: join(directory, 'ctl'), lookMs: 1 });
});

afterEach(async () => {
  await megaflows.stop();
  await switchd.close();
  rmSync(directory, { recursive: true });
});

const looks = (more: number) => {
  const wanted = switchd.looks + more;
  return until(`${more} looks`, () => switchd.looks >= wanted);
};

test('the cache is emptied when flows have changed, and not while they are as they were', async () => {
  switchd.changes = 7;
  megaflows.start();
  await until('the first', () => switchd.emptied === 1);
  await looks(5);
  assert.equal(switchd.emptied, 1);
  switchd.changes = 9;
  await until('the second', () => switchd.emptied === 2);
  await looks(5);
  assert.equal(switchd.emptied, 2);
});

test('a switch that comes back with as many changes is another one', async () => {
  megaflows.start();
  await until('the first', () => switchd.emptied === 1);
  await switchd.close();
  let refused = 0;
  const dying = createServer((socket) => {
    refused++;
    socket.destroy();
  }).listen(join(directory, 'ctl'));
  await until('a look at one that dies', () => refused > 1);
  await new Promise((resolve) => dying.close(resolve));
  switchd = new Switch(join(directory, 'ctl'));
  await until('its own', () => switchd.emptied === 1);
});

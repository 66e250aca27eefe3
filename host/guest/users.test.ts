import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, type TestContext, test } from 'node:test';
import { newId, type ServerId } from '../../contract/ids.ts';
import { serverPaths } from '../paths.ts';
import { newRecord } from '../server/record.ts';
import { ProcessLauncher } from './launcher.ts';
import { GuestUsers } from './users.ts';

const accounts = { uid: 64055, gid: 64055, uids: { first: 0x6fff_0000, count: 4 } };
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bothy-users-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const newServer = () => newId<ServerId>();

/** What a host process leaves that dies after the record and before anything else. */
function record(id: ServerId, uid: number | null): void {
  const paths = serverPaths({ dataDirectory: directory, runDirectory: directory }, id);
  mkdirSync(paths.data, { recursive: true });
  writeFileSync(paths.record, JSON.stringify({ ...newRecord(1), uid }));
}

function opened(): GuestUsers {
  const users = new GuestUsers(accounts, [107]);
  users.open(directory);
  return users;
}

test('each guest has a user of its own, in the range, and the same whenever it is asked for', () => {
  const users = opened();
  const [a, b] = [newServer(), newServer()];
  const uids = [users.claim(a, null), users.claim(b, null)];
  assert.equal(new Set(uids).size, 2);
  assert.equal(users.claim(a, null), uids[0]);
  assert.deepEqual(users.user(uids[0]!), { uid: uids[0], gid: uids[0], groups: [64055, 107] });
  for (const uid of uids) assert.ok(uid > accounts.uids.first && uid < accounts.uids.first + accounts.uids.count);
});

test('a user that a record names is given to nobody else by the next host process, and free once its server is gone', () => {
  const before = newServer();
  record(before, accounts.uids.first + 2);
  const users = opened();
  const others = [newServer(), newServer()];
  const given = others.map((id) => users.claim(id, null));
  assert.ok(!given.includes(accounts.uids.first + 2));
  assert.throws(() => users.claim(newServer(), null), /all 3 users of guests are given/);
  assert.equal(users.claim(before, accounts.uids.first + 2), accounts.uids.first + 2);
  users.release(others[0]!);
  assert.equal(users.claim(newServer(), null), given[0]);
});

test('two records that name one user end as two users', () => {
  const ids = [newServer(), newServer()].sort();
  for (const id of ids) record(id, accounts.uids.first + 1);
  const users = opened();
  const uids = ids.map((id) => users.claim(id, accounts.uids.first + 1));
  assert.equal(new Set(uids).size, 2);
});

/** A process that says of itself what a guest's QEMU says. */
async function claimant(t: TestContext, id: ServerId, uid: number): Promise<number> {
  const claim = ['-pidfile', join(directory, 'guests', id, 'pid'), '-uuid', id];
  const child = spawn('perl', ['-e', '$| = 1; print "up"; sleep 60', '--', ...claim], { uid, gid: uid, cwd: '/' });
  t.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid!;
}

async function guestsFound(command: string, users: typeof accounts | undefined) {
  const guestsDirectory = join(directory, 'guests');
  const launcher = new ProcessLauncher({ dataDirectory: directory, guestsDirectory, accounts: users, command });
  return (await launcher.list()).map(({ serverId, process }) => [serverId, process.pid]);
}

test('a local user’s process that says it were a guest is none', async (t) => {
  const id = newServer();
  record(id, null);
  const pid = await claimant(t, id, process.getuid!());
  assert.deepEqual(
    await guestsFound('perl', undefined),
    [[id, pid]],
    'without users for guests, one of our own counts',
  );
  assert.deepEqual(await guestsFound('perl', accounts), [], 'another user');
  assert.deepEqual(await guestsFound('qemu-system-x86_64', undefined), [], 'another program');
});

test('a guest is whose user it runs as, whatever it says of itself', { skip: process.getuid?.() !== 0 }, async (t) => {
  const [liar, victim, old] = [newServer(), newServer(), newServer()];
  record(liar, accounts.uids.first + 1);
  record(victim, accounts.uids.first + 2);
  record(old, null);
  const pid = await claimant(t, victim, accounts.uids.first + 1);
  const shared = await claimant(t, old, accounts.uid);
  await claimant(t, victim, accounts.uid);
  const found = await guestsFound('perl', accounts);
  assert.deepEqual(new Set(found.map(String)), new Set([`${liar},${pid}`, `${old},${shared}`]));
});

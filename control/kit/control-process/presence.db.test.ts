/** Control processes that live, fall silent, come back and go. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { Presence } from './index.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

function process(machine: string, url = `https://${machine}:8443`) {
  const silent: string[] = [];
  const self = { id: newId(), machine, url, version: '1' };
  const presence = new Presence({
    ...{ database: db.database, log: pino({ level: 'silent' }), self },
    onSilent: (id) => silent.push(id),
    timing: { beatMs: 20, silentMs: 5000 },
  });
  return { presence, silent, id: self.id, [Symbol.asyncDispose]: () => presence.stop() };
}

const grewOld = (id: string, interval: string) =>
  sql`insert into control_process values (${id}, 'old', 'https://old:8443', '1', now(), now() - ${interval}::interval)
    on conflict (id) do update set seen_at = excluded.seen_at`.execute(db.database.query);

const known = async () => {
  const { rows } = await sql<{ id: string }>`select id from control_process order by id`.execute(db.database.query);
  return rows.map(({ id }) => id);
};

test('each hears of the others, and of one that stops in order no more', async () => {
  await using a = process('a');
  await using b = process('b');
  let changes = 0;
  a.presence.onAddresses(() => changes++);
  a.presence.start();
  await until('a to know itself', () => a.presence.addresses.length === 1);
  b.presence.start();
  await until('a to know b', () => a.presence.addresses.length === 2);
  await until('b to know a', () => b.presence.others.length === 1);
  assert.deepEqual(a.presence.addresses, ['https://a:8443', 'https://b:8443']);
  assert.deepEqual(b.presence.addresses, ['https://b:8443', 'https://a:8443'], 'each names itself first');
  assert.deepEqual(
    a.presence.others.map(({ id, machine, version, silent }) => [id, machine, version, silent]),
    [[b.id, 'b', '1', false]],
  );
  await b.presence.stop();
  await until('a to be alone', () => a.presence.others.length === 0);
  assert.deepEqual([changes, a.silent], [3, []], 'who stops has left nothing behind');
});

test('one that falls silent is told once, comes last, and again when it was back in between', async () => {
  const old = newId();
  await using a = process('a');
  await using b = process('b');
  await grewOld(old, '10 seconds');
  a.presence.start();
  b.presence.start();
  await until('both to know', () => a.presence.addresses.length === 3);
  assert.deepEqual(a.presence.addresses, ['https://a:8443', 'https://b:8443', 'https://old:8443']);
  assert.deepEqual(a.silent, [old]);
  await grewOld(old, '0 seconds');
  await until('it to live', () => a.presence.others.every(({ silent }) => !silent));
  await grewOld(old, '10 seconds');
  await until('it to be told again', () => a.silent.length === 2);
  await sql`delete from control_process where id = ${old}`.execute(db.database.query);
});

test('one that another follows at its address, or that was silent for a day, is forgotten when its work was taken', async () => {
  const [followed, ancient] = [newId(), newId()];
  await grewOld(followed, '10 seconds');
  await grewOld(ancient, '25 hours');
  await using after = process('after', 'https://old:8443');
  after.presence.start();
  await until('both to be told', () => after.silent.length === 2);
  await until('both to be gone', async () => (await known()).join() === after.id);
  assert.deepEqual(new Set(after.silent), new Set([followed, ancient]));
});

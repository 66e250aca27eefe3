import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { bodyOf, objectWorld, requireCountersExact } from './testing.ts';

const soon = { leaseMs: 60_000, useMs: 0 };
const options = { janitor: { graceMs: 0 }, intents: soon };

/** What the janitor would do in time is due now. */
const due = (world: Awaited<ReturnType<typeof objectWorld>>) =>
  sql`update object_intent_disk d set look_at = now() from object_intent i where i.id = d.intent_id and i.state = 'closed'`.execute(
    world.db.database.query,
  );

async function settle(world: Awaited<ReturnType<typeof objectWorld>>): Promise<void> {
  await world.area.behind.intents.stop();
  for (let look = 0; look < 4; look++) {
    await due(world);
    await world.area.behind.janitor.look();
  }
}

const left = async (world: Awaited<ReturnType<typeof objectWorld>>) => {
  const count = async (table: string) =>
    (await sql<{ n: number }>`select count(*) as n from ${sql.table(table)}`.execute(world.db.database.query)).rows[0]!
      .n;
  const names = ['object', 'object_blob', 'object_removal', 'object_intent_disk', 'object_intent'];
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await count(name)])));
};

test('what was deleted and overwritten leaves nothing behind, on no disk and in no row', async (t) => {
  const world = await objectWorld(t, options);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  for (const text of ['small', 'other', 'x'.repeat(300_000)]) await world.put('a', text);
  await world.put('b', 'stays not');
  for (const name of ['a', 'b']) await objects.delete(world.caller, where, name);
  await settle(world);
  assert.deepEqual(world.disks.blobs, []);
  assert.deepEqual(await left(world), {
    object: 0,
    object_blob: 0,
    object_removal: 0,
    object_intent_disk: 0,
    object_intent: 0,
  });
});

test('a put that dies before its transaction leaves bytes that nobody sees, and the janitor erases them', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('seen', 'stays');
  // Whoever takes a body and never commits it.
  const dead = world.another();
  const { objects } = dead.services;
  const where = { projectId: world.projectId, container: 'box' };
  await sql`create function die() returns trigger language plpgsql as $$ begin raise exception 'dead'; end $$`.execute(
    world.db.database.query,
  );
  await sql`create trigger die before insert on object for each row when (new.name like 'lost%') execute function die()`.execute(
    world.db.database.query,
  );
  for (const text of ['small', 'y'.repeat(300_000)]) {
    await assert.rejects(objects.put(world.caller, where, `lost ${text.length}`, bodyOf(text), { contentType: 'a/b' }));
  }
  await dead.behind.intents.stop();
  await settle(world);
  assert.equal(world.disks.blobs.length, 1);
  assert.equal(await world.get('seen'), 'stays');
  await requireCountersExact(world);
});

test('whose intent another has closed commits nothing, but a small body is written once more under the next', async (t) => {
  const world = await objectWorld(t, options);
  const close = () => sql`update object_intent set state = 'closed'`.execute(world.db.database.query);
  await world.put('before', 'x');
  let closed = 0;
  world.disks.before = async (method, path) => {
    if (method !== 'POST' && method !== 'PUT') return;
    if (!path.startsWith('/v1/objects/blobs') || closed++ > 0) return;
    await close();
  };
  await world.put('small', 'written twice');
  assert.equal(await world.get('small'), 'written twice');
  closed = 0;
  await assert.rejects(world.put('large', 'z'.repeat(300_000)), (error) => hasReason(error, 'object_intent_closed'));
  await assert.rejects(world.get('large'), (error) => hasReason(error, 'object_not_found'));
  await requireCountersExact(world);
});

test('a pack that is mostly dead is copied into another, and what lives in it stays readable all the time', async (t) => {
  const world = await objectWorld(t, options);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const names = Array.from({ length: 10 }, (_, n) => `o${n}`);
  for (const name of names) await world.put(name, name.repeat(100));
  const opened = await objects.open(world.caller, where, 'o9');
  for (const name of names.slice(0, 8)) await objects.delete(world.caller, where, name);
  await settle(world);
  await settle(world);
  assert.equal(world.disks.blobs.length, 2, 'the two that live');
  for (const name of names.slice(8)) assert.equal(await world.get(name), name.repeat(100));
  assert.equal((await opened.read()).buffer?.toString(), 'o9'.repeat(100), 'found before, read after it was moved');
});

test('an intent that the database does not know stays as it is', async (t) => {
  const world = await objectWorld(t, options);
  world.disks.files.set(
    'default/00000000-0000-4000-8000-000000000009/00000000-0000-4000-8000-000000000008',
    Buffer.from('?'),
  );
  await settle(world);
  assert.equal(world.disks.files.size, 1);
});

test('an object whose time is over is not found, and soon is not there', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('short', 'x', { expiresAt: new Date(Date.now() - 1000) });
  await world.put('long', 'x', { expiresAt: new Date(Date.now() + 3_600_000) });
  await assert.rejects(world.get('short'), (error) => hasReason(error, 'object_not_found'));
  await world.area.behind.janitor.look();
  await requireCountersExact(world);
  const { rows } = await sql<{ name: string }>`select name from object`.execute(world.db.database.query);
  assert.deepEqual(rows, [{ name: 'long' }]);
});

test('a disk that is drained gives what it has to another, and is empty then', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('small', 'here');
  await world.put('large', 'w'.repeat(300_000));
  world.disks.names = ['default', 'second'];
  await world.area.behind.disks.look();
  await sql`update object_disk set state = 'draining' where name = 'default'`.execute(world.db.database.query);
  await world.area.behind.disks.look();
  await settle(world);
  await settle(world);
  const at = [...world.disks.files.keys(), ...world.disks.packs.keys()];
  assert.ok(at.length === 2 && at.every((key) => key.startsWith('second/')), at.join());
  assert.equal(await world.get('small'), 'here');
  assert.equal(await world.get('large'), 'w'.repeat(300_000));
});

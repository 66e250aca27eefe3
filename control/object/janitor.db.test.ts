import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { type HostId, newOrderedId } from '../../contract/ids.ts';
import { registerHost } from '../host/index.ts';
import { currentIncarnation, renewIncarnation } from '../kit/database/incarnation.ts';
import { portions } from './drain.ts';
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

test('a disk that does not answer holds up what is put behind it no longer than a moment', async (t) => {
  const world = await objectWorld(t, options);
  world.disks.names = ['default', 'second'];
  await world.area.behind.disks.look();
  const hung = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let first = true;
  world.disks.before = (method) => {
    if (method !== 'POST' || !first) return;
    first = false;
    asked.resolve();
    return hung.promise;
  };
  const done: string[] = [];
  const put = (name: string) => world.put(name, name).then(() => done.push(name));
  const behind = put('hangs');
  await asked.promise;
  await Promise.race([Promise.all([put('a'), put('b')]), behind]);
  assert.deepEqual(done.toSorted(), ['a', 'b']);
  hung.resolve();
  await behind;
  const { rows } = await sql<{ disks: number }>`select count(distinct disk_id) as disks from object_blob`.execute(
    world.db.database.query,
  );
  assert.deepEqual(rows, [{ disks: 2 }]);
  for (const name of ['hangs', 'a', 'b']) assert.equal(await world.get(name), name);
});

test('what is removed from a disk that does not answer holds up no other, and goes when it does', async (t) => {
  const world = await objectWorld(t, options);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const names = Array.from({ length: 30 }, (_, n) => `large ${n}`);
  for (const name of names) await world.put(name, 'x'.repeat(300_000));
  for (const name of names) await objects.delete(world.caller, where, name);
  let refused = 0;
  world.disks.before = (method, path) => {
    if (method !== 'DELETE' || !path.startsWith('/v1/objects/blobs')) return;
    refused++;
    throw Object.assign(new Error('the disk failed'), { status: 503, code: 'unavailable' });
  };
  await world.area.behind.janitor.look();
  assert.ok(refused <= 8, `asked ${refused} times`);
  world.disks.before = () => {};
  await settle(world);
  assert.deepEqual(world.disks.blobs, []);
});

test('whose intent is over on a host writes under the next', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('before', 'x');
  const over = new Set<string>();
  const { rows } = await sql<{ id: string }>`select id from object_intent`.execute(world.db.database.query);
  world.disks.before = (method, path) => {
    if (method !== 'POST' && method !== 'PUT') return;
    if (over.size === 1) return;
    over.add(path);
    throw Object.assign(new Error('the intent is over'), { status: 409, code: 'conflict' });
  };
  await world.put('small', 'y');
  over.clear();
  const large = () => world.put('large', 'z'.repeat(300_000));
  await assert.rejects(large(), (error) => hasReason(error, 'object_intent_closed'));
  await large();
  assert.equal(await world.get('small'), 'y');
  const under = await sql<{ id: string }>`select distinct intent_id as id from object_blob`.execute(
    world.db.database.query,
  );
  assert.equal(under.rows.length, 3);
  assert.ok(under.rows.some(({ id }) => id === rows[0]!.id));
});

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

test('a commit whose answer is lost may have made the object seen: its bytes stay', async (t) => {
  const world = await objectWorld(t, options);
  const { database } = world.db;
  let lost = true;
  const cut = new Proxy(database, {
    get(target, name) {
      if (name !== 'transaction') return bound(target, name);
      return async (...asked: Parameters<typeof database.transaction>) => {
        const answer = await target.transaction(...asked);
        if (lost) throw new Error('Connection terminated unexpectedly');
        return answer;
      };
    },
  });
  const bound = (target: object, name: string | symbol) => {
    const value = Reflect.get(target, name, target);
    return typeof value === 'function' ? value.bind(target) : value;
  };
  const { services, behind } = world.another({ database: cut });
  const where = { projectId: world.projectId, container: 'box' };
  const text = 'k'.repeat(300_000);
  await assert.rejects(services.objects.put(world.caller, where, 'kept', bodyOf(text), { contentType: 'a/b' }));
  lost = false;
  const { uploadId } = await services.uploads.begin(world.caller, where, 'joined', { contentType: 'a/b' });
  lost = true;
  await assert.rejects(services.uploads.putPart(world.caller, where, 'joined', uploadId, 1, bodyOf(text)));
  await behind.intents.stop();
  await settle(world);
  assert.equal(await world.get('kept'), text);
  const { parts } = await services.uploads.listParts(world.caller, where, 'joined', uploadId);
  await world.area.services.uploads.complete(world.caller, where, 'joined', uploadId, parts);
  assert.equal(await world.get('joined'), text);
  await requireCountersExact(world);
});

test('an intent that was closed gets no further disk, and what is written after it is found closed is under another', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('here', 'x');
  await sql`update object_intent set state = 'closed'`.execute(world.db.database.query);
  world.disks.names = ['second'];
  await sql`update object_disk set state = 'draining' where name = 'default'`.execute(world.db.database.query);
  await world.area.behind.disks.look();
  await world.put('large', 'z'.repeat(300_000));
  await world.put('there', 'y');
  const { rows } = await sql`select from object_intent_disk d join object_intent i on i.id = d.intent_id
    where i.state = 'closed' and d.look_at = 'infinity'`.execute(world.db.database.query);
  assert.equal(rows.length, 0, 'each is looked at');
  assert.equal(await world.get('there'), 'y');
});

test('what can not be swept holds up nothing else: what is dead goes before anything is copied', async (t) => {
  const world = await objectWorld(t, options);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  for (const round of [0, 1, 2]) {
    for (const n of [0, 1, 2]) await world.put(`${round} ${n}`, 'x'.repeat(1000));
    await world.put(`${round} large`, 'y'.repeat(300_000));
    await world.area.behind.intents.stop();
  }
  for (const round of [0, 1, 2]) for (const n of [0, 1]) await objects.delete(world.caller, where, `${round} ${n}`);
  const { rows } = await sql<{ id: string }>`select distinct intent_id as id from object_blob`.execute(
    world.db.database.query,
  );
  assert.equal(rows.length, 3);
  for (const { id } of rows) {
    world.disks.files.set(`default/${id}/00000000-0000-4000-8000-000000000008`, Buffer.from('nobody'));
  }
  world.disks.before = (method, path) => {
    if (method === 'POST' && path === '/v1/objects/copies')
      throw Object.assign(new Error('full'), { status: 507, code: 'no_capacity' });
  };
  await settle(world);
  assert.equal(world.disks.blobs.filter((key) => key.endsWith('000000000008')).length, 0);
  world.disks.before = () => {};
  await settle(world);
  await settle(world);
  assert.equal(world.disks.blobs.length, 6);
});

test('an object in parts that was overwritten since it was found is not read as a shorter one', async (t) => {
  const world = await objectWorld(t, options);
  const { objects, uploads } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const { uploadId } = await uploads.begin(world.caller, where, 'joined', { contentType: 'a/b' });
  const part = await uploads.putPart(world.caller, where, 'joined', uploadId, 1, bodyOf('whole'));
  await uploads.complete(world.caller, where, 'joined', uploadId, [part]);
  const opened = await objects.open(world.caller, where, 'joined');
  await world.put('joined', 'another');
  await assert.rejects(opened.read(), (error) => hasReason(error, 'object_bytes_unavailable'));
});

test('in a database that was restored nothing is erased of what was being written under when the dump was made', async (t) => {
  const world = await objectWorld(t, options);
  const { database } = world.db;
  await sql`insert into cloud (id, region) values (${newOrderedId()}, 'here')`.execute(database.query);
  await world.put('known', 'x');
  const { rows } = await sql<{ id: string }>`select id from object_intent`.execute(database.query);
  const later = `default/${rows[0]!.id}/00000000-0000-4000-8000-000000000008`;
  world.disks.files.set(later, Buffer.from('acknowledged after the dump'));
  await renewIncarnation(database, (await currentIncarnation(database.query)).id, 'the database is a copy');
  await world.put('next', 'under another');
  await world.area.services.objects.delete(world.caller, { projectId: world.projectId, container: 'box' }, 'known');
  await settle(world);
  assert.ok(world.disks.files.has(later));
  assert.equal(await world.get('next'), 'under another');
});

test('in a database that was copied back what ran out meanwhile is left alone until a host has said so, and from then on', async (t) => {
  const world = await objectWorld(t, options);
  const { database } = world.db;
  await sql`insert into cloud (id, region) values (${newOrderedId()}, 'here')`.execute(database.query);
  await world.put('known', 'x');
  const { rows } = await sql<{
    id: string;
  }>`update object_intent set deadline = now() - interval '1 day' returning id`.execute(database.query);
  const later = `default/${rows[0]!.id}/00000000-0000-4000-8000-000000000008`;
  world.disks.files.set(later, Buffer.from('acknowledged after the copy'));
  await world.area.behind.janitor.look();
  await renewIncarnation(database, (await currentIncarnation(database.query)).id, 'the database went back');
  await settle(world);
  assert.ok(world.disks.files.has(later));
  assert.equal(await world.get('known'), 'x');
});

test('a look at disks that are as they were writes nothing', async (t) => {
  const world = await objectWorld(t, options);
  const { disks } = world.area.behind;
  const row = async () =>
    (await sql<object>`select xmin::text, xmax::text, ctid::text from object_disk`.execute(world.db.database.query))
      .rows;
  await disks.look();
  const before = await row();
  await disks.look();
  assert.deepEqual(await row(), before);
  world.disks.freeBytes = 2 ** 30;
  await disks.look();
  assert.notDeepEqual(await row(), before);
});

test('an object of which no copy is known is not read as an empty one', async (t) => {
  const world = await objectWorld(t, options);
  await world.put('lost', 'whole');
  await sql`delete from object_blob`.execute(world.db.database.query);
  await assert.rejects(world.get('lost'), (error) => hasReason(error, 'object_bytes_unavailable'));
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

test('what moves in one request is done in its time: large blobs go some at a time, and away from their other copies', async (t) => {
  const blobs = [...Array(5).fill(2 ** 28), 2 ** 32, 1, 1].map((length: number) => ({ length }));
  assert.deepEqual(
    portions(blobs).map((some) => some.length),
    [4, 1, 1, 2],
  );
  const world = await objectWorld(t, options);
  const { query } = world.db.database;
  const { disks } = world.area.behind;
  await registerHost(world.db.database, { id: newOrderedId<HostId>(), name: 'other' });
  await sql`update host set connected = true, facts = '{"url": "https://127.0.0.1:2"}' where name = 'other'`.execute(
    query,
  );
  await sql`insert into object_disk (id, host_id, name, total_bytes, free_bytes)
    select gen_random_uuid(), id, 'default', 1000000000000, 1000000000 from host where name = 'other'`.execute(query);
  await disks.look();
  for (let turn = 0; turn < 20; turn++) {
    const [chosen] = await disks.choose(1, 1000, new Set(), [world.hostId]);
    assert.notEqual(chosen!.host.id, world.hostId);
  }
});

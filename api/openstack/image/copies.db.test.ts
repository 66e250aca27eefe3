import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { registerHost } from '../../../control/host/index.ts';
import { cloudActor } from '../../../control/kit/database/database.ts';
import { FakeImageStore } from '../../../test/support/fake-image-store.ts';
import { until } from '../../../test/support/until.ts';
import { ImageApi } from './testing.ts';

let api: ImageApi;
const others: { id: HostId; store: FakeImageStore }[] = [];
const bytes = Buffer.from('bytes that shall not be lost');
const query = () => api.db.database.query;

async function addHost() {
  const id = newId<HostId>();
  const store = await FakeImageStore.start(await api.authority.issue(id, [id, '127.0.0.1']));
  await registerHost(api.db.database, { id, name: `other-${others.length}` });
  await sql`update host set connected = true, last_seen_at = now(), facts = ${JSON.stringify({ url: store.url })}
    where id = ${id}`.execute(query());
  others.push({ id, store });
  return { id, store };
}

before(async () => {
  api = await ImageApi.start({ copies: 2 });
});
afterEach(() => {
  for (const { store } of others) {
    store.refuse = undefined;
    store.hold = undefined;
  }
});
after(async () => {
  for (const { store } of others) await store[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const places = async (id: string): Promise<string[]> =>
  (
    await sql<{ id: string }>`select host_id as id from image_location where image_id = ${id}`.execute(query())
  ).rows.map((row) => row.id);
const copying = async () => (await sql`select from image_copy`.execute(query())).rows.length;

test('one host has what there is; a second that comes gets a copy, from which the image is read when the first is gone', async () => {
  const id = await api.create('alice', {}, bytes);
  await api.controller.tasks.image(id);
  assert.deepEqual(await places(id), [api.hostId]);
  const { id: second, store } = await addHost();
  await until('the copy', async () => (await places(id)).length === 2);
  assert.deepEqual(
    [(await places(id)).includes(second), store.images.get(id)?.bytes, await copying()],
    [true, bytes, 0],
  );
  api.store.images.delete(id);
  assert.deepEqual((await api.call(`alice GET /images/${id}/file`)).body, bytes);
});

test('there are as many copies as are wanted and no more, also where two look at once', async () => {
  await addHost();
  const id = await api.create('alice', {}, bytes);
  await Promise.all([api.controller.tasks.image(id), api.controller.tasks.image(id)]);
  await until('the copy', async () => (await places(id)).length === 2);
  await api.controller.tasks.image(id);
  assert.deepEqual([(await places(id)).length, await copying()], [2, 0]);
});

test('a copy that is not whole is none, and what came of it is removed', async () => {
  for (const { store } of others) store.refuse = { status: 507, code: 'no_capacity', message: 'full' };
  const id = await api.create('alice', {}, bytes);
  await until(
    'it to be given up',
    async () =>
      (await sql`select from image_copy where image_id = ${id} and deadline <= now()`.execute(query())).rows.length ===
      1,
  );
  assert.deepEqual(await places(id), [api.hostId]);
  for (const { store } of others) store.refuse = undefined;
  await until('the copy', async () => {
    await api.controller.tasks.image(id);
    return (await places(id)).length === 2;
  });
  assert.equal(await copying(), 0);
});

test('a copy whose control process died is removed and made again', async () => {
  const id = await api.create('alice', {}, bytes);
  await until('the copy', async () => (await places(id)).length === 2);
  const [other] = others as [(typeof others)[0]];
  await sql`delete from image_location where image_id = ${id} and host_id <> ${api.hostId}`.execute(query());
  for (const { store } of others) store.images.delete(id);
  other.store.images.set(id, { bytes: Buffer.from('half'), format: 'raw' });
  // In a transaction, which is run again after a deadlock: the controller may look at the image just now, and have begun a copy.
  await api.db.database.transaction(cloudActor, (tx) =>
    sql`insert into image_copy (image_id, host_id, copy_id, deadline)
      values (${id}, ${other.id}, ${newId()}, now() - interval '1 second')
      on conflict (image_id, host_id) do update set copy_id = excluded.copy_id, deadline = excluded.deadline`.execute(
      tx,
    ),
  );
  await api.controller.tasks.image(id);
  await until('the copy', async () => (await places(id)).length === 2);
  const copies = others.flatMap(({ store }) => store.images.get(id)?.bytes ?? []);
  assert.deepEqual(copies, [bytes]);
});

test('a copy whose lease has run out is no place of the image, though its bytes came: somebody may be removing them', async () => {
  const first = Promise.withResolvers<void>();
  const later = Promise.withResolvers<void>();
  let attempts = 0;
  for (const { store } of others) store.hold = () => (attempts++ === 0 ? first.promise : later.promise);
  const id = await api.create('alice', {}, bytes);
  const expire = async () =>
    (
      await sql<{ copy_id: string }>`update image_copy set deadline = now() - interval '1 second'
        where image_id = ${id} returning copy_id`.execute(query())
    ).rows[0]?.copy_id;
  let expired: string | undefined;
  await until('it to be on its way', async () => {
    if (attempts === 1) expired = await expire();
    return expired !== undefined;
  });
  first.resolve();
  // The controller has given it up: it waits to try again, or does so already.
  const ended = async () =>
    (
      await sql`select from graphile_worker._private_jobs where key = ${`image:${id}`} and run_at > now() + interval '1 second'
        union all select from image_copy where image_id = ${id} and copy_id <> ${expired}`.execute(query())
    ).rows.length > 0 || (await places(id)).length === 2;
  await until('its end', ended);
  assert.deepEqual(await places(id), [api.hostId]);
  later.resolve();
  await until('another', async () => {
    await api.controller.tasks.image(id);
    return (await places(id)).length === 2;
  });
  assert.ok(others.some(({ id: other, store }) => store.images.has(id) && other !== api.hostId));
});

test('a host that died with half of a copy does not keep another from having one', async () => {
  const id = await api.create('alice', {}, bytes);
  await until('the copy', async () => (await places(id)).length === 2);
  const dead = await addHost();
  await sql`update host set connected = false, last_seen_at = now() - interval '1 day' where id = ${dead.id}`.execute(
    query(),
  );
  await sql`delete from image_location where image_id = ${id} and host_id <> ${api.hostId}`.execute(query());
  await sql`insert into image_copy (image_id, host_id, copy_id, deadline)
    values (${id}, ${dead.id}, ${newId()}, now() - interval '1 second')`.execute(query());
  await api.controller.tasks.image(id);
  await until('the copy', async () => (await places(id)).length === 2);
  assert.ok(!(await places(id)).includes(dead.id));
  await sql`delete from image_copy where host_id = ${dead.id}`.execute(query());
});

test('a deleted image is deleted on all hosts, also where a copy is on its way', async () => {
  const id = await api.create('alice', {}, bytes);
  await until('the copy', async () => (await places(id)).length === 2);
  assert.equal((await api.call(`alice DELETE /images/${id}`)).status, 204);
  await until(
    'the row to go',
    async () => (await sql`select from image where id = ${id}`.execute(query())).rows.length === 0,
  );
  assert.ok([api.store, ...others.map(({ store }) => store)].every((store) => !store.images.has(id)));
});

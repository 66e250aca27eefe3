/** What is remembered of hosts is, at each read, what is there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RawBuilder, sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, untilFinal } from '../../kit/database/testing.ts';
import { type ServerCloud, serverCloud } from '../server/testing.ts';
import { HostPicture } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const hostsBy = (picture: HostPicture) =>
  db.database.transaction(cloudActor, async (tx) => {
    const hosts = await picture.read(tx, { awayMs: 10_000 });
    return hosts.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  });
const run = (statement: RawBuilder<unknown>) => statement.execute(db.database.query);

async function servers(host: HostId | null, count: number): Promise<void> {
  await run(sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib,
      reservation_id, host_id, observed_generation, observed_state)
    select gen_random_uuid(), ${cloud.projectId}, ${newId()}, n::text, 'x', ${newId()}, '{}', 1, 1, 1, 'r', ${host}, 1, 'running'
    from generate_series(1, ${count}::int) n`);
}

test('after whatever happened to hosts and what they carry, a remembered picture is a new one', async () => {
  const [one, two, three] = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost({ connected: false })];
  const picture = new HostPicture();
  assert.deepEqual(await hostsBy(picture), await hostsBy(new HostPicture()));
  const changes: (() => Promise<unknown>)[] = [
    () => servers(one, 3),
    () => run(sql`update server set host_id = ${two} where host_id = ${one}`),
    () => run(sql`update server set memory_mib = 77 where host_id = ${two}`),
    () => run(sql`delete from server where host_id = ${two}`),
    () => run(sql`update host set enabled = false where id = ${one}`),
    () => run(sql`update host set forced_down = true where id = ${one}`),
    () => run(sql`update host set vcpus = 5, memory_mib = 6, disk_gib = 7, availability_zone = 'x' where id = ${one}`),
    () => run(sql`update host set last_seen_at = now() where id = ${three}`),
    () => run(sql`update host set connected = true, last_seen_at = now() where id = ${three}`),
    () => run(sql`update host set last_seen_at = now() - interval '1 hour', connected = false where id = ${three}`),
    () => cloud.addHost(),
    () => run(sql`delete from host where id = ${three}`),
    // As many as before, and not the same.
    () =>
      db.database.transaction(cloudActor, async (tx) => {
        await sql`delete from server where host_id = ${two}`.execute(tx);
        await sql`delete from host where id = ${two}`.execute(tx);
        await sql`insert into host (id, name, connected) values (${newId()}, 'in its place', true)`.execute(tx);
      }),
  ];
  for (const [index, change] of changes.entries()) {
    await change();
    assert.deepEqual(await hostsBy(picture), await hostsBy(new HostPicture()), `change ${index}`);
  }
});

test('what was not final when others were read comes with a later read, whichever ended first', async () => {
  const [slow, quick] = [await cloud.addHost(), await cloud.addHost()];
  const picture = new HostPicture();
  const written = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const transaction = db.database.transaction(cloudActor, async (tx) => {
    await sql`update host set vcpus = 99 where id = ${slow}`.execute(tx);
    written.resolve();
    await end.promise;
  });
  await written.promise;
  await run(sql`update host set vcpus = 98 where id = ${quick}`);
  const vcpus = async (id: HostId) => (await hostsBy(picture)).find((host) => host.id === id)?.vcpus;
  assert.deepEqual([await vcpus(slow), await vcpus(quick)], [16, 98]);
  await run(sql`update host set vcpus = 97 where id = ${quick}`);
  assert.deepEqual([await vcpus(slow), await vcpus(quick)], [16, 97]);
  end.resolve();
  await transaction;
  assert.deepEqual([await vcpus(slow), await vcpus(quick)], [99, 97]);
});

test('of a thousand hosts only those that changed are read', async () => {
  await run(
    sql`insert into host (id, name, connected) select gen_random_uuid(), 'many ' || n, true from generate_series(1, 1000) n`,
  );
  await untilFinal(db.database.query);
  const picture = new HostPicture();
  await hostsBy(picture);
  const host = await cloud.addHost();
  const answers: unknown[] = [];
  await db.database.transaction(cloudActor, async (tx) => {
    const hosts = await picture.read(
      tx.withPlugin({
        transformQuery: ({ node }) => node,
        transformResult: async ({ result }) => {
          answers.push(...result.rows.map((row) => (row.changed as unknown[]).length));
          return result;
        },
      }) as typeof tx,
      { awayMs: 1000 },
    );
    assert.ok(hosts.some(({ id }) => id === host) && hosts.length > 1000);
  });
  assert.deepEqual(answers, [1]);
  // A heartbeat is nothing to placement.
  await run(sql`update host set last_seen_at = now() where connected`);
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from host
    where changed_in >= (select max(changed_in) from host where id = ${host})`.execute(db.database.query);
  assert.equal(rows[0]!.n, 1);
});

/** What the server's timers and lists ask of PostgreSQL reads what they answer, not what the cloud holds. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { Database } from '../../kit/database/database.ts';
import { explainedDatabase } from '../../kit/database/test-plans.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { ServerController } from './controller.ts';
import { listServers } from './list.ts';
import { showServer } from './show.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let explained: ReturnType<typeof explainedDatabase>;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  const other = await testProject(db.database);
  const host = await cloud.addHost();
  const many = (project: string, count: number) => sql`
    insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib,
      reservation_id, host_id, observed_generation, observed_state, updated_at)
    select gen_random_uuid(), ${project}, ${newId()}, n::text, 'x', ${newId()}, '{}', 1, 1, 1, 'r', ${host}, 1, 'running',
      now() - interval '1 day' from generate_series(1, ${sql.lit(count)}) n`;
  const query = db.database.query;
  await many(other, 500).execute(query);
  await sql`delete from server`.execute(query);
  await many(other, 4000).execute(query);
  await many(cloud.projectId, 3).execute(query);
  await sql`delete from server where id = (select id from server where project_id = ${cloud.projectId} limit 1)`.execute(
    query,
  );
  await sql`update server set updated_at = now() where project_id = ${cloud.projectId}`.execute(query);
  await sql`insert into operation (id, resource_type, resource_id, verb, generation, owner, deadline, state, finished_at)
    select gen_random_uuid(), 'server', id, 'create', 1, 'control', now(), 'succeeded', now() from server`.execute(
    query,
  );
  await sql`insert into operation (id, resource_type, resource_id, verb, generation, owner, deadline)
    select gen_random_uuid(), 'server', id, 'start', 1, 'control', now() - interval '1 minute' from server
    where project_id = ${cloud.projectId}`.execute(query);
  await sql`analyze`.execute(query);
  explained = explainedDatabase(db.url);
});
after(async () => {
  await explained.database.close();
  await db[Symbol.asyncDispose]();
});

const wasted = () => assert.deepEqual(explained.waste(100), []);

test('the sweep reads the servers that need a look, and finds each of them', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
  const deps = { database: explained.database, ports: cloud.ports, log: silentLog };
  await new ServerController(deps).sweep();
  const { rows } = await sql<{ key: string }>`select key from graphile_worker.jobs`.execute(db.database.query);
  assert.equal(rows.length, 3, 'two that are late, and one without a host');
  assert.ok(rows.some(({ key }) => key === `server:${ids[0]}`));
  wasted();
});

const hour = () => new Date(Date.now() - 3600_000);
for (const [what, list] of [
  ['changes-since of a project', { reach: 'project', filter: { which: 'both', changesSince: hour() }, least: 3 }],
  ['changes-since of the cloud', { reach: 'all', filter: { which: 'present', changesSince: hour() }, least: 2 }],
  ['the deleted servers of a project', { reach: 'project', filter: { which: 'deleted' }, least: 1 }],
  ['a page of the cloud', { reach: 'all', filter: { limit: 50 }, least: 50 }],
  ['a page of a project', { reach: 'project', filter: { limit: 50 }, least: 2 }],
] as const) {
  test(`a list reads what it answers: ${what}`, async () => {
    const reach = list.reach === 'all' ? 'all' : { projectId: cloud.projectId };
    // Named statements have plans for any value as well: the later runs show those.
    for (let n = 0; n < 8; n++) {
      const servers = await listServers(explained.database.query, reach, list.filter);
      assert.ok(servers.length >= list.least, `${servers.length}`);
    }
    wasted();
  });
}

test('a page of a long list is planned once, not at each call', async () => {
  await using stack = new AsyncDisposableStack();
  const database = new Database({ url: db.url, maxConnections: 1 });
  stack.defer(() => database.close());
  for (const limit of [50, 40, 50, 64, 50, 50, 50, 50, 50, 50]) await listServers(database.query, 'all', { limit });
  const { rows } = await sql<{ custom: number; generic: number }>`
    select custom_plans as custom, generic_plans as generic from pg_prepared_statements where statement like '%host_zone%'`.execute(
    database.query,
  );
  // The first call has no name, and PostgreSQL tries five plans for the very values.
  assert.deepEqual(rows, [{ custom: 5, generic: 4 }]);
});

test('a server is shown with its interfaces by one statement that reads no more than them', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  const reach = { projectId: cloud.projectId };
  for (let n = 0; n < 8; n++) {
    const shown = await showServer(explained.database.query, reach, ids[0]!, { userData: true });
    assert.equal(shown?.interfaces.length, 1);
  }
  wasted();
  const other = { projectId: newId() };
  assert.equal(await showServer(explained.database.query, other, ids[0]!, { userData: false }), undefined);
});

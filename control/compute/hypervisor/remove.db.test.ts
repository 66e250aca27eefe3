import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, newOrderedId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { testDatabase, testProject } from '../../kit/database/testing.ts';
import { Intents } from '../../object/intents.ts';
import { silentLog } from '../server/testing.ts';
import { HypervisorService } from './index.ts';
import { removeHost } from './remove.ts';

test('of two hosts that leave at once with the last copies of an image one stays', async () => {
  await using db = await testDatabase();
  const { query } = db.database;
  const hypervisors = new HypervisorService({ database: db.database });
  const projectId = await testProject(db.database);
  const imageId = newId();
  const [first, second] = [newOrderedId<HostId>(), newOrderedId<HostId>()];
  await sql`insert into host (id, name) values (${first}, 'first'), (${second}, 'second')`.execute(query);
  await sql`insert into image (id, project_id, name, status, disk_format, size_bytes) values (${imageId}, ${projectId}, 'i', 'active', 'qcow2', 10)`.execute(
    query,
  );
  await sql`insert into image_location (image_id, host_id) values (${imageId}, ${first}), (${imageId}, ${second})`.execute(
    query,
  );
  let over = false;
  let other: Promise<unknown> | undefined;
  await db.database.transaction(cloudActor, async (tx) => {
    await removeHost(tx, first, { byItself: true });
    other ??= hypervisors
      .leave(second)
      .catch((error: unknown) => error)
      .finally(() => {
        over = true;
      });
    const waits = async () => {
      const { rows } = await sql`select from pg_locks where not granted and locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`.execute(tx);
      return rows.length > 0;
    };
    await until('the other to wait, or to be through', async () => over || (await waits()));
  });
  const refusal = (await other) as { reason?: string } | undefined;
  assert.equal(refusal?.reason, 'host_keeps_image');
  const { rows } = await sql`select host_id from image_location`.execute(query);
  assert.deepEqual(rows, [{ host_id: second }]);
});

test('a host leaves with the disks that objects could lie on, and whoever was about to write to them is told to begin anew', async () => {
  await using db = await testDatabase();
  const { query } = db.database;
  const hypervisors = new HypervisorService({ database: db.database });
  const hostId = newOrderedId<HostId>();
  const [disk, intent] = [newId(), newId()];
  await sql`insert into host (id, name) values (${hostId}, 'second')`.execute(query);
  await sql`insert into object_disk (id, host_id, name) values (${disk}, ${hostId}, 'local')`.execute(query);
  await sql`insert into object_intent (id, holder, deadline) values (${intent}, 'control', now() + interval '1 hour')`.execute(
    query,
  );
  await sql`insert into object_intent_disk (intent_id, disk_id, look_at) values (${intent}, ${disk}, 'infinity')`.execute(
    query,
  );
  await sql`insert into object_blob (id, disk_id, intent_id, file, offset_bytes, length)
    values (${newId()}, ${disk}, ${intent}, 'f', 0, 10)`.execute(query);
  const state = async () =>
    (await sql<{ state: string }>`select state from object_intent`.execute(query)).rows[0]!.state;
  await assert.rejects(hypervisors.leave(hostId), { code: 'conflict', reason: 'host_keeps_objects' });
  assert.equal(await state(), 'open', 'a host that stays keeps what is written to it');
  await sql`delete from object_blob`.execute(query);
  await hypervisors.leave(hostId);
  assert.equal(await state(), 'closed');
  assert.deepEqual((await sql`select from host where id = ${hostId}`.execute(query)).rows, []);
  const intents = new Intents({ database: db.database, log: silentLog, holder: 'control' });
  const late = intents.hold([disk]);
  await assert.rejects(
    late,
    { code: 'unavailable', reason: 'object_intent_closed' },
    'who chose the disk before is told',
  );
  await intents.stop();
});

test('whatever refers to a host either keeps it or goes with it, by a decision of its own', async () => {
  await using db = await testDatabase();
  const { rows } = await sql<{ name: string }>`select conrelid::regclass::text as name from pg_constraint
    where contype = 'f' and confrelid = 'host'::regclass and confdeltype = 'a' order by 1`.execute(db.database.query);
  // With a table that is new here no host leaves, until remove.ts asks for it or removes what it has.
  const keep = ['port', 'server', 'volume', 'volume_layer'];
  const go = ['image_copy', 'image_location', 'object_disk'];
  // An export is of a volume that is here; into the other nobody has ever written.
  const never = ['volume_export', 'volume_ownership'];
  assert.deepEqual(
    rows.map(({ name }) => name),
    [...keep, ...go, ...never].sort(),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, newOrderedId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { testDatabase, testProject } from '../../kit/database/testing.ts';
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

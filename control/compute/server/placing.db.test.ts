import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from '../../kit/database/testing.ts';
import { serverCloud } from './testing.ts';

test('a server that several jobs look at in one moment is placed once, with its ports where it is', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  for (const name of ['one', 'other']) await cloud.addHost({ name });
  const flavor = await cloud.addFlavor();
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, minCount: 4, maxCount: 4 }));
  // The first goes alone; all others wait for it and are decided together.
  await Promise.all([...ids, ...ids, ...ids, ...ids].map((id) => cloud.controller.reconcile(id)));
  const { rows } = await sql<{ host_id: string; port_host: string; epoch: number; decisions: number }>`
    select s.host_id, p.host_id as port_host, s.epoch, (select count(*) from decision d where d.resource_id = s.id) as decisions
    from server s join server_port sp on sp.server_id = s.id join port p on p.id = sp.port_id
    where s.id = any(${ids}::uuid[])`.execute(db.database.query);
  assert.equal(rows.length, 4);
  for (const { host_id, port_host, epoch, decisions } of rows) {
    assert.deepEqual([port_host, epoch, decisions], [host_id, 1, 1]);
  }
});

/** The clouds that the scale bench fills in are like those that the API and hosts make. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { setEvacuationPolicy } from '../../control/compute/server/evacuation-policy.ts';
import { serverCloud } from '../../control/compute/server/testing.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { fill, rackOf } from './scale-fill.ts';

test('a server that is filled in has what one has that was asked for, runs and shall be restarted elsewhere', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const host = await cloud.addHost({ vcpus: 160 });
  const flavor = await cloud.addFlavor();
  await fill(db.url.reveal(), [{ id: host }], { hosts: 1, servers: 60 });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, automatic: null }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await setEvacuationPolicy(db.database, cloud.member, id, { restart: 'elsewhere', disk: 'from_image' });
  await cloud.obey(host);
  for (const [table, made, filled] of [
    ['server', sql`id = ${id}`, sql`id <> ${id}`],
    ['port', sql`host_id = ${host} and device_id = ${id}`, sql`host_id = ${host} and device_id <> ${id}`],
  ] as const) {
    const { rows } = await sql<{ made: object; filled: object }>`select
      (select to_jsonb(t) from ${sql.table(table)} t where ${made} limit 1) as made,
      (select to_jsonb(t) from ${sql.table(table)} t where ${filled} order by id limit 1) as filled`.execute(
      db.database.query,
    );
    const [real, like] = [rows[0]!.made, rows[0]!.filled].map((row) => new Map(Object.entries(row)));
    const differ = [...real!].filter(([key, value]) => (value === null) !== (like!.get(key) === null));
    assert.deepEqual(
      differ.map(([key]) => key),
      [],
      table,
    );
  }
  const desired = await cloud.side.desiredServers(db.database.query, { hostId: host });
  assert.ok(
    desired.length > 50 && desired.every(({ ports, onLeaseEnd }) => ports.length <= 1 && onLeaseEnd === 'pause'),
  );
});

test('a rack is a twenty-fifth of the hosts, and of one host there is none', () => {
  assert.deepEqual([1, 10, 100, 1000].map(rackOf), [0, 1, 4, 40]);
});

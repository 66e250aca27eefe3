/** What a guest posts as its password goes by its host's report, and never comes back once it was cleared. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from '../../kit/database/testing.ts';
import { serverCloud } from './testing.ts';

test('the first password that a guest posts is kept, told to its host, and gone for good when it was cleared', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const host = await cloud.addHost({ name: 'a' });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await sql`update server set host_id = ${host} where id = ${id}`.execute(db.database.query);
  const known = async () => (await cloud.service.get(cloud.member, id)).guest_password;
  const told = async () => (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0]!.guestPassword;
  const post = (cleared: number, text: string) => cloud.report(host, id, { guestPassword: { cleared, text } });
  assert.deepEqual([await known(), await told()], [null, undefined]);
  await post(0, 'sealed 小屋');
  await post(0, 'another');
  await cloud.report(host, id);
  assert.equal(await known(), 'sealed 小屋', 'also when a report says nothing of it');
  assert.deepEqual(await told(), { cleared: 0, text: 'sealed 小屋' });
  await cloud.service.clearGuestPassword(cloud.member, id);
  await post(0, 'sealed 小屋');
  assert.equal(await known(), null, 'a late report of what was cleared');
  assert.deepEqual(await told(), { cleared: 1, text: null });
  await post(1, 'the second');
  assert.equal(await known(), 'the second');
});

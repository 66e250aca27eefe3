/** What hosts say that they keep, over real rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { absentServer, type DesiredServer } from '../../contract/host/index.ts';
import { type HostId, newOrderedId, type ServerId } from '../../contract/ids.ts';
import { testDatabase } from '../kit/database/testing.ts';
import { countQuarantine, describeQuarantine, recordQuarantine } from './quarantine.ts';
import { registerHost } from './register.ts';

test('a host keeps no more of documents than it can have been told, however many messages it says them in', async () => {
  await using db = await testDatabase();
  const hostId = newOrderedId<HostId>();
  await registerHost(db.database, { id: hostId, name: 'liar' });
  const all = Array.from({ length: 10 }, () => newOrderedId<ServerId>());
  const documentOf = (id: ServerId): DesiredServer => ({
    ...absentServer({ id, epoch: 1, generation: 1 }),
    name: `of ${id}`,
    userData: 'A'.repeat(60_000),
  });
  const tell = (said: readonly ServerId[], ids = all) =>
    recordQuarantine(
      db.database,
      hostId,
      {
        ...{ type: 'quarantine', ids, images: [] },
        servers: said.map((id) => ({
          ...{ id, reason: 'missing', since: '2026-01-01T00:00:00Z', guest: false, document: documentOf(id) },
        })),
      },
      5 * 61_000,
    );
  const kept = async () => (await describeQuarantine(db.database.query)).servers.map(({ name }) => name);
  for (const id of all.slice(0, 4)) await tell([id]);
  await tell(all.slice(0, 4));
  await assert.rejects(tell(all.slice(4)), /of documents/);
  assert.deepEqual(
    await kept(),
    all.slice(0, 4).map((id) => `of ${id}`),
  );
  assert.deepEqual(await countQuarantine(db.database.query), { servers: 4, volumes: 0, images: 0 });
  // What it keeps no more makes room.
  await tell(all.slice(4, 8), all.slice(4));
  assert.equal((await kept()).length, 4);
  const { rows } = await sql`select from quarantined_server where host_id = ${hostId}`.execute(db.database.query);
  assert.equal(rows.length, 4);
});

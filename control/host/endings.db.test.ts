/** The ends of streams, over real rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { type HostId, newId, newOrderedId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { testDatabase } from '../kit/database/testing.ts';
import { Endings } from './endings.ts';
import { registerHost } from './register.ts';

test('that a host left in order is on record once the database is there again; that another one is away the sweep finds', async () => {
  await using db = await testDatabase();
  const run = (text: ReturnType<typeof sql>) => text.execute(db.database.query);
  const ids = [newOrderedId<HostId>(), newOrderedId<HostId>()] as const;
  const connections = [newId(), newId()] as const;
  for (const [n, id] of ids.entries()) {
    await registerHost(db.database, { id, name: `host ${n}` });
    await run(sql`update host set connected = true, connection_id = ${connections[n]!} where id = ${id}`);
  }
  let failed = 0;
  const log = pino({ level: 'silent' });
  log.warn = () => void failed++;
  const endings = new Endings({ database: db.database, log, againMs: 5 });
  await run(sql`alter table host rename to host_that_is_away`);
  endings.add({ connectionId: connections[0], left: true });
  endings.add({ connectionId: connections[1], left: false });
  await until('it to have failed', () => failed > 0);
  await run(sql`alter table host_that_is_away rename to host`);
  const rows = () =>
    sql<{ connected: boolean; left: boolean }>`select connected, left_at is not null as left from host order by name`
      .execute(db.database.query)
      .then((found) => found.rows);
  await until('the word to be on record', async () => (await rows())[0]!.left);
  await endings.stop();
  assert.deepEqual(await rows(), [
    { connected: false, left: true },
    { connected: true, left: false },
  ]);
});

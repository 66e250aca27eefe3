/** Objects whose time is over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Commits } from './commit.ts';
import { expireObjects } from './expire.ts';
import { objectWorld } from './testing.ts';

test('an object that a lock keeps over its time keeps no other', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  for (const name of ['kept', 'goes']) await world.put(name, 'x');
  await containers.update(world.caller, where, { versioning: 'enabled' });
  const lock = { mode: 'COMPLIANCE' as const, retainUntil: new Date(Date.now() + 3_600_000).toISOString() };
  await objects.update(world.caller, where, 'kept', { lock });
  await containers.update(world.caller, where, { versioning: 'suspended' });
  await sql`update object set expires_at = now() - case name when 'kept' then interval '2 hours' else interval '1 hour' end`.execute(
    world.db.database.query,
  );
  const commits = new Commits({ database: world.db.database });
  assert.equal(await expireObjects({ database: world.db.database, commits }, 1), 1);
  assert.equal(await expireObjects({ database: world.db.database, commits }, 1), 0);
  const { entries } = await objects.listVersions(world.caller, where, {});
  assert.deepEqual(
    entries.map((entry) => 'name' in entry && [entry.name, entry.deleteMarker]),
    [
      ['goes', true],
      ['kept', false],
    ],
  );
});

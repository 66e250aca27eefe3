/** The index over a real host's disks. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { sql } from 'kysely';
import { collect } from '../../test/support/collect.ts';
import { hostWorld } from '../../test/support/host-world.ts';
import { bodyOf, objectWorld, requireCountersExact } from './testing.ts';

test('objects of all sizes come back from a host’s disk as they were, and when they go nothing is left there', async (t) => {
  const host = await hostWorld(t);
  await host.host().start();
  const world = await objectWorld(t, {
    ...{ client: host.client, janitor: { graceMs: 0 }, intents: { leaseMs: 60_000, useMs: 0 } },
    ...{ host: host.hostId },
  });
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const sizes = [0, 1, 4096, 262_144, 262_145, 3_000_000];
  const bodies = sizes.map((size) => randomBytes(size));
  await Promise.all(
    bodies.map((bytes) =>
      objects.put(world.caller, where, `o${bytes.length}`, bodyOf(Buffer.from(bytes)), { contentType: 'a/b' }),
    ),
  );
  for (const bytes of bodies) {
    const opened = await objects.open(world.caller, where, `o${bytes.length}`);
    assert.ok((await collect(await opened.read())).equals(bytes), `${bytes.length}`);
    if (bytes.length < 10) continue;
    const range = await collect(await opened.read({ first: 3, last: bytes.length - 2 }));
    assert.ok(range.equals(bytes.subarray(3, -1)), `a range of ${bytes.length}`);
  }
  await requireCountersExact(world);
  const files = () =>
    readdirSync(host.directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.includes('intents/'));
  assert.ok(files().length > 0);
  for (const size of sizes) await objects.delete(world.caller, where, `o${size}`);
  await world.area.behind.intents.stop();
  for (let look = 0; look < 4; look++) {
    await sql`update object_intent_disk set look_at = now()`.execute(world.db.database.query);
    await world.area.behind.janitor.look();
  }
  assert.deepEqual(files(), []);
});

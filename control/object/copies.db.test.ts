import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { objectWorld } from './testing.ts';

const large = 'v'.repeat(300_000);

async function twoDisks(t: Parameters<typeof objectWorld>[0]) {
  const world = await objectWorld(t, { copies: 2, janitor: { graceMs: 0 } });
  world.disks.names = ['default', 'second'];
  await world.area.behind.disks.look();
  await world.put('small', 'both have it');
  await world.put('large', large);
  return world;
}

test('each object lies on as many disks as is wished, and one that loses its copy is read from the other', async (t) => {
  const world = await twoDisks(t);
  const { rows } = await sql<{ n: number }>`select count(*) as n from object_blob group by id`.execute(
    world.db.database.query,
  );
  assert.deepEqual(rows, [{ n: 2 }, { n: 2 }]);
  for (const lost of ['default', 'second']) {
    const kept = [new Map(world.disks.files), new Map(world.disks.packs)] as const;
    for (const all of [world.disks.files, world.disks.packs])
      for (const key of [...all.keys()]) if (key.startsWith(`${lost}/`)) all.delete(key);
    assert.equal(await world.get('small'), 'both have it');
    assert.equal(await world.get('large'), large);
    for (const [key, bytes] of kept[0]) world.disks.files.set(key, bytes);
    for (const [key, pack] of kept[1]) world.disks.packs.set(key, pack);
  }
});

test('where there are fewer disks than copies nothing is taken', async (t) => {
  const world = await objectWorld(t, { copies: 2 });
  await assert.rejects(world.put('a', 'x'), (error) => hasReason(error, 'object_disks_too_few'));
  assert.deepEqual(world.disks.blobs, []);
});

test('copies that a host finds to be false are written anew from the others', async (t) => {
  const world = await twoDisks(t);
  for (const all of [world.disks.files, world.disks.packs]) {
    for (const key of [...all.keys()].filter((each) => each.startsWith('second/'))) {
      all.delete(key);
      const [disk, intent, file] = key.split('/') as [string, string, string];
      world.disks.faults.push({ disk, intent, file, kind: 'missing', offset: 0, length: 0 });
    }
  }
  await world.area.behind.disks.look();
  await world.area.behind.janitor.look();
  assert.deepEqual(world.disks.faults, []);
  const at = [...world.disks.files.keys(), ...world.disks.packs.keys()].map((key) => key.split('/')[0]).sort();
  assert.deepEqual(at, ['default', 'default', 'second', 'second']);
  for (const all of [world.disks.files, world.disks.packs])
    for (const key of [...all.keys()]) if (key.startsWith('default/')) all.delete(key);
  assert.equal(await world.get('small'), 'both have it');
  assert.equal(await world.get('large'), large);
});

test('of a copy that was written anew the false bytes do not stay', async (t) => {
  const world = await twoDisks(t);
  await world.area.behind.intents.stop();
  const [key] = [...world.disks.files.keys()].filter((each) => each.startsWith('second/'));
  const [disk, intent, file] = key!.split('/') as [string, string, string];
  world.disks.faults.push({ disk, intent, file, kind: 'corrupt', offset: 0, length: 10 });
  await world.area.behind.disks.look();
  await world.area.behind.janitor.look();
  const { rows } = await sql<{ soon: boolean }>`select look_at <= now() + interval '1 minute' as soon
    from object_intent_disk d join object_disk disk on disk.id = d.disk_id
    where intent_id = ${intent} and disk.name = 'second'`.execute(world.db.database.query);
  assert.deepEqual(rows, [{ soon: true }]);
});

test('a disk that can not be repaired now keeps no other from it', async (t) => {
  const world = await twoDisks(t);
  await world.area.behind.intents.stop();
  for (const disk of ['default', 'second']) {
    const key = [...world.disks.files.keys()].find((each) => each.startsWith(`${disk}/`))!;
    const [, intent, file] = key.split('/') as [string, string, string];
    world.disks.faults.push({ disk, intent, file, kind: 'corrupt', offset: 0, length: 10 });
  }
  await world.area.behind.disks.look();
  let copies = 0;
  world.disks.before = (method, path) => {
    if (method === 'POST' && path === '/v1/objects/copies' && copies++ === 0)
      throw Object.assign(new Error('full'), { status: 507, code: 'no_capacity' });
  };
  await world.area.behind.janitor.look();
  assert.equal(copies, 2);
  assert.equal(world.disks.faults.length, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { bodyOf, objectWorld, requireCountersExact } from './testing.ts';

test('many put, overwrite and delete the same names and others through two processes: what counters say is what there is', async (t) => {
  const world = await objectWorld(t);
  const areas = [world.area, world.another()];
  const where = { projectId: world.projectId, container: 'box' };
  const work = Array.from({ length: 50 }, async (_, n) => {
    const { objects } = areas[n % 2]!.services;
    for (let turn = 0; turn < 8; turn++) {
      const name = turn % 2 === 0 ? `same ${n % 3}` : `own ${n}`;
      if ((n + turn) % 4 === 3) {
        await objects.delete(world.caller, where, name).catch((error) => {
          if (!hasReason(error, 'object_not_found')) throw error;
        });
      } else await objects.put(world.caller, where, name, bodyOf('x'.repeat(n + turn)), { contentType: 'a/b' });
    }
  });
  await Promise.all(work);
  await requireCountersExact(world);
  const { rows } = await sql<{ lost: number; both: number }>`select
      (select count(*) from object o where blob_id is not null and not exists (select from object_blob b where b.id = o.blob_id)) as lost,
      (select count(*) from object o join object_removal r on r.blob_id = o.blob_id) as both`.execute(
    world.db.database.query,
  );
  assert.deepEqual(rows, [{ lost: 0, both: 0 }]);
});

test('of many who make what must not be there yet, or change what must be as it was, one does', async (t) => {
  const world = await objectWorld(t);
  const areas = [world.area, world.another()];
  const where = { projectId: world.projectId, container: 'box' };
  // Of other bytes in each race: who writes what is there leaves it with the same tag, and another's condition holds again.
  const race = async (by: string, wish: { ifNoneMatch?: string; ifMatch?: string }) => {
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        areas[n % 2]!.services.objects.put(world.caller, where, 'once', bodyOf(`${by} ${n}`), {
          contentType: 'a/b',
          ...wish,
        }),
      ),
    );
    const won = tries.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
    for (const each of tries) {
      if (each.status === 'rejected')
        assert.ok(hasReason(each.reason, 'object_precondition_failed'), String(each.reason));
    }
    assert.equal(won.length, 1);
    return won[0]!.etag;
  };
  const etag = await race('made by', { ifNoneMatch: '*' });
  await race('changed by', { ifMatch: etag });
  await requireCountersExact(world);
});

test('quota is judged with what is written: of many that fit one by one no more are let in than fit together', async (t) => {
  const world = await objectWorld(t);
  const where = { projectId: world.projectId, container: 'box' };
  const { containers, objects } = world.area.services;
  await containers.update(world.caller, where, { quotaBytes: 100, quotaObjects: 7 });
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) =>
      objects.put(world.caller, where, `o${n}`, bodyOf('x'.repeat(15)), { contentType: 'a/b' }),
    ),
  );
  const refused = tries.filter((each) => each.status === 'rejected');
  assert.ok(refused.every(({ reason }) => hasReason(reason, 'object_quota_exceeded')));
  assert.equal(tries.length - refused.length, 6);
  await requireCountersExact(world);
  // What takes less than what it replaces always goes.
  const { object } = await objects
    .list(world.caller, where, {})
    .then(({ entries }) => ({ object: entries[0] as { name: string } }));
  await objects.put(world.caller, where, object.name, bodyOf('less'), { contentType: 'a/b' });
  await requireCountersExact(world);
});

test('one name in the whole cloud is claimed by two projects at once: one has it, both have a container', async (t) => {
  const world = await objectWorld(t);
  const projects = await Promise.all([world.project(), world.project()]);
  const { containers } = world.area.services;
  const made = await Promise.all(
    projects.map(({ caller, projectId }) => containers.create(caller, { projectId, container: 'my-bucket' })),
  );
  assert.equal(made.filter(({ container }) => container.bucketName === 'my-bucket').length, 1);
  for (const { caller, projectId } of projects) {
    assert.deepEqual(await containers.resolveBucket(caller, 'my-bucket'), { projectId, container: 'my-bucket' });
  }
  const strict = await world.project();
  await assert.rejects(
    containers.create(strict.caller, { projectId: strict.projectId, container: 'my-bucket' }, {}, { bucket: true }),
    (error) => hasReason(error, 'bucket_name_taken'),
  );
});

test('a container that is deleted while somebody writes into it takes nothing along: one of the two is refused', async (t) => {
  const world = await objectWorld(t);
  const { containers, objects } = world.area.services;
  for (let round = 0; round < 10; round++) {
    const where = { projectId: world.projectId, container: `c${round}` };
    await containers.create(world.caller, where);
    const [removed] = await Promise.allSettled([
      containers.delete(world.caller, where),
      objects.put(world.caller, where, 'a', bodyOf('x'), { contentType: 'a/b' }),
    ]);
    const { rows } =
      await sql`select from object o where not exists (select from container c where c.id = o.container_id)`.execute(
        world.db.database.query,
      );
    assert.equal(rows.length, 0);
    if (removed.status === 'rejected') assert.ok(hasReason(removed.reason, 'container_not_empty'));
  }
  await requireCountersExact(world);
});

test('what many say of a container at once, who make it and who change it, is all kept', async (t) => {
  const world = await objectWorld(t);
  const areas = [world.area, world.another()];
  const where = { projectId: world.projectId, container: 'box' };
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => {
      const { containers } = areas[n % 2]!.services;
      const change = { metadata: { [`k${n}`]: 'x' } };
      return n % 4 < 2
        ? containers.create(world.caller, where, change)
        : containers.update(world.caller, where, change);
    }),
  );
  const { metadata } = await world.area.services.containers.show(world.caller, where);
  assert.equal(Object.keys(metadata).length, 40);
});

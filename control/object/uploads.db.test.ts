import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { collect } from '../../test/support/collect.ts';
import { minPartBytes } from './complete.ts';
import { bodyOf, objectWorld, requireCountersExact, textOf } from './testing.ts';

test('parts in any order, with holes and put twice, become one object that is read over all of them', async (t) => {
  const world = await objectWorld(t);
  const { objects, uploads, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const { uploadId } = await uploads.begin(world.caller, where, 'big', { contentType: 'a/b', metadata: { k: 'v' } });
  const [first, last] = [randomBytes(minPartBytes), randomBytes(1000)];
  const put = (number: number, bytes: Buffer) =>
    uploads.putPart(world.caller, where, 'big', uploadId, number, bodyOf(Buffer.from(bytes)));
  await put(9, Buffer.from('not this one'));
  const b = await put(9, last);
  const a = await put(3, first);
  await put(5, Buffer.from('never taken'));
  await requireCountersExact(world);
  const listed = await uploads.listParts(world.caller, where, 'big', uploadId, { limit: 2 });
  assert.deepEqual([listed.parts.map(({ number }) => number), listed.more], [[3, 5], true]);
  const bad = [
    { number: 3, etag: a.etag },
    { number: 9, etag: a.etag },
  ];
  const complete = (parts: { number: number; etag: string }[]) =>
    uploads.complete(world.caller, where, 'big', uploadId, parts);
  await assert.rejects(complete(bad), (error) => hasReason(error, 'upload_part_not_found'));
  await assert.rejects(
    complete([
      { number: 9, etag: b.etag },
      { number: 3, etag: a.etag },
    ]),
    (error) => hasReason(error, 'upload_parts_out_of_order'),
  );
  const parts = [
    { number: 3, etag: a.etag },
    { number: 9, etag: b.etag },
  ];
  const made = await complete(parts);
  const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest();
  assert.equal(
    made.etag,
    `${createHash('md5')
      .update(Buffer.concat([md5(first), md5(last)]))
      .digest('hex')}-2`,
  );
  assert.deepEqual((await complete(parts)).etag, made.etag, 'asked again it is answered again');
  await requireCountersExact(world);
  const opened = await objects.open(world.caller, where, 'big');
  assert.ok((await collect(await opened.read())).equals(Buffer.concat([first, last])));
  const over = await collect(await opened.read({ first: first.length - 3, last: first.length + 2 }));
  assert.ok(over.equals(Buffer.concat([first.subarray(-3), last.subarray(0, 3)])));
  const part = await objects.open(world.caller, where, 'big', { part: 2 });
  assert.ok((await collect(await part.read())).equals(last));
  assert.deepEqual(opened.object.metadata, { k: 'v' });
  const { rows } = await sql`select blob_id from object_removal`.execute(world.db.database.query);
  assert.equal(rows.length, 2, 'the part that was replaced and the one that was not taken');
  await objects.delete(world.caller, where, 'big');
  await requireCountersExact(world);
  assert.equal((await containers.account(world.caller, world.projectId)).bytes, 0);
});

test('an upload that is given up leaves nothing, and a part that is too small does not complete', async (t) => {
  const world = await objectWorld(t);
  const { uploads, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const { uploadId } = await uploads.begin(world.caller, where, 'x', { contentType: 'a/b' });
  const parts = [];
  for (const number of [1, 2])
    parts.push(await uploads.putPart(world.caller, where, 'x', uploadId, number, bodyOf('tiny')));
  await assert.rejects(uploads.complete(world.caller, where, 'x', uploadId, parts), (error) =>
    hasReason(error, 'upload_part_too_small'),
  );
  await uploads.abort(world.caller, where, 'x', uploadId);
  await requireCountersExact(world);
  await assert.rejects(uploads.abort(world.caller, where, 'x', uploadId), (error) =>
    hasReason(error, 'upload_not_found'),
  );
  const again = await uploads.begin(world.caller, where, 'dir/x', { contentType: 'a/b' });
  await uploads.begin(world.caller, where, 'dir/y', { contentType: 'a/b' });
  await uploads.putPart(world.caller, where, 'dir/x', again.uploadId, 1, bodyOf('counted'));
  const { entries } = await uploads.list(world.caller, where, { delimiter: '/' });
  assert.deepEqual(entries, [{ prefix: 'dir/' }]);
  assert.equal((await containers.account(world.caller, world.projectId)).bytes, 7);
  await containers.delete(world.caller, where);
  assert.equal((await containers.account(world.caller, world.projectId)).bytes, 0);
});

test('a part can be bytes of another object', async (t) => {
  const world = await objectWorld(t);
  const { objects, uploads } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await world.put('source', '0123456789');
  const { uploadId } = await uploads.begin(world.caller, where, 'made', { contentType: 'a/b' });
  const part = await uploads.copyPart(
    world.caller,
    { where, name: 'made', uploadId, number: 1 },
    { where, name: 'source' },
    { first: 2, last: 4 },
  );
  await uploads.complete(world.caller, where, 'made', uploadId, [part]);
  assert.equal(await textOf(await objects.open(world.caller, where, 'made')), '234');
});

test('an upload that several complete at once is complete for all of them, once', async (t) => {
  const world = await objectWorld(t);
  const areas = [world.area, world.another()];
  const where = { projectId: world.projectId, container: 'box' };
  const { uploads } = world.area.services;
  for (let turn = 0; turn < 5; turn++) {
    const { uploadId } = await uploads.begin(world.caller, where, 'joined', { contentType: 'a/b' });
    const part = await uploads.putPart(world.caller, where, 'joined', uploadId, 1, bodyOf(`whole ${turn}`));
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        areas[n % 2]!.services.uploads.complete(world.caller, where, 'joined', uploadId, [part]),
      ),
    );
    assert.equal(new Set(all.map(({ etag }) => etag)).size, 1);
  }
  await requireCountersExact(world);
});

test('uploads below many prefixes are listed a seek each, page by page', async (t) => {
  const world = await objectWorld(t);
  const { uploads } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const names = Array.from({ length: 30 }, (_, at) => `p${String(at).padStart(2, '0')}`);
  for (const name of names.flatMap((one) => [`${one}/a`, `${one}/b`, `${one}.`]))
    await uploads.begin(world.caller, where, name, { contentType: 'a/b' });
  const shown: string[] = [];
  const list = (wish: object) => uploads.list(world.caller, where, { delimiter: '/', limit: 25, ...wish });
  for (let page = await list({}); ; ) {
    shown.push(...page.entries.map((entry) => ('prefix' in entry ? entry.prefix : entry.name)));
    const last = page.entries.at(-1)!;
    if (!page.more) break;
    page = await list('prefix' in last ? { marker: last.prefix } : { marker: last.name, uploadMarker: last.uploadId });
  }
  assert.deepEqual(
    shown,
    names.flatMap((one) => [`${one}.`, `${one}/`]),
  );
});

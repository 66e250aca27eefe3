import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason, isCloudError } from '../../contract/errors.ts';
import type { DomainId } from '../../contract/ids.ts';
import type { Visitor } from './object.ts';
import { bodyOf, objectWorld, requireCountersExact, textOf } from './testing.ts';

test('what was put is read as it was, overwritten it is the other, deleted it is gone', async (t) => {
  const world = await objectWorld(t);
  const made = await world.put('a/ß/小屋 ?', 'hello', { metadata: { colour: 'blue' } });
  assert.equal(made.etag, createHash('md5').update('hello').digest('hex'));
  assert.equal(await world.get('a/ß/小屋 ?'), 'hello');
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const { object } = await objects.head(world.caller, where, 'a/ß/小屋 ?');
  assert.deepEqual([object.metadata, object.sizeBytes, object.contentType], [{ colour: 'blue' }, 5, 'text/plain']);
  await world.put('a/ß/小屋 ?', 'hello, world');
  assert.equal(await world.get('a/ß/小屋 ?'), 'hello, world');
  assert.deepEqual(
    await containers
      .account(world.caller, world.projectId)
      .then(({ objects, bytes, containers }) => ({ objects, bytes, containers })),
    { objects: 1, bytes: 12, containers: 1 },
  );
  await objects.delete(world.caller, where, 'a/ß/小屋 ?');
  await assert.rejects(world.get('a/ß/小屋 ?'), (error) => hasReason(error, 'object_not_found'));
  const left = await containers.show(world.caller, where);
  assert.deepEqual([left.objects, left.bytes, left.pastObjects], [0, 0, 0]);
});

test('a large object goes to a file and comes back, whole and any range of it', async (t) => {
  const world = await objectWorld(t);
  const text = `${'x'.repeat(300_000)}end`;
  await world.put('large', text);
  assert.equal(await world.get('large'), text);
  const where = { projectId: world.projectId, container: 'box' };
  const opened = await world.area.services.objects.open(world.caller, where, 'large');
  assert.equal(await textOf(opened, { first: 299_999, last: 300_001 }), 'xen');
  assert.equal([...world.disks.files.keys()].length, 1);
});

test('a large object is copied by its bytes, into another container and onto itself', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const other = { ...where, container: 'other' };
  await containers.create(world.caller, other);
  const text = randomBytes(3_000_000).toString('hex');
  const { etag } = await world.put('large', text);
  for (const to of [other, where]) {
    const copy = await objects.copy(
      world.caller,
      { where, name: 'large' },
      { where: to, name: 'large' },
      ({ object }) => ({
        contentType: object.contentType,
      }),
    );
    assert.equal(copy.etag, etag);
    assert.equal(await world.get('large', to.container), text);
  }
  await requireCountersExact(world);
});

test('whoever goes away in the middle of a body leaves nothing, and so does a body that is not what it was said to be', async (t) => {
  const world = await objectWorld(t);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  for (const size of [10, 400_000]) {
    const bytes = new PassThrough();
    const putting = objects.put(world.caller, where, 'cut', { bytes, sizeBytes: size }, { contentType: 'a/b' });
    bytes.write(Buffer.alloc(size / 2));
    setImmediate(() => bytes.destroy());
    await assert.rejects(putting, (error) => hasReason(error, 'upload_cut_off'));
  }
  await assert.rejects(world.put('wrong', 'x', { md5: '00'.repeat(16) }), (error) =>
    hasReason(error, 'checksum_mismatch'),
  );
  const crc = (value: string | (() => string)) =>
    world.put('crc', 'hello', { checksums: [{ algorithm: 'crc32', value }] });
  await assert.rejects(crc('AAAAAA=='), (error) => hasReason(error, 'checksum_mismatch'));
  assert.deepEqual((await crc(() => 'NhCmhg==')).checksums, { type: 'FULL_OBJECT', crc32: 'NhCmhg==' });
  const { entries } = await objects.list(world.caller, where, {});
  assert.equal(entries.length, 1);
  await requireCountersExact(world);
});

test('others are let in by lists, and learn of nothing else', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const other = await world.project();
  await world.put('a', 'x');
  const open = (visitor: Visitor, name = 'a') => objects.open(visitor, where, name);
  const forbidden = (error: unknown) => isCloudError(error, 'forbidden');
  await assert.rejects(open(other.caller), forbidden);
  await assert.rejects(open(null), (error) => isCloudError(error, 'unauthenticated'));
  await assert.rejects(objects.list(other.caller, { ...where, container: 'nothing' }, {}), forbidden);
  await containers.update(world.caller, where, {
    readAcl: `${other.projectId}:*`,
    writeAcl: `*:${other.caller.userId}`,
  });
  await open(other.caller);
  await objects.put(other.caller, where, 'theirs', bodyOf('y'), { contentType: 'a/b' });
  await assert.rejects(containers.update(other.caller, where, { readAcl: '.r:*' }), forbidden);
  await containers.update(world.caller, where, { readAcl: '.r:.example.org,.r:-bad.example.org', writeAcl: '' });
  await open({ caller: null, referrer: 'https://www.example.org/page' });
  await assert.rejects(open({ caller: null, referrer: 'https://bad.example.org/' }), (error) =>
    isCloudError(error, 'unauthenticated'),
  );
  await assert.rejects(objects.put(other.caller, where, 'more', bodyOf('y'), { contentType: 'a/b' }), forbidden);
  await open({ caller: null, granted: ['read'] });
});

test('a list that names people by name means those of the project’s own domain, whatever others call themselves', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const domain = '00000000-0000-7000-8000-000000000000' as DomainId;
  const friend = { ...(await world.project()).caller, projectName: 'friends', userName: 'anna' };
  const here = { ...friend, userDomainId: domain, projectDomainId: domain };
  await world.put('a', 'x');
  await containers.update(world.caller, where, { readAcl: 'friends:anna', writeAcl: 'friends:*' });
  await objects.open(here, where, 'a');
  await objects.put(here, where, 'b', bodyOf('y'), { contentType: 'a/b' });
  const elsewhere = [friend, { ...here, userDomainId: friend.userDomainId }, { ...here, projectDomainId: null }];
  for (const other of elsewhere) {
    await assert.rejects(objects.open(other, where, 'a'), (error) => isCloudError(error, 'forbidden'));
    await assert.rejects(objects.put(other, where, 'b', bodyOf('y'), { contentType: 'a/b' }), (error) =>
      isCloudError(error, 'forbidden'),
    );
  }
});

test('what no row can hold is refused before its batch', async (t) => {
  const world = await objectWorld(t);
  const refused = (error: unknown) => hasReason(error, 'object_text_not_storable');
  await assert.rejects(world.put('a', 'x', { contentType: 'a/\0' }), refused);
  await assert.rejects(world.put('a', 'x', { headers: { cacheControl: '\0' } }), refused);
});

test('a large body for which there is no room is refused before it is taken', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers, uploads } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const over = (error: unknown) => hasReason(error, 'object_quota_exceeded');
  await containers.update(world.caller, where, { quotaBytes: 600_000 });
  const body = bodyOf('x'.repeat(500_000));
  await objects.put(world.caller, where, 'a', body, { contentType: 'a/b' });
  world.disks.requests = [];
  const large = () => ({ bytes: new PassThrough(), sizeBytes: 600_001 });
  await assert.rejects(objects.put(world.caller, where, 'a', large(), { contentType: 'a/b' }), over);
  const { uploadId } = await uploads.begin(world.caller, where, 'b', { contentType: 'a/b' });
  await assert.rejects(uploads.putPart(world.caller, where, 'b', uploadId, 1, large()), over);
  await containers.update(world.caller, where, { quotaBytes: 500_000 });
  const endless = { bytes: new PassThrough() };
  await assert.rejects(objects.put(world.caller, where, 'b', endless, { contentType: 'a/b' }), over);
  assert.deepEqual(
    world.disks.requests.filter((one) => one.startsWith('PUT')),
    [],
  );
  await objects.put(world.caller, where, 'a', bodyOf('y'.repeat(500_000)), { contentType: 'a/b' });
});

test('the change log tells of containers and of none of their keys', async (t) => {
  const world = await objectWorld(t);
  const where = { projectId: world.projectId, container: 'box' };
  await world.area.services.containers.update(world.caller, where, { metadata: { 'temp-url-key': 'very secret' } });
  const { rows } = await sql<{ body: object }>`select body from change where resource_type = 'container'`.execute(
    world.db.database.query,
  );
  assert.ok(rows.length >= 2, 'a change of its metadata is one');
  assert.doesNotMatch(JSON.stringify(rows), /very secret/);
});

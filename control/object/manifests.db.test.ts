import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasReason } from '../../contract/errors.ts';
import { objectWorld, textOf } from './testing.ts';

test('static segments, inline ones and those of other manifests are read as one, in any range', async (t) => {
  const world = await objectWorld(t);
  const { objects } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const one = await world.put('one', '0123456789');
  const two = await world.put('two', 'abcdef');
  const inner = {
    ...{ kind: 'slo' as const, sizeBytes: 6, etag: 'inner' },
    segments: [{ container: 'box', name: 'two', sizeBytes: 6, etag: two.etag }],
  };
  await world.put('inner', '', { manifest: inner });
  const segments = [
    { container: 'box', name: 'one', sizeBytes: 3, etag: one.etag, range: { first: 2, last: 4 } },
    { data: Buffer.from('--').toString('base64'), sizeBytes: 2 },
    { container: 'box', name: 'inner', sizeBytes: 6, isManifest: true },
  ];
  await world.put('whole', '', { manifest: { kind: 'slo', segments, sizeBytes: 11, etag: 'x' } });
  const opened = await objects.open(world.caller, where, 'whole');
  assert.equal(await textOf(opened), '234--abcdef');
  assert.equal(await textOf(opened, { first: 2, last: 6 }), '4--ab');
  const raw = await objects.head(world.caller, where, 'whole', { raw: true });
  assert.equal(raw.sizeBytes, 0);
  const { entries } = await objects.list(world.caller, where, { prefix: 'whole' });
  const [listed] = entries.flatMap((entry) => ('name' in entry ? entry.manifest : []));
  assert.deepEqual(
    listed,
    { kind: 'slo', segments: [], count: 3, sizeBytes: 11, etag: 'x' },
    'segments are not for lists',
  );
  await world.put('one', 'another');
  await assert.rejects(opened.read(), (error) => hasReason(error, 'manifest_segment_unavailable'));
});

test('a dynamic object is what lies below its prefix now, and links lead on, twice at most', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await world.put('all', '', { manifest: { kind: 'dlo', container: 'box', prefix: 'part/' } });
  for (const [name, text] of [
    ['part/2', 'two'],
    ['part/1', 'one'],
  ] as const)
    await world.put(name, text);
  assert.equal(await world.get('all'), 'onetwo');
  await containers.create(world.caller, { ...where, container: 'links' });
  await world.put('a', '', { manifest: { kind: 'symlink', container: 'box', name: 'all' } }, 'links');
  await world.put('b', '', { manifest: { kind: 'symlink', container: 'links', name: 'a' } }, 'links');
  await world.put('c', '', { manifest: { kind: 'symlink', container: 'links', name: 'b' } }, 'links');
  const led = await objects.open(world.caller, { ...where, container: 'links' }, 'b');
  assert.equal(await textOf(led), 'onetwo');
  assert.deepEqual(led.resolved, { ...where, name: 'all' });
  await assert.rejects(world.get('c', 'links'), (error) => hasReason(error, 'symlink_loop'));
});

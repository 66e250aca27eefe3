import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../contract/errors.ts';
import { objectWorld, requireCountersExact, textOf } from './testing.ts';

test('with versions an overwritten object stays, a deleted one leaves a marker, and what is newest comes back when that goes', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  const before = await world.put('a', 'from before');
  assert.equal(before.versionId, 'null');
  await containers.update(world.caller, where, { versioning: 'enabled' });
  const one = await world.put('a', 'one');
  const two = await world.put('a', 'two!');
  assert.ok(one.versionId < two.versionId && one.versioned);
  const marker = await objects.delete(world.caller, where, 'a');
  assert.ok(marker.deleteMarker);
  await assert.rejects(
    world.get('a'),
    (error) => hasReason(error, 'object_deleted') && error.fields.version === marker.versionId,
  );
  await requireCountersExact(world);
  const { entries } = await objects.listVersions(world.caller, where, {});
  assert.deepEqual(
    entries.map((entry) => ('versionId' in entry ? [entry.versionId, entry.deleteMarker, entry.sizeBytes] : entry)),
    [
      [marker.versionId, true, 0],
      [two.versionId, false, 4],
      [one.versionId, false, 3],
      ['null', false, 11],
    ],
  );
  const open = (versionId: string) => objects.open(world.caller, where, 'a', { versionId });
  assert.equal(await textOf(await open(one.versionId)), 'one');
  assert.equal(await textOf(await open('null')), 'from before');
  await assert.rejects(open(marker.versionId), (error) => hasReason(error, 'object_is_delete_marker'));
  await objects.delete(world.caller, where, 'a', { versionId: marker.versionId });
  assert.equal(await world.get('a'), 'two!');
  await objects.delete(world.caller, where, 'a', { versionId: two.versionId });
  assert.equal(await world.get('a'), 'one');
  await requireCountersExact(world);
  await assert.rejects(containers.delete(world.caller, where), (error) => hasReason(error, 'container_not_empty'));
});

test('where versions are suspended only the null version is replaced', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await containers.update(world.caller, where, { versioning: 'enabled' });
  const kept = await world.put('a', 'kept');
  await containers.update(world.caller, where, { versioning: 'suspended' });
  for (const text of ['x', 'yy', 'zzz']) assert.equal((await world.put('a', text)).versionId, 'null');
  const first = await objects.delete(world.caller, where, 'a');
  const second = await objects.delete(world.caller, where, 'a');
  assert.deepEqual([first.versionId, second.versionId], ['null', 'null']);
  const { entries } = await objects.listVersions(world.caller, where, {});
  assert.deepEqual(
    entries.map((entry) => 'versionId' in entry && [entry.versionId, entry.deleteMarker]),
    [
      ['null', true],
      [kept.versionId, false],
    ],
  );
  await world.put('a', 'again');
  assert.equal(await world.get('a'), 'again');
  await requireCountersExact(world);
  const { rows } = await sql`select blob_id from object_removal`.execute(world.db.database.query);
  assert.equal(rows.length, 3);
});

test('versions are listed a page at a time, by markers, and below a prefix nothing is read', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await containers.update(world.caller, where, { versioning: 'enabled' });
  for (const name of ['a', 'b/1', 'b/2', 'c']) for (const text of ['1', '2', '3']) await world.put(name, text);
  const seen: string[] = [];
  let marker: string | undefined;
  let versionMarker: string | undefined;
  for (let more = true; more; ) {
    const page = await objects.listVersions(world.caller, where, { delimiter: '/', limit: 2, marker, versionMarker });
    for (const entry of page.entries) {
      seen.push('prefix' in entry ? entry.prefix : entry.name);
      marker = 'prefix' in entry ? entry.prefix : entry.name;
      versionMarker = 'prefix' in entry ? undefined : entry.versionId;
    }
    more = page.more;
  }
  assert.deepEqual(seen, ['a', 'a', 'a', 'b/', 'c', 'c', 'c']);
  const below = await objects.listVersions(world.caller, where, { prefix: 'b/' });
  assert.equal(below.entries.length, 6);
});

test('a lock keeps its version, a marker hides it all the same, and only its weaker kind is passed over', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await containers.update(world.caller, where, { versioning: 'enabled' });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const weak = await world.put('weak', 'x', { lock: { mode: 'GOVERNANCE', retainUntil: later } });
  const strong = await world.put('strong', 'x', { lock: { mode: 'COMPLIANCE', retainUntil: later } });
  await objects.delete(world.caller, where, 'weak');
  const remove = (name: string, versionId: string, bypassGovernance = false) =>
    objects.delete(world.caller, where, name, { versionId, bypassGovernance });
  const locked = (error: unknown) => hasReason(error, 'object_locked');
  await assert.rejects(remove('weak', weak.versionId), locked);
  await assert.rejects(remove('strong', strong.versionId, true), locked);
  const shorter = { mode: 'COMPLIANCE', retainUntil: new Date().toISOString() } as const;
  await assert.rejects(objects.update(world.caller, where, 'strong', { lock: shorter }), locked);
  await remove('weak', weak.versionId, true);
  await requireCountersExact(world);
});

test('versions below many prefixes are listed a seek each, whatever lies behind', async (t) => {
  const world = await objectWorld(t);
  const { objects, containers } = world.area.services;
  const where = { projectId: world.projectId, container: 'box' };
  await containers.update(world.caller, where, { versioning: 'enabled' });
  const names = Array.from({ length: 60 }, (_, at) => `p${String(at).padStart(2, '0')}`);
  await Promise.all(names.flatMap((name) => [world.put(`${name}/a`, 'x'), world.put(`${name}/b`, 'x')]));
  await Promise.all(names.map((name) => world.put(`${name}.`, 'x')));
  await world.put('p30.', 'y');
  const list = async (marker?: string) =>
    objects.listVersions(world.caller, where, { delimiter: '/', limit: 50, ...(marker && { marker }) });
  const shown: string[] = [];
  for (let page = await list(); ; page = await list(shown.at(-1))) {
    shown.push(...page.entries.map((entry) => ('prefix' in entry ? entry.prefix : entry.name)));
    if (!page.more) break;
  }
  const wanted = names.flatMap((name) =>
    name === 'p30' ? [`${name}.`, `${name}.`, `${name}/`] : [`${name}.`, `${name}/`],
  );
  assert.deepEqual(shown, wanted);
});

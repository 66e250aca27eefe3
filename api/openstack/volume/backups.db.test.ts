import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
before(() => testPool(db));

const call = (method: string, path: string, body?: unknown, version: number | 'latest' = 0, caller = member) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version });

/** Hosts have done what they were asked for, and the controllers have looked. */
async function obeyed(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation, observed_epoch = epoch,
    observed_size_bytes = size_bytes, desired_source = null, observed_backups = coalesce((select jsonb_agg(jsonb_build_object(
      'id', b ->> 'id', 'result', jsonb_build_object('size_bytes', 9, 'sha256', repeat('ab', 32)), 'error', null))
      from jsonb_array_elements(desired_backups) b), '[]')`.execute(db.query);
  for (const kind of ['backup', 'volume'] as const) {
    const { rows } = await sql<{ id: string }>`select id from ${sql.table(kind)}`.execute(db.query);
    for (const { id } of rows) await api.storage.tasks[kind](id);
  }
}

async function volume(more: object = {}): Promise<string> {
  const { body } = await call('POST', '/volumes', { volume: { size: 1, name: '卷', metadata: { a: 'b' }, ...more } });
  await obeyed();
  return body.volume.id;
}

async function backup(volumeId: string, more: object = {}, version: number | 'latest' = 0) {
  const answer = await call('POST', '/backups', { backup: { volume_id: volumeId, name: '份', ...more } }, version);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  await obeyed();
  return answer.body.backup;
}
const shown = async (id: string, version: number | 'latest' = 0, caller = member) =>
  (await call('GET', `/backups/${id}`, undefined, version, caller)).body.backup;
const message = ({ body }: { body: unknown }) => Object.values(body as Record<string, { message: string }>)[0]!.message;

test('a backup lies in the zone of its volume, and claims no other', async () => {
  const volumeId = await volume();
  const { availability_zone: zone } = (await call('GET', `/volumes/${volumeId}`)).body.volume;
  const ask = (availability_zone: string) =>
    call('POST', '/backups', { backup: { volume_id: volumeId, availability_zone } }, 51);
  const refused = await ask('elsewhere');
  assert.deepEqual([refused.status, /and not in 'elsewhere'/.test(message(refused))], [400, true]);
  const made = await ask(zone);
  assert.equal(made.status, 202);
  await obeyed();
  assert.equal((await shown(made.body.backup.id)).availability_zone, zone);
});

test('a backup is made, shown, changed, restored and deleted', async () => {
  const volumeId = await volume();
  const made = await backup(volumeId, { description: 'd', container: 'c' });
  assert.deepEqual(Object.keys(made).sort(), ['id', 'links', 'name']);
  const whole = await shown(made.id);
  assert.deepEqual(
    [whole.status, whole.size, whole.object_count, whole.container, whole.is_incremental, whole.has_dependent_backups],
    ['available', 1, 1, 'c', false, false],
  );
  assert.deepEqual(
    [whole.volume_id, whole.snapshot_id, whole.fail_reason, whole.metadata],
    [volumeId, null, null, undefined],
  );
  const changed = await call('PUT', `/backups/${made.id}`, { backup: { name: 'n', metadata: { k: 'v' } } }, 'latest');
  assert.deepEqual([changed.status, changed.body.backup.metadata], [200, { k: 'v' }]);
  assert.equal((await call('PUT', `/backups/${made.id}`, { backup: {} }, 9)).status, 400);
  assert.equal((await call('PUT', `/backups/${made.id}`, { backup: { name: 'n' } }, 8)).status, 404);
  const restored = await call('POST', `/backups/${made.id}/restore`, { restore: {} });
  assert.equal(restored.status, 202);
  const { restore } = restored.body;
  assert.deepEqual([restore.backup_id, restore.volume_name], [made.id, '卷']);
  assert.equal((await shown(made.id)).status, 'restoring');
  assert.equal((await call('DELETE', `/backups/${made.id}`)).status, 400);
  await obeyed();
  const { body } = await call('GET', `/volumes/${restore.volume_id}`);
  assert.deepEqual([body.volume.status, body.volume.metadata], ['available', { a: 'b' }]);
  assert.equal((await call('DELETE', `/backups/${made.id}`)).status, 202);
  assert.equal((await shown(made.id)).status, 'deleting');
  await obeyed();
  assert.deepEqual(
    [(await call('GET', `/backups/${made.id}`)).status, api.removedFiles.at(-1)],
    [404, `${made.id}.qcow2`],
  );
});

test('a volume is made of a backup from 3.47 on, as large at least', async () => {
  const { id } = await backup(await volume({ size: 2 }));
  const of = (size: number, version: number) => call('POST', '/volumes', { volume: { size, backup_id: id } }, version);
  assert.match(message(await of(1, 47)), /cannot be smaller than the backup size 2GB/);
  const { status, body } = await of(3, 47);
  assert.deepEqual([status, body.volume.size], [202, 3]);
  const { rows } = await sql<{ id: string }>`select desired_source ->> 'backup_id' as id from volume_layer
    where volume_id = ${body.volume.id}`.execute(db.query);
  assert.deepEqual(rows, [{ id }]);
  await obeyed();
  assert.equal((await of(1, 46)).status, 202, 'overlooked');
});

test('what can’t be backed up or restored is refused as Cinder refuses it', async () => {
  const volumeId = await volume();
  const refused = async (more: object) =>
    message(await call('POST', '/backups', { backup: { volume_id: volumeId, ...more } }));
  assert.match(await refused({ incremental: true }), /No backups available to do an incremental backup/);
  assert.equal(await refused({ volume_id: newId() }).then((text) => text.includes('could not be found')), true);
  assert.equal((await call('POST', '/backups', { backup: { volume_id: volumeId, metadata: {} } }, 42)).status, 400);
  const full = await backup(volumeId);
  const next = await backup(volumeId, { incremental: true });
  assert.equal((await shown(next.id)).is_incremental, true);
  assert.equal((await shown(full.id)).has_dependent_backups, true);
  assert.match(message(await call('DELETE', `/backups/${full.id}`)), /Incremental backups exist for this backup/);
  const large = await backup(await volume({ size: 2 }));
  const small = await call('POST', `/backups/${large.id}/restore`, { restore: { volume_id: volumeId } });
  assert.match(message(small), /volume size 1 is too small to restore backup of size 2/);
  await sql`insert into quota (id, project_id, resource, maximum)
    values (gen_random_uuid(), ${member.projectId}, 'backup_gigabytes', 1)`.execute(db.query);
  const beyond = await call('POST', '/backups', { backup: { volume_id: volumeId } });
  assert.deepEqual([beyond.status, /allowed Backup gigabytes quota/.test(message(beyond))], [413, true]);
  await sql`delete from quota where project_id = ${member.projectId}`.execute(db.query);
});

test('backups are listed with filters, pages and counts, each project its own', async () => {
  const volumeId = await volume();
  const made = [await backup(volumeId, { name: 'one' }), await backup(volumeId, { name: 'two' })];
  const ids = async (query: string, version = 0) =>
    (await call('GET', `/backups?${query}`, undefined, version)).body.backups.map(({ id }: { id: string }) => id);
  assert.deepEqual(
    await ids(`volume_id=${volumeId}&sort=created_at:asc`),
    made.map(({ id }) => id),
  );
  assert.deepEqual(await ids(`volume_id=${volumeId}&name=two`), [made[1].id]);
  assert.deepEqual(await ids(`volume_id=${volumeId}&name~=on`, 34), [made[0].id]);
  assert.deepEqual(await ids(`volume_id=${volumeId}&status=error`), []);
  assert.deepEqual(await ids(`volume_id=${volumeId}&sort=created_at:asc&marker=${made[0].id}`), [made[1].id]);
  const counted = await call('GET', `/backups/detail?volume_id=${volumeId}&limit=1&with_count=true`, undefined, 45);
  assert.deepEqual([counted.body.count, counted.body.backups.length, counted.body.backups_links.length], [2, 1, 1]);
  const stranger = {
    ...member,
    userId: newId<typeof member.userId>(),
    projectId: newId<NonNullable<typeof member.projectId>>(),
  };
  assert.deepEqual((await call('GET', '/backups', undefined, 0, stranger)).body.backups, []);
  assert.equal((await call('GET', `/backups/${made[0].id}`, undefined, 0, stranger)).status, 404);
  assert.equal((await call('GET', '/backups?color=red', undefined, 31)).status, 400);
  const { 'os-backup-project-attr:project_id': owner } = await shown(made[0].id, 18, admin);
  assert.equal(owner, member.projectId);
});

test('records go out and come in, and an administrator’s word is shown: administrators only', async () => {
  const { id } = await backup(await volume());
  const path = `/backups/${id}`;
  assert.equal((await call('GET', `${path}/export_record`)).status, 403);
  const { body } = await call('GET', `${path}/export_record`, undefined, 0, admin);
  const record = body['backup-record'];
  assert.match(record.backup_service, /^cinder\.backup\.drivers/);
  const said = JSON.parse(Buffer.from(record.backup_url, 'base64').toString());
  const other = newId();
  const take = (backup_url: string, caller = admin) =>
    call('POST', '/backups/import_record', { 'backup-record': { ...record, backup_url } }, 0, caller);
  const taken = await take(Buffer.from(JSON.stringify({ ...said, id: other })).toString('base64'));
  assert.deepEqual([taken.status, taken.body.backup.id], [201, other]);
  assert.match(message(await take(record.backup_url)), /already exists/);
  assert.match(message(await take('{}')), /Can't parse backup record/);
  assert.equal((await take(record.backup_url, member)).status, 403);
  const reset = (status: string, caller = admin) =>
    call('POST', `${path}/action`, { 'os-reset_status': { status } }, 0, caller);
  assert.equal((await reset('error', member)).status, 403);
  assert.deepEqual([(await reset('error')).status, (await shown(id)).status], [202, 'error']);
  assert.equal((await reset('restoring')).status, 400);
  assert.equal((await call('POST', `${path}/action`, { 'os-force_delete': {} }, 0, admin)).status, 202);
});

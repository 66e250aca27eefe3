/** Calls whose refusals and shortcuts are Cinder's own: what clients look for in statuses, and in what an image stands for. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type ImageId, newId } from '../../../contract/ids.ts';
import { insertImageOfVolumes } from '../../../control/image/index.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
before(() => testPool(db));

async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
}
const call = (method: string, path: string, body?: unknown, version = 70, caller = member) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version });
const act = (id: string, body: unknown, caller = member) => call('POST', `/volumes/${id}/action`, body, 70, caller);
async function made(): Promise<string> {
  const { body } = await call('POST', '/volumes', { volume: { size: 1, name: 'v' } });
  await obey();
  return body.volume.id;
}
async function frozen(volume_id: string): Promise<string> {
  const { body } = await call('POST', '/snapshots', { snapshot: { volume_id, name: 's' } });
  await obey();
  return body.snapshot.id;
}

async function imageOf(mapping: unknown): Promise<string> {
  const id = newId<ImageId>();
  const properties = { block_device_mapping: typeof mapping === 'string' ? mapping : JSON.stringify(mapping) };
  await db.transaction({ actorId: member.userId, requestId: 'req-1' }, (tx) =>
    insertImageOfVolumes(tx, {
      ...{ id, projectId: member.projectId!, name: 'of a server', minDiskGib: 0, minMemoryMib: 0, properties },
    }),
  );
  return id;
}

test('from 3.46 on a volume of an image of a server that boots from a volume is one of the snapshot that it names', async () => {
  const snapshot = await frozen(await made());
  const other = { source_type: 'snapshot', snapshot_id: newId(), boot_index: null };
  const image = await imageOf([other, { source_type: 'snapshot', snapshot_id: snapshot, boot_index: 0 }]);
  const make = (imageRef: string, version: number, more = {}) =>
    call('POST', '/volumes', { volume: { size: 2, imageRef, ...more } }, version);
  const { status, body } = await make(image, 46);
  assert.deepEqual([status, body.volume?.snapshot_id, body.volume?.size], [202, snapshot, 2], JSON.stringify(body));
  assert.equal((await make(image, 45)).status, 400, 'it has no bytes');
  assert.equal((await make(image, 46, { snapshot_id: snapshot })).status, 400, 'one source is enough');
  assert.equal((await make(await imageOf([{ ...other, boot_index: 0 }]), 46)).status, 404, 'the snapshot is gone');
  for (const unreadable of ['[', '{}', '[null, 1]', [{ ...other, boot_index: 0, snapshot_id: 'x' }]]) {
    assert.equal((await make(await imageOf(unreadable), 46)).status, 400, String(unreadable));
  }
  assert.equal((await make(newId(), 46)).status, 400);
});

test('a volume that is not available is not put back, which is a conflict', async () => {
  const id = await made();
  const snapshot_id = await frozen(id);
  await act(id, { 'os-reset_status': { status: 'error' } }, admin);
  const busy = await act(id, { revert: { snapshot_id } });
  assert.deepEqual([busy.status, Object.keys(busy.body)], [409, ['conflictingRequest']]);
  await act(id, { 'os-reset_status': { status: 'available' } }, admin);
  const declare = { 'os-reset_status': { status: 'error' } };
  await call('POST', `/snapshots/${snapshot_id}/action`, declare, 70, admin);
  assert.equal((await act(id, { revert: { snapshot_id } })).status, 409);
});

test('of what came of a move an administrator says anew, and of who has a volume only what is so', async () => {
  const id = await made();
  const reset = async (wish: object) => {
    const { status } = await act(id, { 'os-reset_status': wish }, admin);
    const { volume } = (await call('GET', `/volumes/${id}`, undefined, 70, admin)).body;
    return [status, volume.migration_status, volume.status];
  };
  assert.deepEqual(await reset({ migration_status: 'ERROR' }), [202, 'error', 'available']);
  assert.deepEqual(await reset({ migration_status: 'none' }), [202, null, 'available']);
  for (const migration_status of ['migrating', 'whatever']) {
    assert.deepEqual(await reset({ migration_status }), [400, null, 'available']);
  }
  assert.deepEqual(await reset({ attach_status: 'attached', status: 'error' }), [400, null, 'available']);
  assert.deepEqual(await reset({ attach_status: 'whatever' }), [400, null, 'available']);
  assert.deepEqual(await reset({ attach_status: 'detached' }), [202, null, 'available']);
});

test('who made a backup is told to administrators, as whose it is', async () => {
  const { body } = await call('POST', '/backups', { backup: { volume_id: await made() } });
  const told = async (caller: typeof admin, version: number) => {
    const { backup } = (await call('GET', `/backups/${body.backup.id}`, undefined, version, caller)).body;
    return [backup['os-backup-project-attr:project_id'], backup.user_id];
  };
  assert.deepEqual(await told(admin, 56), [member.projectId, member.userId]);
  assert.deepEqual(await told(admin, 55), [member.projectId, undefined]);
  assert.deepEqual(await told(member, 56), [undefined, undefined]);
});

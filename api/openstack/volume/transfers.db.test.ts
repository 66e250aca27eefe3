import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member: giver } = api.cloud;
const db = api.db.database;
const taker = {
  ...giver,
  userId: newId<typeof giver.userId>(),
  projectId: newId<NonNullable<typeof giver.projectId>>(),
};

before(async () => {
  await testPool(db);
  await sql`insert into project (id, domain_id, name) select ${taker.projectId}, domain_id, 'taker' from project
    where id = ${giver.projectId}`.execute(db.query);
});

const call = (caller: typeof giver, method: string, path: string, body?: unknown, version: number | 'latest' = 0) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version });

/** The host does what it is told, and the controllers look at that. */
async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
}

async function available(more: object = {}): Promise<string> {
  const { body } = await call(giver, 'POST', '/volumes', { volume: { size: 1, name: '卷', ...more } });
  await obey();
  return body.volume.id;
}

async function given(path = 'os-volume-transfer', more: object = {}, version: number | 'latest' = 0) {
  const volumeId = await available();
  const wish = { transfer: { volume_id: volumeId, name: '礼', ...more } };
  const { status, body } = await call(giver, 'POST', `/${path}`, wish, version);
  assert.equal(status, 202, JSON.stringify(body));
  return { volumeId, transfer: body.transfer };
}

const accept = (id: string, key: string, caller = taker, path = 'os-volume-transfer', version: number | 'latest' = 0) =>
  call(caller, 'POST', `/${path}/${id}/accept`, { accept: { auth_key: key } }, version);
const statusOf = async (caller: typeof giver, id: string) =>
  (await call(caller, 'GET', `/volumes/${id}`)).body.volume?.status;

test('whoever has id and key takes the volume, and whoever gave it has it no more', async () => {
  const { volumeId, transfer } = await given();
  assert.equal(await statusOf(giver, volumeId), 'awaiting-transfer');
  const shown = (await call(giver, 'GET', `/os-volume-transfer/${transfer.id}`)).body.transfer;
  assert.deepEqual([shown.name, shown.volume_id, shown.auth_key], ['礼', volumeId, undefined]);
  assert.equal((await call(taker, 'GET', `/os-volume-transfer/${transfer.id}`)).status, 404);
  assert.equal((await accept(transfer.id, 'another key')).status, 400);
  assert.equal((await accept(newId(), transfer.auth_key)).status, 404);
  assert.equal(await statusOf(taker, volumeId), undefined);
  assert.equal((await accept(transfer.id, transfer.auth_key)).status, 202);
  assert.equal(await statusOf(taker, volumeId), 'available');
  assert.equal(await statusOf(giver, volumeId), undefined);
  assert.equal((await accept(transfer.id, transfer.auth_key)).status, 404, 'once');
});

test('of many who show the key at once one takes the volume, and each has quota for what is its own', async () => {
  const { volumeId, transfer } = await given();
  const answers = await Promise.all(Array.from({ length: 8 }, () => accept(transfer.id, transfer.auth_key)));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, ...Array(7).fill(404)]);
  assert.equal(await statusOf(taker, volumeId), 'available');
  await sql`insert into quota (id, project_id, resource, maximum) values (gen_random_uuid(), ${taker.projectId}, 'volumes', 1)`.execute(
    db.query,
  );
  const second = await given();
  assert.equal((await accept(second.transfer.id, second.transfer.auth_key)).status, 413);
  assert.equal(await statusOf(giver, second.volumeId), 'awaiting-transfer');
  await sql`delete from quota where project_id = ${taker.projectId}`.execute(db.query);
});

test('a volume is kept by deleting its transfer, and only an available one is given away', async () => {
  const { volumeId, transfer } = await given();
  const again = await call(giver, 'POST', '/os-volume-transfer', { transfer: { volume_id: volumeId } });
  assert.equal(again.status, 400);
  assert.equal((await call(taker, 'DELETE', `/os-volume-transfer/${transfer.id}`)).status, 404);
  assert.equal((await call(giver, 'DELETE', `/os-volume-transfer/${transfer.id}`)).status, 202);
  assert.equal(await statusOf(giver, volumeId), 'available');
  assert.equal((await accept(transfer.id, transfer.auth_key)).status, 404);
});

test('snapshots go along, and stay where that is said, which only the newer call can', async () => {
  const snapshotOf = async (volumeId: string) => {
    const { body } = await call(giver, 'POST', '/snapshots', { snapshot: { volume_id: volumeId } });
    await obey();
    return body.snapshot.id as string;
  };
  for (const [path, more, goes] of [
    ['volume-transfers', {}, true],
    ['volume-transfers', { no_snapshots: true }, false],
    ['os-volume-transfer', {}, true],
  ] as const) {
    const volumeId = await available();
    const snapshot = await snapshotOf(volumeId);
    const { body } = await call(giver, 'POST', `/${path}`, { transfer: { volume_id: volumeId, ...more } }, 'latest');
    assert.deepEqual([body.transfer.no_snapshots, body.transfer.accepted], [!goes, false]);
    const { status, body: answer } = await accept(
      body.transfer.id,
      body.transfer.auth_key,
      taker,
      'volume-transfers',
      'latest',
    );
    assert.deepEqual(
      [status, answer.transfer.accepted, answer.transfer.destination_project_id],
      [202, true, taker.projectId],
    );
    assert.equal((await call(taker, 'GET', `/snapshots/${snapshot}`)).status, goes ? 200 : 404);
    // What the volume was before, and was not given, comes back to nobody.
    const back = { revert: { snapshot_id: snapshot } };
    const reverted = await call(taker, 'POST', `/volumes/${volumeId}/action`, back, 'latest');
    assert.equal(reverted.status, goes ? 202 : 404, JSON.stringify(reverted.body));
  }
  assert.equal((await call(giver, 'GET', '/volume-transfers', undefined, 54)).status, 404);
  const older = { transfer: { volume_id: await available(), no_snapshots: true } };
  assert.equal((await call(giver, 'POST', '/os-volume-transfer', older)).status, 400);
});

test('snapshots that are not complete, or part of a snapshot of a group, do not go along', async () => {
  const volumeId = await available();
  await call(giver, 'POST', '/snapshots', { snapshot: { volume_id: volumeId } });
  const give = (more = {}) =>
    call(giver, 'POST', '/volume-transfers', { transfer: { volume_id: volumeId, ...more } }, 'latest');
  assert.equal((await give()).status, 400, 'it is being made');
  await obey();
  const made = async (path: string, noun: string, wish: object, who = giver) =>
    (await call(who, 'POST', path, { [noun]: wish }, 'latest')).body[noun].id as string;
  const group_type = await made('/group_types', 'group_type', { name: 'together' }, api.cloud.admin);
  const [type] = (await call(giver, 'GET', '/types')).body.volume_types;
  const group = await made('/groups', 'group', { name: '', group_type, volume_types: [type.id] });
  const update = (change: object) => call(giver, 'PUT', `/groups/${group}`, { group: change }, 'latest');
  assert.equal((await update({ add_volumes: volumeId })).status, 202);
  await made('/group_snapshots', 'group_snapshot', { group_id: group });
  await obey();
  assert.equal((await update({ remove_volumes: volumeId })).status, 202);
  assert.equal((await give()).status, 400, 'it stays with its group');
  assert.equal((await give({ no_snapshots: true })).status, 202);
});

test('transfers are listed with pages and filters, each project its own', async () => {
  const all = [await given(), await given()];
  const list = (await call(giver, 'GET', '/os-volume-transfer/detail')).body.transfers;
  assert.ok(all.every(({ transfer }) => list.some(({ id }: { id: string }) => id === transfer.id)));
  const [one] = (await call(giver, 'GET', `/os-volume-transfer?volume_id=${all[0]!.volumeId}&limit=1`)).body.transfers;
  assert.deepEqual(Object.keys(one).sort(), ['id', 'links', 'name', 'volume_id']);
  assert.deepEqual((await call(taker, 'GET', '/os-volume-transfer')).body.transfers, []);
});

test('an encrypted volume goes with its key, from the version on in which Cinder gives one', async () => {
  await sql`with made as (insert into volume_type (id, name, public) values (${newId()}, 'sealed', true) returning id)
    insert into volume_type_encryption (volume_type_id, id, provider, control_location, cipher, key_size)
    select id, ${newId()}, 'luks', 'front-end', 'aes-xts-plain64', 256 from made`.execute(db.query);
  const volumeId = await available({ volume_type: 'sealed' });
  const give = (version: number) =>
    call(giver, 'POST', '/volume-transfers', { transfer: { volume_id: volumeId, name: '' } }, version);
  const keyFor = async (caller: typeof giver) =>
    (await call(caller, 'GET', `/volumes/${volumeId}`, undefined, 'latest')).body.volume?.encryption_key_id;
  assert.equal(
    (await call(giver, 'POST', '/os-volume-transfer', { transfer: { volume_id: volumeId } }, 70)).status,
    400,
  );
  const refused = await give(69);
  assert.deepEqual(
    [refused.status, refused.body.badRequest.message],
    [400, 'Invalid volume: transferring encrypted volume is not supported'],
  );
  const [keyId, { body }] = [await keyFor(giver), await give(70)];
  const { id, auth_key: key } = body.transfer;
  assert.equal((await accept(id, key, taker, 'volume-transfers', 70)).status, 202);
  assert.equal(await keyFor(giver), undefined);
  assert.equal(await keyFor(taker), keyId);
});

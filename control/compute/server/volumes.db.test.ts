/** What hosts are told of a server's volumes, and what follows from what they say. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type LayerId, newId, type ServerId, type VolumeId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { tellServers } from '../../storage/attachment/index.ts';
import { testAttachment, testVolume } from '../../storage/attachment/testing.ts';
import * as serverActions from './actions/index.ts';
import { powerState, serverStatus, taskState } from './states.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

/** A server that runs, and a volume beside it. */
async function running() {
  const hostId = await cloud.addHost();
  const wish = cloud.wish({ flavor: await cloud.addFlavor(), requestedHost: `host-${hostId}` });
  const id = (await cloud.service.create(cloud.admin, wish)).ids[0]! as ServerId;
  await cloud.controller.reconcile(id);
  await cloud.obey(hostId);
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId });
  const has = {
    id: volume.id as VolumeId,
    layerId: volume.layerId as LayerId,
    sizeBytes: 2 ** 30,
    state: 'attached' as const,
  };
  return { hostId, id, volume, has };
}

async function attachment(id: string) {
  const { rows } = await sql<{ state: string | null; layer: string | null; attached: boolean; generation: number }>`
    select observed_state as state, observed_layer_id as layer, attached_at is not null as attached, server_generation as generation
    from volume_attachment where id = ${id}`.execute(db.database.query);
  return rows[0];
}

const waiting = async (task: string, id: string): Promise<boolean> =>
  (await sql`select from graphile_worker._private_jobs where key = ${`${task}:${id}`}`.execute(db.database.query)).rows
    .length > 0;

test('a server’s document names the volumes that it shall have, until one shall be had no more', async () => {
  const { id, volume } = await running();
  const attachmentId = await testAttachment(db.database, { serverId: id, volumeId: volume.id, slot: 4 });
  const documents = async () => (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0]!;
  assert.deepEqual((await documents()).volumes, [
    {
      id: volume.id,
      attachmentId,
      layerId: volume.layerId,
      sizeBytes: 2 ** 30,
      slot: 4,
      bootIndex: null,
      readOnly: false,
      tag: null,
      device: '/dev/vdb',
    },
  ]);
  await sql`update volume_attachment set desired_presence = 'absent' where id = ${attachmentId}`.execute(
    db.database.query,
  );
  assert.equal((await documents()).volumes, undefined);
});

test('a report brings what the guest has open, wakes the volume, and says it again without a word being written', async () => {
  const { hostId, id, volume, has } = await running();
  const attachmentId = await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await cloud.report(hostId, id, { generation: 1, volumes: [] });
  assert.equal((await attachment(attachmentId))?.attached, false);
  await cloud.report(hostId, id, { volumes: [has] });
  assert.deepEqual(await attachment(attachmentId), {
    state: 'attached',
    layer: volume.layerId,
    attached: true,
    generation: 2,
  });
  assert.equal(await waiting('volume', volume.id), true);
  const stamp = async () =>
    (
      await sql<{ at: Date }>`select updated_at as at from volume_attachment where id = ${attachmentId}`.execute(
        db.database.query,
      )
    ).rows[0]!.at;
  const before = await stamp();
  await cloud.report(hostId, id, { volumes: [has] });
  assert.deepEqual(await stamp(), before);
});

test('what a volume’s change told its server makes older words count for it no more', async () => {
  const { hostId, id, volume, has } = await running();
  const attachmentId = await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await cloud.report(hostId, id, { volumes: [has] });
  await db.database.transaction({ actorId: null, requestId: null }, (tx) => tellServers(tx, [volume.id]));
  assert.equal((await attachment(attachmentId))?.generation, 3);
  const { rows } = await sql<{
    generation: number;
    verb: string;
  }>`select generation, desired_verb as verb from server where id = ${id}`.execute(db.database.query);
  assert.deepEqual(rows[0], { generation: 3, verb: 'volume' });
  assert.equal(taskState(await cloud.service.get(cloud.member, id)), null, 'nothing is done to the server');
  await cloud.service.act(cloud.member, id, serverActions.stop);
  await db.database.transaction({ actorId: null, requestId: null }, (tx) => tellServers(tx, [volume.id]));
  assert.equal(taskState(await cloud.service.get(cloud.member, id)), 'powering-off');
});

test('a clone and a snapshot wait for no sweep when the host has heard of a new top, whatever its guest has', async () => {
  const { hostId, id, volume } = await running();
  const attachmentId = await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  const off = (heard: object = {}) => cloud.report(hostId, id, { ...heard, state: 'stopped' });
  await off();
  const [clone, snapshot] = [await testVolume(db.database, { projectId: cloud.projectId, hostId }), newId()];
  await sql`update volume set launched_at = null, source_volume_id = ${volume.id} where id = ${clone.id}`.execute(
    db.database.query,
  );
  await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
    values (${snapshot}, ${cloud.projectId}, ${newId()}, ${volume.id}, ${volume.layerId}, 1)`.execute(
    db.database.query,
  );
  await db.database.transaction({ actorId: null, requestId: null }, (tx) => tellServers(tx, [volume.id]));
  const woken = async () => [await waiting('volume', clone.id), await waiting('volume_snapshot', snapshot)];
  const before = (await attachment(attachmentId))!;
  await off({ generation: before.generation - 1 });
  assert.deepEqual(await woken(), [false, false], 'it has not heard');
  await off();
  assert.deepEqual(await attachment(attachmentId), before);
  assert.deepEqual(await woken(), [true, true]);
});

test('a volume that shall be had no more is free once its host has heard so and its guest has let go', async () => {
  const { hostId, id, volume, has } = await running();
  const attachmentId = await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await cloud.report(hostId, id, { volumes: [has] });
  await sql`update volume_attachment set desired_presence = 'absent', server_generation = 3 where id = ${attachmentId}`.execute(
    db.database.query,
  );
  await sql`update server set generation = 3 where id = ${id}`.execute(db.database.query);
  await cloud.report(hostId, id, { generation: 2, volumes: [] });
  assert.ok(await attachment(attachmentId), 'the host may have it from its older document');
  await cloud.report(hostId, id, { generation: 3, volumes: [{ ...has, state: 'releasing' }] });
  assert.equal((await attachment(attachmentId))?.state, 'releasing');
  await cloud.report(hostId, id, { generation: 3, state: 'stopped' });
  assert.equal(await attachment(attachmentId), undefined);
});

test('a guest that stands still for want of room is paused as a machine alone, and its volume’s owner is told why, once', async () => {
  const { hostId, id, volume, has } = await running();
  await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await cloud.report(hostId, id, { volumes: [has] });
  const error = { code: 'guest_paused', message: 'the guest waits for its disk' };
  const stands = { state: 'building' as const, error, volumes: [{ ...has, full: true }] };
  const seen = async () => {
    const server = await cloud.service.get(cloud.member, id);
    return [serverStatus(server), powerState(server), taskState(server)];
  };
  await cloud.report(hostId, id, stands);
  assert.deepEqual(await seen(), ['ACTIVE', 3, null]);
  // It goes on, and again there is no room: nobody has read of it yet.
  await cloud.report(hostId, id, { volumes: [has] });
  assert.deepEqual(await seen(), ['ACTIVE', 1, null]);
  await cloud.report(hostId, id, stands);
  const told = async () =>
    (
      await sql<{ id: string; verb: string; error_code: string; error_message: string; project_id: string }>`
        select id, verb, error_code, error_message, project_id from storage_message where resource_id = ${volume.id}`.execute(
        db.database.query,
      )
    ).rows;
  const [message, ...more] = await told();
  assert.deepEqual(
    [message?.verb, message?.error_code, message?.project_id],
    ['write', 'no_capacity', cloud.projectId],
  );
  assert.match(message!.error_message, /stands still, and goes on when there is/);
  assert.deepEqual(more, []);
  await sql`update operation set dismissed_at = now() where id = ${message!.id}`.execute(db.database.query);
  await cloud.report(hostId, id, { volumes: [has] });
  await cloud.report(hostId, id, stands);
  assert.equal((await told()).length, 1);
});

/** Who has a volume by Cinder's own API, beside this cloud's servers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type HostId, newId } from '../../../contract/ids.ts';
import { callerOf, type ServerCloud, serverCloud } from '../../compute/server/testing.ts';
import { testSealer } from '../../identity/testing.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testAttachment, testVolume } from '../attachment/testing.ts';
import { findVolume, volumeStatus } from '../volume/index.ts';
import { ConnectionService } from './service.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let hostId: HostId;
let connections: ConnectionService;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  hostId = await cloud.addHost();
  connections = new ConnectionService({ database: db.database, sealer: testSealer });
});
after(() => db[Symbol.asyncDispose]());

const volume = async () => (await testVolume(db.database, { projectId: cloud.projectId, hostId })).id;
const status = async (id: string) => volumeStatus(await findVolume(db.database.query, 'all', id));
const claim = (over = {}) => ({ serverId: newId(), hostName: null, device: '/dev/vdb', mode: 'rw' as const, ...over });

test('a volume is reserved, said to be attached, and given back', async () => {
  const [id, { member }] = [await volume(), cloud];
  const reservation = await connections.reserve(member, id, { serverId: newId(), mode: 'ro', begun: false });
  assert.equal(await status(id), 'reserved');
  await assert.rejects(connections.reserve(member, id, { serverId: null, mode: 'rw', begun: true }), {
    reason: 'volume_status_unfit',
  });
  await connections.complete(member, reservation);
  assert.equal(await status(id), 'in-use');
  const shown = await connections.get(member, reservation);
  assert.deepEqual([shown.status, shown.mode, shown.local], ['attached', 'ro', false]);
  await connections.remove(member, reservation);
  assert.equal(await status(id), 'available');
});

test('the older calls go the same way, step by step', async () => {
  const [id, { member, admin }] = [await volume(), cloud];
  await connections.reserve(member, id, { serverId: null, mode: 'rw', begun: true });
  assert.equal(await status(id), 'attaching');
  await connections.unreserve(member, id);
  assert.equal(await status(id), 'available');
  await connections.attach(member, id, claim());
  assert.equal(await status(id), 'in-use');
  await connections.unreserve(member, id);
  assert.equal(await status(id), 'in-use', 'what somebody has is not freed so');
  await connections.setDetaching(member, id, true);
  assert.equal(await status(id), 'detaching');
  await connections.setDetaching(member, id, false);
  assert.equal(await status(id), 'in-use');
  await assert.rejects(connections.detach(member, id, { force: true }), { code: 'forbidden' });
  await connections.detach(admin, id, { force: true });
  assert.equal(await status(id), 'available');
  await connections.detach(member, id, { force: false });
});

test('nobody ends what a server has but the compute service', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  const id = await volume();
  const attachment = await testAttachment(db.database, { serverId: ids[0]!, volumeId: id });
  const refused = (work: Promise<unknown>) =>
    assert.rejects(work, { code: 'conflict', reason: 'attachment_of_server' });
  await refused(connections.remove(cloud.member, attachment));
  await refused(connections.complete(cloud.member, attachment));
  await refused(connections.detach(cloud.admin, id, { force: true }));
  await refused(connections.setDetaching(cloud.member, id, true));
  await refused(connections.attach(cloud.member, id, claim()));
  assert.deepEqual(
    [(await connections.get(cloud.member, attachment)).instance, await status(id)],
    [ids[0], 'attaching'],
  );
});

test('attachments of other projects are not there', async () => {
  const [id, stranger] = [await volume(), callerOf(newId())];
  const attachment = await connections.reserve(cloud.member, id, { serverId: null, mode: 'rw', begun: false });
  await assert.rejects(connections.get(stranger, attachment), { code: 'not_found' });
  await assert.rejects(connections.remove(stranger, attachment), { code: 'not_found' });
  await assert.rejects(connections.attach(stranger, id, claim()), { code: 'not_found' });
  const list = async (caller = cloud.member, allProjects = false) =>
    (await connections.list(caller, { filters: [{ column: 'volume_id', values: [id] }] }, { allProjects })).map(
      (one) => one.id,
    );
  assert.deepEqual(await list(), [attachment]);
  assert.deepEqual(await list(stranger, true), []);
  assert.deepEqual(await list(callerOf(newId(), ['admin']), true), [attachment]);
});

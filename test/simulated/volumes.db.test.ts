/** A whole simulated cloud: the life of volumes, from the transaction that makes them to the files of real hosts and back. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { testSealer } from '../../control/identity/testing.ts';
import { ImageService } from '../../control/image/index.ts';
import type { Caller } from '../../control/kit/caller.ts';
import { testProject } from '../../control/kit/database/testing.ts';
import { longestChain } from '../../control/storage/layer/shorten.ts';
import { openStorage } from '../../control/storage/open.ts';
import { emptyWish, type VolumeWish, volumeStatus } from '../../control/storage/volume/index.ts';
import { callerOf, silentLog } from '../../control/storage/volume/testing.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';

let cloud: SimulatedCloud;
let storage: ReturnType<typeof openStorage>['services'];
let member: Caller;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  const { database } = cloud;
  // As the dialects have it: what it writes the control finds in the change log and in the queue.
  const images = new ImageService({ database, log: silentLog });
  const client = { deleteBackup: async () => {}, manageable: async () => ({ files: [] }) };
  storage = openStorage({ database, images, client, sealer: testSealer, log: silentLog }).services;
  member = callerOf(await testProject(database));
});
after(() => cloud[Symbol.asyncDispose]());

const make = (over: Partial<VolumeWish> = {}) => storage.volumes.create(member, { ...emptyWish, sizeGib: 1, ...over });
const removeVolume = (id: string) => storage.volumes.delete(member, id, { cascade: false, force: false });
const removeSnapshot = (id: string) => storage.snapshots.delete(member, id, { force: false });
const until = (what: string, id: string, status: string) =>
  cloud.until(`${what} to be ${status}`, async () => volumeStatus(await storage.volumes.get(member, id)) === status);

/** The files of layers on all hosts. */
const files = () =>
  cloud.hosts
    .flatMap(({ machine }) => readdirSync(join(machine.dataDirectory, 'volumes/layers')))
    .filter((file) => file.endsWith('.qcow2'));
const rows = (table: string) => cloud.count(sql`select count(*) as n from ${sql.table(table)}`);

/** Nothing is left of anything, anywhere. */
async function nothingLeft(): Promise<void> {
  for (const table of ['volume', 'volume_snapshot', 'volume_layer']) {
    await cloud.until(`no ${table} to be left`, async () => (await rows(table)) === 0);
  }
  await cloud.until('no file to be left', () => files().length === 0);
  const promised = sql`select coalesce(sum(promised_bytes), 0) as n from storage_pool_usage`;
  assert.equal(await cloud.count(promised), 0);
}

async function snapshotOf(volumeId: string): Promise<string> {
  const wish = { volumeId, name: '', description: null, metadata: {}, inUse: false };
  const { id } = await storage.snapshots.create(member, wish);
  await cloud.until('the snapshot to be ready', async () => {
    const { ready_at } = await storage.snapshots.get(member, id);
    return ready_at !== null;
  });
  return id;
}

test('volumes spread over the pools of hosts, and a clone is where its source is', async () => {
  const made = await Promise.all(Array.from({ length: 4 }, () => make()));
  for (const { id } of made) await until('a volume', id, 'available');
  const hosts = await Promise.all(made.map(async ({ id }) => (await storage.volumes.get(member, id)).host_id));
  assert.equal(new Set(hosts).size, 2);
  const clone = await make({ sourceVolumeId: made[0]!.id, sizeGib: 2 });
  await until('the clone', clone.id, 'available');
  assert.equal((await storage.volumes.get(member, clone.id)).host_id, hosts[0]);
  assert.equal(files().length, 6, 'what the clone is made of is frozen, and has a new top');
  for (const { id } of [...made, clone]) await removeVolume(id);
  await nothingLeft();
});

test('whoever dies in between, volumes, snapshots and clones come about and go in any order', async () => {
  const source = await make();
  await until('the source', source.id, 'available');
  cloud.hosts[0]!.kill();
  cloud.hosts[1]!.kill();
  const beside = await make();
  await cloud.replaceControl();
  await Promise.all(cloud.hosts.map((host) => host.start()));
  await until('what was asked of a dead host', beside.id, 'available');
  const first = await snapshotOf(source.id);
  const second = await snapshotOf(source.id);
  const clones = await Promise.all([make({ snapshotId: first }), make({ snapshotId: second })]);
  cloud.control.kill();
  cloud.hosts[0]!.dropConnection();
  await cloud.startControl();
  for (const { id } of clones) await until('a clone', id, 'available');
  await removeSnapshot(first);
  await removeVolume(clones[1]!.id);
  cloud.hosts[0]!.kill();
  await removeSnapshot(second);
  await cloud.hosts[0]!.start();
  await cloud.until('snapshots to be gone', async () => (await rows('volume_snapshot')) === 0);
  await removeVolume(source.id);
  await cloud.replaceControl();
  await until('the clone that outlives all', clones[0]!.id, 'available');
  for (const id of [clones[0]!.id, beside.id]) await removeVolume(id);
  await nothingLeft();
});

test('a volume whose snapshots come and go keeps a short chain of files', async () => {
  const { id } = await make();
  await until('the volume', id, 'available');
  for (let round = 0; round < longestChain + 4; round++) {
    await removeSnapshot(await snapshotOf(id));
  }
  await cloud.until('the chain to be merged', () => files().length <= longestChain / 2 + 4);
  assert.equal(volumeStatus(await storage.volumes.get(member, id)), 'available');
  await removeVolume(id);
  await nothingLeft();
});

test('a volume comes back from a backup after whoever made it died, and no file is left when all are gone', async () => {
  const backupFiles = () =>
    cloud.hosts
      .flatMap(({ machine }) => readdirSync(join(machine.dataDirectory, 'backups')))
      .filter((name) => !name.startsWith('.'));
  const backupIs = (id: string, status: string) =>
    cloud.until(`the backup to be ${status}`, async () => (await storage.backups.get(member, id)).status === status);
  const source = await make();
  await until('the source', source.id, 'available');
  const wish = {
    volumeId: source.id,
    snapshotId: null,
    name: '',
    description: null,
    metadata: {},
    container: null,
    zone: null,
  };
  const begin = (incremental: boolean) => storage.backups.create(member, { ...wish, incremental, force: false });
  const full = await begin(false);
  for (const host of cloud.hosts) host.kill();
  await cloud.replaceControl();
  await Promise.all(cloud.hosts.map((host) => host.start()));
  await backupIs(full.id, 'available');
  const next = await begin(true);
  await backupIs(next.id, 'available');
  await until('the source', source.id, 'available');
  assert.deepEqual(backupFiles().sort(), [`${full.id}.qcow2`, `${next.id}.qcow2`].sort());
  const { volumeId } = await storage.backups.restore(member, full.id, { volumeId: null, name: null });
  cloud.control.kill();
  await cloud.startControl();
  await until('what was restored', volumeId, 'available');
  await backupIs(full.id, 'available');
  await storage.backups.restore(member, full.id, { volumeId, name: null });
  await until('what was restored again', volumeId, 'available');
  for (const id of [source.id, volumeId]) await removeVolume(id);
  await nothingLeft();
  for (const { id } of [next, full]) await storage.backups.delete(member, id, { force: false });
  await cloud.until('no backup to be left', async () => (await rows('backup')) === 0);
  assert.deepEqual(backupFiles(), []);
});

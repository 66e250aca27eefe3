/** A whole simulated cloud: replicas of volumes, from the type that asks for them to the files of two real hosts, and the loss of one of them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { testSealer } from '../../control/identity/testing.ts';
import { ImageService } from '../../control/image/index.ts';
import type { Caller } from '../../control/kit/caller.ts';
import { testProject, testUser } from '../../control/kit/database/testing.ts';
import { openStorage } from '../../control/storage/open.ts';
import { ReplicaService } from '../../control/storage/replication/index.ts';
import { emptyWish } from '../../control/storage/volume/index.ts';
import { callerOf, silentLog } from '../../control/storage/volume/testing.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';

let cloud: SimulatedCloud;
let storage: ReturnType<typeof openStorage>['services'];
let replicas: ReplicaService;
let admin: Caller;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  const { database } = cloud;
  const images = new ImageService({ database, log: silentLog });
  const client = { deleteBackup: async () => {}, manageable: async () => ({ files: [] }) };
  storage = openStorage({ database, images, client, sealer: testSealer, log: silentLog }).services;
  replicas = new ReplicaService({ database });
  admin = callerOf(await testProject(database), ['admin', 'member']);
  await testUser(database, admin.userId);
  const specs = { replication_enabled: '<is> True', 'bothy:replication_rpo_seconds': '10' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'replicated', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    database.query,
  );
});
after(() => cloud[Symbol.asyncDispose]());

const directoryOf = (host: SimulatedCloud['hosts'][number]) => join(host.machine.dataDirectory, 'volumes/layers');
const filesOf = (host: SimulatedCloud['hosts'][number]) =>
  readdirSync(directoryOf(host)).filter((file) => file.endsWith('.qcow2'));
/** Whether any file of the host has it. */
const holds = (host: SimulatedCloud['hosts'][number], payload: string) =>
  filesOf(host).some((file) => readFileSync(join(directoryOf(host), file)).includes(payload));

test('what is written is on the other host when its host is lost, and the volume goes on there; the old one comes back as a replica', async () => {
  const { id } = await storage.volumes.create(admin, { ...emptyWish, sizeGib: 1, type: 'replicated' });
  const shown = async () => (await replicas.get(admin, id))!;
  await cloud.until('the first replica', async () => (await shown()).status === 'enabled');
  const { host_id: hostId, layer_id: top } = await storage.volumes.get(admin, id);
  const home = cloud.hosts.find((host) => host.id === hostId)!;
  const away = cloud.hosts.find((host) => host.id !== hostId)!;
  // As QEMU writes: the first table, then data at the end.
  const file = join(directoryOf(home), `${top}.qcow2`);
  const bytes = readFileSync(file);
  bytes.writeBigUInt64BE(0x80_00_00_00_00_04_00_00n, Number(bytes.readBigUInt64BE(40)));
  writeFileSync(file, Buffer.concat([bytes, Buffer.from('what a guest wrote')]));
  cloud.control.kill();
  await cloud.startControl();
  await cloud.until('it to be on the other host', () => holds(away, 'what a guest wrote'));
  await cloud.until('the round to be complete', async () => (await shown()).rounds >= 2 && (await shown()).idle);
  home.kill();
  const lost = async () => ({ evidence: { kind: 'administrator' } });
  assert.equal((await replicas.failOver(admin, id, lost)).volume_id, id);
  const now = await storage.volumes.get(admin, id);
  assert.equal(now.host_id, away.id);
  await cloud.until('the new top', () => filesOf(away).includes(`${now.layer_id}.qcow2`));
  await home.start();
  await cloud.until('the volume to have a replica again', async () => {
    const { status, former_kept } = await shown();
    return status === 'enabled' && !former_kept;
  });
  await cloud.until('what it held before to be gone', () => !filesOf(home).includes(`${top}.qcow2`));
  assert.ok(holds(home, 'what a guest wrote'));
  await storage.volumes.delete(admin, id, { cascade: false, force: false });
  await cloud.until('no file to be left', () => cloud.hosts.every((host) => filesOf(host).length === 0));
});

/**
 * The database is lost, or goes back, under volumes: no layer is erased, no guest loses one, and after one command all of it can be managed
 * again, with its snapshots and with who has it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { discard, listQuarantine, recover } from '../../control/compute/recovery/index.ts';
import { registerHost } from '../../control/host/index.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ postgres: 'own' });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const psql = (input: string, database = 'bothy') =>
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', cloud.databaseUrl.replace('/bothy?', `/${database}?`)], {
    ...{ input, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'inherit'] },
  });
const dump = () =>
  execFileSync('pg_dump', ['--clean', '--if-exists', cloud.databaseUrl], { encoding: 'utf8', maxBuffer: 2 ** 28 });

/** Control goes, something happens to the database, and control is there again with its host. */
async function lose(happens: () => void): Promise<void> {
  cloud.control.kill();
  happens();
  await cloud.startControl();
  for (const host of cloud.identity.hosts) await registerHost(cloud.database, host);
  await cloud.until('the host to be connected', async () => (await cloud.connectedHosts()) === 1);
  tenancy = { ...tenancy, client: await cloud.client() };
}
const empty = () => psql('drop database bothy with (force);\ncreate database bothy;\n', 'postgres');

async function must(method: string, path: string, body?: object) {
  const version = { 'openstack-api-version': 'volume 3.68' };
  const answer = await tenancy.client.call(method, 'block-storage', path, body, version);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
const shown = async (kind: 'volume' | 'snapshot', id: string) => (await must('GET', `/${kind}s/${id}`))[kind];
const is = (kind: 'volume' | 'snapshot', id: string, status: string) =>
  cloud.until(`${kind} ${id} to be ${status}`, async () => (await shown(kind, id)).status === status);

async function made(over: object = {}): Promise<string> {
  const { id } = (await must('POST', '/volumes', { volume: { size: 1, name: '小屋 🏔', ...over } })).volume;
  await is('volume', id, 'available');
  return id;
}
async function snapshotOf(volume_id: string): Promise<string> {
  const wish = { volume_id, name: 'as it was 🏔', force: true };
  const { id } = (await must('POST', '/snapshots', { snapshot: wish })).snapshot;
  await is('snapshot', id, 'available');
  return id;
}
async function attached(name: string, volumeId: string): Promise<ServerId> {
  const id = await createServer(tenancy, name);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await tenancy.client.must('POST', 'compute', `/servers/${id}/os-volume_attachments`, {
    volumeAttachment: { volumeId },
  });
  await is('volume', volumeId, 'in-use');
  return id;
}
const detach = (server: ServerId, volume: string) =>
  tenancy.client.must('DELETE', 'compute', `/servers/${server}/os-volume_attachments/${volume}`);

const host = () => cloud.hosts[0]!;
const files = () =>
  readdirSync(join(host().machine.dataDirectory, 'volumes/layers'))
    .filter((file) => file.endsWith('.qcow2'))
    .sort();
const disksOf = (id: ServerId) =>
  host()
    .machine.qemus.guest(id)
    ?.machine.disks.map((disk) => disk.id);

/** What is there, and a check that all of it still is. */
function remember(servers: readonly ServerId[]): () => void {
  const look = () => [files(), servers.map((id) => [host().machine.qemus.guest(id)?.pid, disksOf(id)])];
  const before = look();
  return () => assert.deepEqual(look(), before);
}

/** The host has the newest document of every layer. */
const settled = () =>
  cloud.until('the host to know its layers', async () => {
    const { rows } = await sql<{ busy: number }>`select (select count(*) from operation where state = 'running')
      + (select count(*) from volume_layer where observed_generation < generation) as busy`.execute(
      cloud.database.query,
    );
    return rows[0]!.busy === 0;
  });
const quarantined = (layers: number, servers: number) =>
  cloud.until(`${layers} layers and ${servers} servers to be quarantined`, async () => {
    const found = await listQuarantine(cloud);
    return found.layers.length === layers && found.servers.length === servers;
  });
const told = async () =>
  (await recover(cloud))
    .filter(({ kind }) => kind !== 'image')
    .map(({ kind, id, outcome, reason }) => [kind, id, outcome, reason]);

async function nothingLeft(): Promise<void> {
  await cloud.until('no layer to be left', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume_layer) + (select count(*) from volume)
      + (select count(*) from volume_attachment) + (select count(*) from volume_key) as n`.execute(
      cloud.database.query,
    );
    return rows[0]!.n === 0 && files().length === 0;
  });
}

test('an empty database: guests keep their volumes, and volumes their snapshots, clones, names and slots', async () => {
  const [used, free] = [await made(), await made({ name: 'free' })];
  const server = await attached('one', used);
  const snapshot = await snapshotOf(used);
  const clone = await made({ name: 'clone', snapshot_id: snapshot, size: null });
  await settled();
  const assertSame = remember([server]);
  await lose(empty);
  await quarantined(files().length, 1);
  assertSame();
  const outcomes = await told();
  assert.deepEqual(
    new Set(outcomes.map(([kind, id, outcome]) => `${kind} ${id} ${outcome}`)),
    new Set([
      ...[used, free, clone].map((id) => `volume ${id} remake`),
      ...[`snapshot ${snapshot} remake`, `server ${server} remake`],
    ]),
  );
  await quarantined(0, 0);
  assertSame();
  await is('volume', used, 'in-use');
  const found = await shown('volume', used);
  assert.deepEqual([found.name, found.size, found.attachments[0].server_id], ['小屋 🏔', 1, server]);
  assert.deepEqual(
    [(await shown('volume', free)).status, (await shown('snapshot', snapshot)).name],
    ['available', 'as it was 🏔'],
  );
  assert.deepEqual(await told(), [], 'nothing is left to do');
  // It can be managed as any other.
  await must('POST', `/volumes/${clone}/action`, { 'os-extend': { new_size: 2 } });
  await is('volume', clone, 'available');
  await snapshotOf(used);
  await detach(server, used);
  await is('volume', used, 'available');
  await deleteServer(cloud, tenancy, server);
  await reaches(cloud, tenancy, server, 'gone');
  await must('DELETE', `/volumes/${used}?cascade=true`);
  for (const id of [free, clone]) await must('DELETE', `/volumes/${id}`);
  await nothingLeft();
});

test('an older dump: what was snapped, made, attached and deleted since', async () => {
  tenancy = await makeTenancy(cloud);
  const [kept, gone] = [await made(), await made({ name: 'gone' })];
  const server = await attached('one', kept);
  await settled();
  const text = dump();
  const [snapshot, young] = [await snapshotOf(kept), await made({ name: 'young' })];
  await tenancy.client.must('POST', 'compute', `/servers/${server}/os-volume_attachments`, {
    volumeAttachment: { volumeId: young },
  });
  await is('volume', young, 'in-use');
  await must('DELETE', `/volumes/${gone}`);
  await cloud.until('it to be gone', async () => (await rowsOf(gone)) === 0);
  await settled();
  const assertSame = remember([server]);
  await lose(() => psql(text));
  await cloud.until('everything to be taken up', async () => {
    await recover(cloud);
    const left = await listQuarantine(cloud);
    return left.servers.length + left.layers.length === 0 && (await rowsOf(young)) > 0;
  });
  assertSame();
  await is('snapshot', snapshot, 'available');
  for (const id of [kept, young]) await is('volume', id, 'in-use');
  await is('volume', gone, 'error');
  assertSame();
  for (const id of [kept, young]) await detach(server, id);
  for (const id of [kept, young]) await is('volume', id, 'available');
  await deleteServer(cloud, tenancy, server);
  await reaches(cloud, tenancy, server, 'gone');
  await must('DELETE', `/volumes/${kept}?cascade=true`);
  for (const id of [gone, young]) await must('DELETE', `/volumes/${id}`);
  await nothingLeft();
});
const rowsOf = (id: string) => cloud.count(sql`select count(*) as n from volume_layer where volume_id = ${id}`);

test('a recovery that is cut off after any step comes to the same end, and what is discarded goes, but for what others build on', async () => {
  tenancy = await makeTenancy(cloud);
  const [source, unwanted] = [await made(), await made()];
  const clone = await made({ source_volid: source });
  const server = await attached('one', clone);
  await settled();
  const before = files();
  await lose(empty);
  await quarantined(before.length, 1);
  const outcomes = await discard(cloud, [source, unwanted, clone]);
  assert.deepEqual(outcomes.map(({ outcome, reason }) => `${outcome} ${reason ?? ''}`.trim()).sort(), [
    ...['discarded', 'discarded'],
    ...['leave others that stay build on it', `leave server ${server} has it`],
  ]);
  await quarantined(2, 1);
  await cloud.until('two files to be gone', () => files().length === before.length - 2);
  const assertSame = remember([server]);
  for (let cut = 1; ; cut++) {
    let taken = 0;
    const died = await recover({
      database: cloud.database,
      afterStep: () => {
        if (++taken === cut) throw new Error('the process died');
      },
    }).then(
      () => false,
      (error: Error) => error.message === 'the process died',
    );
    if (!died) break;
  }
  await quarantined(0, 0);
  await is('volume', clone, 'in-use');
  assertSame();
  await deleteServer(cloud, tenancy, server);
  await reaches(cloud, tenancy, server, 'gone');
  await must('DELETE', `/volumes/${clone}`);
  await nothingLeft();
});

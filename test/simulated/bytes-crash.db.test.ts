/** The bytes of an image under way, up and down, while a process on the way dies: nothing half-made, nothing left over. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { enqueue } from '../../control/kit/queue/queue.ts';
import type { OpenStack } from '../support/openstack.ts';
import { whole } from '../support/part-of.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';

let cloud: SimulatedCloud;
let client: OpenStack;
before(async () => {
  cloud = await SimulatedCloud.start();
  await sql`update quota set maximum = -1 where project_id is null`.execute(cloud.database.query);
});
beforeEach(async () => {
  client = await cloud.client();
});
after(() => cloud[Symbol.asyncDispose]());

// More than sockets and streams on the way hold.
const bytes = randomBytes(12 * 2 ** 20);
const half = bytes.length / 2;
const host = () => cloud.hosts[0]!;

async function newImage(by = client): Promise<string> {
  const { id } = await by.must('POST', 'image', '/v2/images', { disk_format: 'raw', container_format: 'bare' });
  return id;
}

const statusOf = async (id: string) => (await client.must('GET', 'image', `/v2/images/${id}`)).status as string;

const octets = { 'content-type': 'application/octet-stream' };
const put = (id: string) => client.call('PUT', 'image', `/v2/images/${id}/file`, bytes, octets);

function request(method: string, id: string, headers: Record<string, string> = {}, by = client) {
  return https.request(by.url('image', `/v2/images/${id}/file`), {
    ...{ method, agent: false, ca: readFileSync(cloud.identity.ca) },
    headers: { 'x-auth-token': by.token, ...headers },
  });
}

/** The same person in another project. */
async function elsewhere(): Promise<OpenStack> {
  const { project } = await client.must('POST', 'identity', '/v3/projects', { project: { name: newId() } });
  const { users } = await client.must('GET', 'identity', '/v3/users?name=admin');
  const { roles } = await client.must('GET', 'identity', '/v3/roles?name=admin');
  await client.must('PUT', 'identity', `/v3/projects/${project.id}/users/${users[0].id}/roles/${roles[0].id}`);
  return cloud.client({ project: project.name });
}

/** Half of the bytes are on the host; `ended` tells with what it was answered, or that it was cut. */
async function halfUpload(id: string, headers: Record<string, string> = {}) {
  const upload = request('PUT', id, { ...octets, ...headers });
  const ended = new Promise<number | 'cut'>((resolve) => {
    upload.once('error', () => resolve('cut'));
    upload.once('response', (response) => {
      response.resume().once('error', () => {});
      resolve(response.statusCode!);
    });
  });
  upload.write(bytes.subarray(0, half));
  await cloud.until('the host to receive', () => incoming().length === 1);
  return { upload, ended };
}

/** The first bytes of a download have come, and it is read no further; `end` reads on. */
async function halfDownload(id: string) {
  const download = request('GET', id).end();
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    download.once('response', resolve).once('error', reject);
  });
  response.on('error', () => {});
  const closed = new Promise((resolve) => response.once('close', resolve));
  await new Promise((resolve) => response.once('readable', resolve));
  const end = async () => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    await closed;
    return { whole: response.complete, bytes: Buffer.concat(chunks) };
  };
  return { response, end };
}

const incoming = () => readdirSync(join(host().machine.dataDirectory, 'images/incoming'));
const stored = (id: string) =>
  readdirSync(join(host().machine.dataDirectory, 'images/files')).filter((name) => name.startsWith(id));
const hostConnected = () => cloud.until('the host to be back', async () => (await cloud.connectedHosts()) === 1);

/** The image can be used as if nothing had been. */
async function succeeds(id: string): Promise<void> {
  const answer = await put(id);
  assert.equal(answer.status, 204, JSON.stringify(answer.body));
  const image = await client.must('GET', 'image', `/v2/images/${id}`);
  assert.deepEqual(
    [image.status, image.checksum, image.os_hash_value],
    ['active', createHash('md5').update(bytes).digest('hex'), createHash('sha512').update(bytes).digest('hex')],
  );
  assert.deepEqual(incoming(), []);
  const { end } = await halfDownload(id);
  const { whole, bytes: got } = await end();
  assert.ok(whole && got.equals(bytes));
}

async function leaseRunsOut(id: string): Promise<void> {
  await sql`update image_upload set deadline = now() where image_id = ${id}`.execute(cloud.database.query);
  await enqueue(cloud.database.query, 'image', id);
}

for (const [what, headers] of [
  ['of known length', { 'content-length': String(bytes.length) }],
  ['in chunks', {}],
] as const) {
  test(`an upload ${what} whose client goes away is queued again`, async () => {
    const id = await newImage();
    const { upload } = await halfUpload(id, headers);
    upload.destroy();
    await cloud.until('the image to be queued', async () => (await statusOf(id)) === 'queued');
    await cloud.until('nothing to be left', () => incoming().length === 0 && stored(id).length === 0);
    await succeeds(id);
  });

  test(`an upload ${what} whose host dies is refused, and queued again`, async () => {
    const id = await newImage();
    const { upload, ended } = await halfUpload(id, headers);
    host().kill();
    await cloud.until('the image to be queued', async () => (await statusOf(id)) === 'queued');
    upload.end();
    assert.equal(await ended, 503);
    await host().start();
    await hostConnected();
    await cloud.until('nothing to be left', () => incoming().length === 0 && stored(id).length === 0);
    await succeeds(id);
  });

  test(`an upload ${what} whose control dies is cut, and queued again when its lease has run out`, async () => {
    const id = await newImage();
    const { ended } = await halfUpload(id, headers);
    await cloud.replaceControl();
    assert.equal(await ended, 'cut');
    client = await cloud.client();
    await hostConnected();
    assert.equal(await statusOf(id), 'saving');
    await leaseRunsOut(id);
    await cloud.until('the image to be queued', async () => (await statusOf(id)) === 'queued');
    await cloud.until('nothing to be left', () => incoming().length === 0 && stored(id).length === 0);
    await succeeds(id);
  });
}

test('a download whose host or control dies is cut short, never taken for whole, and works again afterwards', async () => {
  const id = await newImage();
  await succeeds(id);
  for (const kill of [
    async () => {
      host().kill();
      await host().start();
    },
    () => cloud.replaceControl(),
  ]) {
    const { end } = await halfDownload(id);
    await kill();
    const { whole, bytes: got } = await end();
    assert.equal(whole, false);
    assert.ok(got.length < bytes.length && got.equals(bytes.subarray(0, got.length)));
    client = await cloud.client();
    await hostConnected();
    const again = await halfDownload(id);
    assert.ok((await again.end()).bytes.equals(bytes));
    assert.deepEqual(await statusOf(id), 'active');
  }
});

const many = whole ? 50 : 10;

test(`${many} downloads that are not read, and ${many} uploads that do not come, hinder nobody`, async () => {
  const id = await newImage();
  await succeeds(id);
  const downloads = await Promise.all(Array.from({ length: many }, () => halfDownload(id)));
  // Of one project no more run at a time; the next ones wait for their turn.
  const projects = await Promise.all(Array.from({ length: Math.ceil(many / 8) }, elsewhere));
  const uploads = await Promise.all(
    Array.from({ length: many }, async (_, index) => {
      const by = projects[index % projects.length]!;
      return request('PUT', await newImage(by), { ...octets, 'content-length': String(bytes.length) }, by);
    }),
  );
  for (const upload of uploads) upload.on('error', () => {}).write('x');
  await cloud.until('all uploads to be under way', async () => {
    return (await cloud.count(sql`select count(*) as n from image where status = 'saving'`)) === many;
  });
  assert.equal((await put(await newImage())).status, 204);
  for (const { response } of downloads) response.destroy();
  for (const upload of uploads) upload.destroy();
  await cloud.until('all images to be queued', async () => {
    return (await cloud.count(sql`select count(*) as n from image where status = 'saving'`)) === 0;
  });
  await cloud.until('nothing to be left', () => incoming().length === 0);
});

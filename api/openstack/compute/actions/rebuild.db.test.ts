/** What a client sees of a rebuild; in Nova's words, at Nova's versions. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../../contract/ids.ts';
import { serverActions } from '../../../../control/compute/server/index.ts';
import { type ComputeApi, computeApi } from '../testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost();
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const wish = api.cloud.wish({ flavor, configDrive: true, metadata: { was: 'there' } });
  const { ids } = await api.cloud.service.create(api.cloud.member, wish);
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}

const rebuild = (id: string, wish: object, version = 1) =>
  api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body: { rebuild: wish }, version });

test('a rebuild keeps the server and its ports, and takes what is given anew', async () => {
  const id = await active();
  const before = await api.cloud.service.interfaces([id]);
  const imageRef = api.cloud.imageId;
  const wish = { imageRef, name: '小屋 🏔', metadata: { is: 'anew' }, adminPass: '密 🏔', accessIPv4: '192.0.2.7' };
  const { status, body, headers } = await rebuild(id, wish);
  assert.equal(status, 202);
  assert.match(String(headers.location), new RegExp(`/servers/${id}$`));
  const { server } = body;
  assert.deepEqual(
    [server.id, server.name, server.status, server.metadata, server.adminPass, server.accessIPv4],
    [id, '小屋 🏔', 'REBUILD', { is: 'anew' }, '密 🏔', '192.0.2.7'],
  );
  const [document] = await api.cloud.side.desiredServers(api.cloud.database.query, { serverIds: [id] });
  assert.equal(document!.rootCount, document!.generation);
  assert.equal(document!.adminPassword, '密 🏔');
  await api.cloud.obey(host);
  const shown = (await api.call(api.cloud.member, 'GET', `/servers/${id}`)).body.server;
  assert.deepEqual([shown.status, shown['OS-EXT-STS:task_state']], ['ACTIVE', null]);
  assert.deepEqual(await api.cloud.service.interfaces([id]), before);
});

test('key, user data and description come with their versions, and go with null', async () => {
  const id = await active();
  const imageRef = api.cloud.imageId;
  const { userId } = api.cloud.member;
  await sql`insert into key_pair (id, user_id, name, type, public_key, fingerprint)
    values (${newId()}, ${userId}, 'ключ', 'ssh', 'ssh-ed25519 AAAA', 'aa')`.execute(api.cloud.database.query);
  for (const [version, wish] of [
    [1, { description: 'x' }],
    [53, { key_name: 'ключ' }],
    [56, { user_data: 'eA==' }],
    [57, { personality: [] }],
    [89, { hostname: 'a-host' }],
  ] as const) {
    assert.equal((await rebuild(id, { imageRef, ...wish }, version)).status, 400, JSON.stringify(wish));
  }
  const wish = { imageRef, key_name: 'ключ', user_data: 'eA==', description: 'd', hostname: 'a-host' };
  const given = (await rebuild(id, wish, 90)).body.server;
  assert.deepEqual([given.key_name, given.user_data, given.description], ['ключ', 'eA==', 'd']);
  await api.cloud.obey(host);
  const taken = (await rebuild(id, { imageRef, key_name: null, user_data: null }, 57)).body.server;
  assert.deepEqual([taken.key_name, taken.user_data], [null, null]);
});

test('what cannot be had is refused, and the server is left as it was', async () => {
  const id = await active();
  const imageRef = api.cloud.imageId;
  const cases: [object, number, string][] = [
    [{ imageRef: newId() }, 1, 'Cannot find image for rebuild'],
    [{ imageRef, preserve_ephemeral: true }, 1, 'The current driver does not support preserving ephemeral partitions.'],
    [{ imageRef, key_name: 'none' }, 54, 'Invalid key_name provided.'],
  ];
  for (const [wish, version, message] of cases) {
    const { status, body } = await rebuild(id, wish, version);
    assert.deepEqual([status, body.badRequest.message], [400, message]);
  }
  assert.equal((await rebuild(id, {})).status, 400);
  assert.equal((await api.cloud.service.get(api.cloud.member, id)).desired_root_count, 0);
  await api.cloud.service.act(api.cloud.member, id, serverActions.pause);
  const { status, body } = await rebuild(id, { imageRef });
  assert.equal(status, 409);
  assert.match(body.conflictingRequest.message, /^Cannot 'rebuild' instance/);
});

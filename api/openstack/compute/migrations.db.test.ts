import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let host: HostId;
let flavors: string[];
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost({ name: 'rack-1' });
  flavors = [await api.cloud.addFlavor(), await api.cloud.addFlavor({ vcpus: 2 })];
});
after(() => api[Symbol.asyncDispose]());

async function activeServer(): Promise<string> {
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor: flavors[0]! }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}
async function act(id: string, body: object): Promise<void> {
  const answer = await api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
}
const list = async (query = '', version = 80, caller = api.cloud.admin) =>
  (await api.call(caller, 'GET', `/os-migrations${query}`, { version })).body.migrations;

test('a resize is a migration, from its beginning to its confirmation or its revert', async () => {
  for (const [end, ending, ended] of [
    ['confirmResize', 'confirming', 'confirmed'],
    ['revertResize', 'reverting', 'reverted'],
  ]) {
    const id = await activeServer();
    const status = async () => (await list(`?instance_uuid=${id}`)).map((row: { status: string }) => row.status);
    assert.deepEqual(await status(), []);
    await act(id, { resize: { flavorRef: flavors[1] } });
    assert.deepEqual(await status(), ['migrating']);
    await api.cloud.obey(host);
    assert.deepEqual(await status(), ['finished']);
    await act(id, { [end!]: null });
    assert.deepEqual(await status(), [ending]);
    await api.cloud.obey(host);
    assert.deepEqual(await status(), [ended]);
  }
});

test('whoever deletes a server that is resized has confirmed it', async () => {
  const id = await activeServer();
  await act(id, { resize: { flavorRef: flavors[1] } });
  await api.cloud.obey(host);
  assert.equal((await api.call(api.cloud.member, 'DELETE', `/servers/${id}`)).status, 204);
  const [migration] = await list(`?instance_uuid=${id}`);
  assert.equal(migration.status, 'confirmed');
});

test('a migration has the form of each version', async () => {
  const id = await activeServer();
  await act(id, { resize: { flavorRef: flavors[1] } });
  const one = async (version: number) =>
    (await list('', version)).find((row: { instance_uuid: string }) => row.instance_uuid === id);
  const old = await one(1);
  assert.deepEqual(
    [old.source_compute, old.dest_node, old.dest_host, old.status, 'migration_type' in old, 'uuid' in old],
    ['rack-1', 'rack-1', host, 'migrating', false, false],
  );
  assert.ok(old.old_instance_type_id < old.new_instance_type_id);
  assert.deepEqual([(await one(23)).migration_type, 'uuid' in (await one(58))], ['resize', false]);
  const { uuid } = await one(59);
  assert.ok(uuid);
  assert.deepEqual(
    [(await one(80)).user_id, (await one(80)).project_id],
    [api.cloud.member.userId, api.cloud.projectId],
  );
});

test('migrations are filtered, come in pages from 2.59 on, and what a version does not know is refused', async () => {
  const all = await list();
  assert.ok(all.length >= 2);
  const first = (await api.call(api.cloud.admin, 'GET', '/os-migrations?limit=1', { version: 59 })).body;
  assert.deepEqual([first.migrations.length, first.migrations[0].uuid], [1, all[0].uuid]);
  const second = await list(`?${first.migrations_links[0].href.split('?')[1]}`, 59);
  assert.equal(second[0].uuid, all[1].uuid);
  const none = ['status=running', 'host=other', 'hidden=1', 'migration_type=live-migration', 'instance_uuid=x'];
  for (const query of [...none, `project_id=${newId()}`, 'changes-since=2999-01-01']) {
    assert.deepEqual(await list(`?${query}`), [], query);
  }
  const until = (text: string) => list(`?changes-before=${text}`, 66);
  const newest = all
    .map((one: { updated_at: string }) => one.updated_at)
    .sort()
    .at(-1);
  assert.equal((await until(newest)).length, all.length, 'all of the second that is shown');
  for (const query of ['host=rack-1', `project_id=${api.cloud.projectId}`, `user_id=${api.cloud.member.userId}`]) {
    assert.equal((await list(`?${query}`)).length, all.length, query);
  }
  const refused = async (query: string, version: number) =>
    (await api.call(api.cloud.admin, 'GET', `/os-migrations?${query}`, { version })).status;
  assert.equal(await refused('changes-before=2999-01-01', 65), 400);
  assert.equal(await refused('user_id=x', 79), 400);
  assert.equal(await refused('changes-since=never', 59), 400);
  assert.equal(await refused('changes-since=2026-02-01&changes-before=2026-01-01', 66), 400);
  for (const marker of ['x', newId()]) assert.equal(await refused(`marker=${marker}`, 59), 400);
});

test('managers see their own project’s migrations without hosts; members none', async () => {
  const { member, projectId } = api.cloud;
  const manager = { ...member, roles: new Set(['manager', 'member', 'reader']) };
  const [row] = await list(`?project_id=${projectId}`, 80, manager);
  assert.deepEqual([row.project_id, row.source_compute, row.dest_host], [projectId, null, null]);
  const refused = async (caller: typeof member, query = '') =>
    (await api.call(caller, 'GET', `/os-migrations${query}`, { version: 80 })).status;
  assert.equal(await refused(manager), 403);
  assert.equal(await refused(manager, `?project_id=${newId()}`), 403);
  assert.equal(await refused(member, `?project_id=${projectId}`), 403);
});

test('the live migrations of a server that are under way have the form of each version, and can be called off', async () => {
  const id = await activeServer();
  const call = async (method: string, path: string, version = 24, caller = api.cloud.admin, body?: object) =>
    api.call(caller, method, `/servers/${id}/migrations${path}`, { version, ...(body && { body }) });
  assert.deepEqual((await call('GET', '')).body, { migrations: [] });
  assert.equal((await call('GET', '/1')).status, 404);
  assert.equal((await call('DELETE', '/1')).status, 404);
  assert.equal((await call('GET', '', 22)).status, 404);
  assert.equal((await call('GET', '', 24, api.cloud.member)).status, 403);
  const target = await api.cloud.addHost({ name: 'rack-2' });
  const live = { 'os-migrateLive': { host: 'rack-2', block_migration: 'auto' } };
  const asked = await api.call(api.cloud.admin, 'POST', `/servers/${id}/action`, { body: live, version: 25 });
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  const shown = await api.call(api.cloud.member, 'GET', `/servers/${id}`);
  assert.deepEqual([shown.body.server.status, shown.body.server['OS-EXT-STS:task_state']], ['MIGRATING', 'migrating']);
  const [old] = (await call('GET', '', 23)).body.migrations;
  assert.deepEqual(
    [
      old.status,
      old.server_uuid,
      old.source_compute,
      old.dest_compute,
      old.dest_host,
      old.memory_total_bytes,
      old.uuid,
    ],
    ['preparing', id, 'rack-1', 'rack-2', target, 0, undefined],
  );
  assert.ok((await call('GET', `/${old.id}`, 59)).body.migration.uuid);
  assert.equal((await call('GET', `/${old.id}`, 80)).body.migration.project_id, api.cloud.projectId);
  const [listed] = await list(`?instance_uuid=${id}&migration_type=live-migration`);
  assert.deepEqual(
    [listed.migration_type, listed.status, listed.dest_compute],
    ['live-migration', 'preparing', 'rack-2'],
  );
  // Clients find the progress by this.
  const where = (root: string) => new RegExp(`^https?://.+/compute${root}/servers/${id}/migrations/${old.id}$`);
  const [self, bookmark] = (await list(`?instance_uuid=${id}`, 23))[0].links;
  assert.deepEqual([self.rel, bookmark.rel], ['self', 'bookmark']);
  assert.match(self.href, where('/v2.1'));
  assert.match(bookmark.href, where(''));
  assert.equal('links' in (await list(`?instance_uuid=${id}`, 22))[0], false);
  const force = { force_complete: null };
  assert.equal((await call('POST', `/${old.id}/action`, 21, api.cloud.admin, force)).status, 404);
  assert.equal(
    (await call('POST', `/${old.id}/action`, 22, api.cloud.admin, force)).status,
    400,
    'nothing is sent yet',
  );
  assert.equal((await call('DELETE', `/${old.id}`, 64)).status, 400);
  assert.equal((await call('DELETE', `/${old.id}`, 65, api.cloud.member)).status, 403);
  assert.equal((await call('DELETE', `/${old.id}`, 65)).status, 202);
  assert.equal((await api.cloud.side.desiredServers(api.db.database.query, { hostId: target })).length, 0);
  assert.deepEqual((await call('GET', '')).body, { migrations: [] });
  const [ended] = await list(`?instance_uuid=${id}`);
  assert.deepEqual([ended.status, 'links' in ended], ['cancelled', false]);
  await sql`delete from host where id = ${target}`.execute(api.db.database.query);
  const { body } = await api.call(api.cloud.admin, 'GET', `/servers/${id}/os-instance-actions`, { version: 50 });
  assert.deepEqual(body.instanceActions.map(({ action }: { action: string }) => action).toSorted(), [
    'create',
    'live-migration',
    'live_migration_cancel',
  ]);
});

test('what was done with a server is told from 2.21 on when it is gone, to those who saw it', async () => {
  const id = await activeServer();
  assert.equal((await api.call(api.cloud.member, 'DELETE', `/servers/${id}`)).status, 204);
  await api.cloud.obey(host);
  await api.cloud.controller.reconcile(id);
  const ask = (version: number, path = '', caller = api.cloud.member) =>
    api.call(caller, 'GET', `/servers/${id}/os-instance-actions${path}`, { version });
  assert.equal((await ask(20)).status, 404);
  const { status, body } = await ask(21);
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(
    body.instanceActions.map(({ action }: { action: string }) => action),
    ['delete', 'create'],
  );
  assert.equal((await ask(21, `/${body.instanceActions[0].request_id}`)).body.instanceAction.action, 'delete');
  assert.equal((await ask(21, '', callerOf(newId()))).status, 404);
});

test('pages of what was done with a server go on as the first was asked for, and other parameters are refused from 2.58 on', async () => {
  const id = await activeServer();
  for (const call of ['lock', 'unlock', 'lock']) await act(id, { [call]: null });
  const ask = (query: string, version: number) =>
    api.call(api.cloud.member, 'GET', `/servers/${id}/os-instance-actions?${query}`, { version });
  const first = (await ask('limit=1&changes-since=2020-01-01T00:00:00Z&changes-before=2999-01-01T00:00:00Z', 66)).body;
  const { searchParams } = new URL(first.links[0].href);
  assert.deepEqual(
    [...searchParams].filter(([name]) => name !== 'marker'),
    [
      ['limit', '1'],
      ['changes-since', '2020-01-01T00:00:00Z'],
      ['changes-before', '2999-01-01T00:00:00Z'],
    ],
  );
  assert.equal(searchParams.get('marker'), first.instanceActions[0].request_id);
  for (const [query, version, status] of [
    ['colour=red', 57, 200],
    ['colour=red', 58, 400],
    ['changes-before=2999-01-01T00:00:00Z', 57, 200],
    ['changes-before=2999-01-01T00:00:00Z', 65, 400],
    ['changes-before=2999-01-01T00:00:00Z', 66, 200],
  ] as const)
    assert.equal((await ask(query, version)).status, status, `${query} at 2.${version}`);
});

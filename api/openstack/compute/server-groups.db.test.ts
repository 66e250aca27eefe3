import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());

const make = (server_group: object, version = 64, caller = api.cloud.member) =>
  api.call(caller, 'POST', '/os-server-groups', { body: { server_group }, version });

test('a server group has the form of each version', async () => {
  const old = await make({ name: '小屋 🏔', policies: ['affinity'] }, 1);
  assert.equal(old.status, 200);
  const { id } = old.body.server_group;
  const common = { id, name: '小屋 🏔', members: [] };
  assert.deepEqual(old.body.server_group, { ...common, policies: ['affinity'], metadata: {} });
  const whose = { project_id: api.cloud.projectId, user_id: api.cloud.member.userId };
  const show = async (version: number) =>
    (await api.call(api.cloud.member, 'GET', `/os-server-groups/${id}`, { version })).body.server_group;
  assert.deepEqual(await show(13), { ...common, policies: ['affinity'], metadata: {}, ...whose });
  assert.deepEqual(await show(64), { ...common, policy: 'affinity', rules: {}, ...whose });
  const ruled = await make({ name: 'r', policy: 'anti-affinity', rules: { max_server_per_host: '3' } });
  assert.deepEqual(ruled.body.server_group.rules, { max_server_per_host: 3 });
});

test('what a version does not know of a group, and what makes no sense, is refused', async () => {
  const refused: [object, number?][] = [
    [{ name: 'x', policies: ['soft-affinity'] }, 14],
    [{ name: 'x', policies: ['affinity', 'anti-affinity'] }, 15],
    [{ name: 'x', policies: [] }, 15],
    [{ name: 'x', policies: ['affinity'] }, 64],
    [{ name: 'x', policy: 'affinity' }, 63],
    [{ name: 'x', policy: 'legacy' }],
    [{ name: 'x' }],
    [{ policy: 'affinity' }],
    [{ name: '', policy: 'affinity' }],
    [{ name: 'x', policy: 'affinity', rules: { max_server_per_host: 2 } }],
    [{ name: 'x', policy: 'anti-affinity', rules: { max_server_per_host: 0 } }],
    [{ name: 'x', policy: 'anti-affinity', rules: { other: 1 } }],
  ];
  for (const [wish, version] of refused) {
    const answer = await make(wish, version);
    assert.equal(answer.status, 400, JSON.stringify(wish));
    assert.ok(answer.body.badRequest.message);
  }
});

test('groups are the project’s; administrators see all, and others hear of none', async () => {
  const { member, admin } = api.cloud;
  const { id } = (await make({ name: 'ours', policy: 'affinity' })).body.server_group;
  const other = callerOf(await testProject(api.db.database));
  const list = async (caller = other, query = '') =>
    (await api.call(caller, 'GET', `/os-server-groups${query}`)).body.server_groups.map((g: { id: string }) => g.id);
  assert.deepEqual(await list(), []);
  assert.deepEqual(await list(other, '?all_projects=1'), [], 'overlooked, as Nova does');
  assert.ok((await list(admin, '?all_projects')).includes(id));
  for (const method of ['GET', 'DELETE']) {
    for (const path of [id, newId(), 'no-id']) {
      const answer = await api.call(other, method, `/os-server-groups/${path}`);
      assert.equal(answer.status, 404);
      assert.match(answer.body.itemNotFound.message, /^Instance group .+ could not be found\.$/);
    }
  }
  const reader = { ...member, roles: new Set(['reader']) };
  assert.equal((await api.call(reader, 'DELETE', `/os-server-groups/${id}`)).status, 403);
  assert.equal((await make({ name: 'x', policy: 'affinity' }, 64, reader)).status, 403);
  assert.deepEqual((await list(member, '?limit=1&offset=1')).length, 1);
  assert.equal((await api.call(member, 'GET', '/os-server-groups?limit=x')).status, 400);
  assert.equal((await api.call(member, 'GET', '/os-server-groups?offset=-1')).status, 400);
  assert.equal((await api.call(member, 'GET', '/os-server-groups?x=1', { version: 75 })).status, 400);
  assert.equal((await api.call(member, 'DELETE', `/os-server-groups/${id}`)).status, 204);
  assert.equal((await api.call(member, 'GET', `/os-server-groups/${id}`)).status, 404);
});

test('a server is made in a group by a hint, shows it, and outlives it', async () => {
  const { member } = api.cloud;
  const { id } = (await make({ name: 'hinted', policy: 'anti-affinity' })).body.server_group;
  const flavorRef = await api.cloud.addFlavor();
  const create = (group: unknown, name = 'os:scheduler_hints') =>
    api.call(member, 'POST', '/servers', {
      body: { server: { name: 's', flavorRef, imageRef: api.cloud.imageId }, [name]: { group } },
    });
  for (const unknown of [newId(), 'x', 7, null]) assert.equal((await create(unknown)).status, 400);
  const made = await create(id, 'OS-SCH-HNT:scheduler_hints');
  assert.equal(made.status, 202, JSON.stringify(made.body));
  const server = made.body.server.id;
  const groups = async () =>
    (await api.call(member, 'GET', `/servers/${server}`, { version: 71 })).body.server.server_groups;
  assert.deepEqual(await groups(), [id]);
  const shown = await api.call(member, 'GET', `/os-server-groups/${id}`);
  assert.deepEqual(shown.body.server_group.members, [server]);
  await sql`update server set soft_deleted_at = now() where id = ${server}`.execute(api.db.database.query);
  assert.deepEqual((await api.call(member, 'GET', `/os-server-groups/${id}`)).body.server_group.members, []);
  await sql`update server set soft_deleted_at = null where id = ${server}`.execute(api.db.database.query);
  assert.equal((await api.call(member, 'DELETE', `/os-server-groups/${id}`)).status, 204);
  assert.deepEqual(await groups(), []);
});

test('a server is made beside others, or away from them, by hints that name one or several', async () => {
  const { member } = api.cloud;
  const flavorRef = await api.cloud.addFlavor();
  const create = (hints: object) =>
    api.call(member, 'POST', '/servers', {
      body: { server: { name: 's', flavorRef, imageRef: api.cloud.imageId }, 'os:scheduler_hints': hints },
    });
  const wishOf = async (hints: object) => {
    const made = await create(hints);
    assert.equal(made.status, 202, JSON.stringify(made.body));
    const { rows } = await sql`select same_host, different_host from server where id = ${made.body.server.id}`.execute(
      api.db.database.query,
    );
    return rows[0];
  };
  const [one, other] = [newId(), newId()];
  assert.deepEqual(await wishOf({ same_host: one }), { same_host: [one], different_host: null });
  assert.deepEqual(await wishOf({ same_host: [], different_host: [one, other.toUpperCase(), one] }), {
    same_host: null,
    different_host: [one, other],
  });
  for (const bad of ['x', ['x'], null, 7, { id: one }]) {
    assert.equal((await create({ same_host: bad })).status, 400);
    assert.equal((await create({ different_host: bad })).status, 400);
  }
});

test('the number of groups and of a group’s members is the quota’s', async () => {
  const projectId = await testProject(api.db.database);
  const caller = callerOf(projectId);
  const limits = { server_groups: 2, server_group_members: 3 };
  const body = { quota_set: limits };
  assert.equal((await api.call(api.cloud.admin, 'PUT', `/os-quota-sets/${projectId}`, { body })).status, 200);
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => make({ name: 'x', policy: 'affinity' }, 64, caller)),
  );
  const groups = answers.filter(({ status }) => status === 200);
  assert.equal(groups.length, 2);
  assert.match(
    answers.find(({ status }) => status === 403)!.body.forbidden.message,
    /^Quota exceeded, too many server groups/,
  );
  const { absolute } = (await api.call(caller, 'GET', '/limits')).body.limits;
  assert.deepEqual(
    [absolute.maxServerGroups, absolute.totalServerGroupsUsed, absolute.maxServerGroupMembers],
    [2, 2, 3],
  );
  const flavorRef = await api.cloud.addFlavor();
  const create = (count: object) =>
    api.call(caller, 'POST', '/servers', {
      version: 37,
      body: {
        server: { name: 's', flavorRef, imageRef: api.cloud.imageId, networks: 'none', ...count },
        'os:scheduler_hints': { group: groups[0]!.body.server_group.id },
      },
    });
  assert.equal((await create({ min_count: 4, max_count: 4 })).status, 403);
  const several = await Promise.all(Array.from({ length: 6 }, () => create({})));
  assert.equal(several.filter(({ status }) => status === 202).length, 3);
  assert.equal(several.filter(({ status }) => status === 403).length, 3);
});

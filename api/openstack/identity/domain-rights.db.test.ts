/** What readers and managers of a domain may there, and nowhere else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asAdministrator, byPassword, names, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
let { call, make } = {} as ReturnType<typeof asAdministrator>;
let domain: { id: string };
let elsewhere: { user: { id: string }; group: { id: string }; project: { id: string } };
let own: typeof elsewhere;
let manager: string;
let reader: string;
const roles: Record<string, string> = {};

const password = 'of everybody here';
const furnish = async (domainId: string) => ({
  user: await make('user', { name: unique(), domain_id: domainId, password }),
  group: await make('group', { name: unique(), domain_id: domainId }),
  project: await make('project', { name: unique(), domain_id: domainId }),
});
const as = (
  token: string,
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE' | 'HEAD',
  path: string,
  body?: unknown,
) => api.call({ method, path: `/identity/v3/${path}`, token, body });

before(async () => {
  api = await testApi();
  ({ call, make } = asAdministrator(api));
  for (const { name, id } of (await call('GET', 'roles')).body.roles) roles[name] = id;
  domain = await make('domain', { name: unique() });
  own = await furnish(domain.id);
  elsewhere = await furnish('default');
  const person = async (role: string) => {
    const { id } = await make('user', { name: unique(), domain_id: domain.id, password });
    await call('PUT', `domains/${domain.id}/users/${id}/roles/${roles[role]}`);
    return api.login(byPassword(id, password), { domain: { id: domain.id } });
  };
  [manager, reader] = [await person('manager'), await person('reader')];
});
after(() => api[Symbol.asyncDispose]());

test('a reader of a domain reads what is in it, and lists are of it only', async () => {
  for (const [noun, { id }] of Object.entries(own)) {
    assert.equal((await as(reader, 'GET', `${noun}s/${id}`)).status, 200, noun);
    const { status, body } = await as(reader, 'GET', `${noun}s`);
    assert.equal(status, 200);
    assert.ok(body[`${noun}s`].every((row: { domain_id: string }) => row.domain_id === domain.id));
    assert.equal((await as(reader, 'GET', `${noun}s?domain_id=default`)).status, 403);
    assert.equal((await as(reader, 'GET', `${noun}s/${elsewhere[noun as 'user'].id}`)).status, 403);
    assert.equal((await as(reader, 'GET', `${noun}s/${crypto.randomUUID()}`)).status, 403, 'nor whether there is one');
    assert.equal((await as(reader, 'PATCH', `${noun}s/${id}`, { [noun]: { name: 'stolen' } })).status, 403);
    assert.equal((await as(reader, 'DELETE', `${noun}s/${id}`)).status, 403);
    assert.equal(
      (await as(reader, 'POST', `${noun}s`, { [noun]: { name: unique(), domain_id: domain.id } })).status,
      403,
    );
  }
  assert.equal((await as(reader, 'GET', 'domains')).body.domains.length, 1);
  const { role_assignments: found } = (await as(reader, 'GET', 'role_assignments')).body;
  assert.ok(
    found.length > 0 &&
      found.every(({ scope }: { scope: { domain?: { id: string } } }) => scope.domain?.id === domain.id),
  );
});

test('a manager makes, changes and removes users, groups and projects of the domain, and of no other', async () => {
  for (const noun of ['user', 'group', 'project'] as const) {
    const made = await as(manager, 'POST', `${noun}s`, { [noun]: { name: unique(), domain_id: domain.id } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id } = made.body[noun];
    assert.equal((await as(manager, 'PATCH', `${noun}s/${id}`, { [noun]: { description: '小屋' } })).status, 200);
    assert.equal((await as(manager, 'DELETE', `${noun}s/${id}`)).status, 204);
    assert.equal(
      (await as(manager, 'POST', `${noun}s`, { [noun]: { name: unique(), domain_id: 'default' } })).status,
      403,
    );
    const other = `${noun}s/${elsewhere[noun].id}`;
    assert.equal((await as(manager, 'PATCH', other, { [noun]: { description: 'stolen' } })).status, 403);
    assert.equal((await as(manager, 'DELETE', other)).status, 403);
  }
  const member = `groups/${own.group.id}/users/${own.user.id}`;
  assert.equal((await as(manager, 'PUT', member)).status, 204);
  assert.deepEqual(names((await as(manager, 'GET', `groups/${own.group.id}/users`)).body.users).length, 1);
  assert.equal((await as(manager, 'DELETE', member)).status, 204);
  assert.equal((await as(manager, 'PUT', `groups/${own.group.id}/users/${elsewhere.user.id}`)).status, 403);
  assert.equal((await as(manager, 'POST', 'domains', { domain: { name: unique() } })).status, 403);
  assert.equal((await as(manager, 'PATCH', `domains/${domain.id}`, { domain: { name: 'x' } })).status, 403);
});

test('a manager gives the roles manager, member and reader to those of the domain in the domain', async () => {
  assert.ok(names((await as(manager, 'GET', 'roles')).body.roles).includes('member'));
  const grant = (role: string, { place = `projects/${own.project.id}`, actor = `users/${own.user.id}` } = {}) =>
    as(manager, 'PUT', `${place}/${actor}/roles/${roles[role]}`);
  for (const role of ['manager', 'member', 'reader']) assert.equal((await grant(role)).status, 204, role);
  assert.equal((await grant('reader', { place: `domains/${domain.id}`, actor: `groups/${own.group.id}` })).status, 204);
  for (const role of ['admin', 'service']) assert.equal((await grant(role)).status, 403, role);
  assert.equal((await grant('member', { place: `projects/${elsewhere.project.id}` })).status, 403);
  assert.equal((await grant('member', { actor: `users/${elsewhere.user.id}` })).status, 403);
  assert.equal((await grant('reader', { place: 'domains/default' })).status, 403);
  assert.equal((await grant('reader', { place: 'system' })).status, 403);
  const path = `projects/${own.project.id}/users/${own.user.id}/roles`;
  assert.equal((await as(manager, 'GET', path)).body.roles.length, 3);
  assert.equal((await as(manager, 'DELETE', `${path}/${roles.member}`)).status, 204);
  await call('PUT', `${path}/${roles.admin}`);
  assert.equal((await as(manager, 'DELETE', `${path}/${roles.admin}`)).status, 403);
  await call('DELETE', `${path}/${roles.admin}`);
});

test('a manager does not become an administrator by the password or the group of one', async () => {
  const { user, group, project } = await furnish(domain.id);
  const give = (actor: string) => call('PUT', `projects/${project.id}/${actor}/roles/${roles.admin}`);
  await give(`users/${user.id}`);
  assert.equal((await as(manager, 'PATCH', `users/${user.id}`, { user: { password: 'mine now' } })).status, 403);
  assert.equal((await as(manager, 'DELETE', `users/${user.id}`)).status, 403);
  await give(`groups/${group.id}`);
  assert.equal((await as(manager, 'PUT', `groups/${group.id}/users/${own.user.id}`)).status, 403);
  const { user: watcher } = await furnish(domain.id);
  await call('PUT', `system/users/${watcher.id}/roles/${roles.reader}`);
  assert.equal((await as(manager, 'PATCH', `users/${watcher.id}`, { user: { password: 'mine now' } })).status, 403);
  const { user: trusted } = await furnish(domain.id);
  const admin = (await call('GET', 'users?name=admin')).body.users[0].id;
  const adminProject = (await call('GET', 'projects?name=admin')).body.projects[0].id;
  const trust = {
    ...{ trustor_user_id: admin, trustee_user_id: trusted.id, impersonation: false, project_id: adminProject },
    roles: [{ name: 'admin' }],
  };
  assert.equal((await call('POST', 'OS-TRUST/trusts', { trust })).status, 201);
  assert.equal((await as(manager, 'PATCH', `users/${trusted.id}`, { user: { password: 'mine now' } })).status, 403);
});

test('nor one who has a service’s rights by a role that comes to them', async () => {
  const robot = await make('role', { name: unique() });
  await call('PUT', `roles/${robot.id}/implies/${roles.service}`);
  const { user, group, project } = await furnish(domain.id);
  await call('PUT', `projects/${project.id}/users/${user.id}/roles/${robot.id}`);
  await call('PUT', `projects/${project.id}/groups/${group.id}/roles/${robot.id}`);
  assert.equal((await as(manager, 'PATCH', `users/${user.id}`, { user: { password: 'taken' } })).status, 403);
  assert.equal((await as(manager, 'PUT', `groups/${group.id}/users/${own.user.id}`)).status, 403);
});

test('the same roles in a project give no right over its domain', async () => {
  const { user, project } = await furnish(domain.id);
  await call('PUT', `projects/${project.id}/users/${user.id}/roles/${roles.manager}`);
  const token = await api.login(byPassword(user.id, password), { project: { id: project.id } });
  for (const list of ['users', 'groups', 'projects', 'role_assignments', 'roles']) {
    assert.equal((await as(token, 'GET', list)).status, 403, list);
  }
  assert.equal((await as(token, 'POST', 'users', { user: { name: unique(), domain_id: domain.id } })).status, 403);
});

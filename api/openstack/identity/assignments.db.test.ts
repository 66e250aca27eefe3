/** Roles, what they imply, and who has them where. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { asAdministrator, byPassword, makeTenant, names, odd, testApi, unique } from './testing.ts';

const api = await testApi();
after(() => api[Symbol.asyncDispose]());
const { call, make } = asAdministrator(api);

test('built-in roles stay as they are', async () => {
  const { roles } = (await call('GET', 'roles')).body;
  for (const name of ['admin', 'manager', 'member', 'reader', 'service']) {
    const role = roles.find((one: { name: string }) => one.name === name);
    assert.deepEqual(role.options, { immutable: true });
    assert.equal((await call('DELETE', `roles/${role.id}`)).status, 403);
    assert.equal((await call('PATCH', `roles/${role.id}`, { role: { name: 'mine' } })).status, 403);
  }
});

test('roles imply others, but never admin, and a global role none of a domain', async () => {
  const [a, b, c] = [
    await make('role', { name: unique() }),
    await make('role', { name: unique() }),
    await make('role', { name: unique() }),
  ];
  const made = await call('PUT', `roles/${a.id}/implies/${b.id}`);
  assert.equal(made.status, 201);
  assert.equal(made.body.role_inference.prior_role.id, a.id);
  assert.equal(made.body.role_inference.implies.id, b.id);
  await call('PUT', `roles/${b.id}/implies/${c.id}`);
  await call('PUT', `roles/${c.id}/implies/${a.id}`);
  assert.equal((await call('HEAD', `roles/${a.id}/implies/${b.id}`)).status, 204);
  assert.deepEqual(
    names((await call('GET', `roles/${a.id}/implies`)).body.role_inference.implies),
    [b.name],
    'direct ones only',
  );
  const rules = (await call('GET', 'role_inferences')).body.role_inferences;
  assert.ok(rules.some((rule: { prior_role: { id: string } }) => rule.prior_role.id === c.id));
  const admin = (await call('GET', 'roles?name=admin')).body.roles[0];
  assert.equal((await call('PUT', `roles/${a.id}/implies/${admin.id}`)).status, 403);
  const domain = await make('domain', { name: unique() });
  const inDomain = await make('role', { name: a.name, domain_id: domain.id });
  assert.equal((await call('PUT', `roles/${a.id}/implies/${inDomain.id}`)).status, 403);
  assert.equal((await call('PUT', `roles/${inDomain.id}/implies/${a.id}`)).status, 201);
  assert.ok(!(await call('GET', 'roles')).body.roles.some((role: { id: string }) => role.id === inDomain.id));
  assert.deepEqual((await call('GET', `roles?domain_id=${domain.id}`)).body.roles.length, 1);
  // A circle of implications ends.
  const tenant = await makeTenant(api, []).catch(() => null);
  assert.equal(tenant, null);
  const user = await make('user', { name: unique(), password: 'p' });
  const project = await make('project', { name: unique() });
  await call('PUT', `projects/${project.id}/users/${user.id}/roles/${a.id}`);
  const answer = await api.call({
    method: 'POST',
    path: '/identity/v3/auth/tokens',
    body: { auth: { identity: byPassword(user.id, 'p'), scope: { project: { id: project.id } } } },
  });
  assert.deepEqual(names(answer.body.token.roles).sort(), [a.name, b.name, c.name].sort());
  assert.equal((await call('DELETE', `roles/${a.id}/implies/${b.id}`)).status, 204);
  assert.equal((await call('GET', `roles/${a.id}/implies/${b.id}`)).status, 404);
});

test('grants are made, listed, tested and taken back for users and groups, in projects, domains and the system', async () => {
  const [user, group, project, domain, role] = [
    await make('user', { name: unique() }),
    await make('group', { name: unique() }),
    await make('project', { name: unique() }),
    await make('domain', { name: unique() }),
    await make('role', { name: unique() }),
  ];
  const places = [`projects/${project.id}`, `domains/${domain.id}`, 'system'];
  for (const place of places) {
    for (const actor of [`users/${user.id}`, `groups/${group.id}`]) {
      const list = `${place}/${actor}/roles`;
      const one = `${list}/${role.id}`;
      assert.equal((await call('HEAD', one)).status, 404, one);
      assert.equal((await call('PUT', one)).status, 204, one);
      assert.equal((await call('PUT', one)).status, 204, 'safe to repeat');
      assert.equal((await call('HEAD', one)).status, 204, one);
      assert.deepEqual(names((await call('GET', list)).body.roles), [role.name]);
      assert.equal((await call('PUT', `${list}/${newId()}`)).status, 404);
      assert.equal((await call('DELETE', one)).status, 204, one);
      assert.equal((await call('DELETE', one)).status, 404, one);
    }
  }
  assert.equal((await call('PUT', `projects/${newId()}/users/${user.id}/roles/${role.id}`)).status, 404);
  assert.equal((await call('PUT', `projects/${project.id}/users/${newId()}/roles/${role.id}`)).status, 404);
  const inDomain = await make('role', { name: unique(), domain_id: domain.id });
  assert.equal((await call('PUT', `projects/${project.id}/users/${user.id}/roles/${inDomain.id}`)).status, 403);
});

test('an inherited role counts in the projects below, not in the place itself', async () => {
  const domain = await make('domain', { name: unique() });
  const top = await make('project', { name: 'top', domain_id: domain.id });
  const leaf = await make('project', {
    name: 'leaf',
    domain_id: domain.id,
    parent_id: (await make('project', { name: 'mid', domain_id: domain.id, parent_id: top.id })).id,
  });
  const user = await make('user', { name: 'u', domain_id: domain.id, password: 'p' });
  const role = await make('role', { name: unique() });
  const login = (scope: object) =>
    api.call({
      method: 'POST',
      path: '/identity/v3/auth/tokens',
      body: { auth: { identity: byPassword(user.id, 'p'), scope } },
    });
  const onProject = `OS-INHERIT/projects/${top.id}/users/${user.id}/roles/${role.id}/inherited_to_projects`;
  assert.equal((await call('PUT', onProject)).status, 204);
  assert.equal((await call('HEAD', onProject)).status, 204);
  assert.equal((await login({ project: { id: top.id } })).status, 401);
  assert.deepEqual(names((await login({ project: { id: leaf.id } })).body.token.roles), [role.name]);
  assert.deepEqual(names((await call('GET', `users/${user.id}/projects`)).body.projects), ['mid', 'leaf']);
  await call('DELETE', onProject);
  const onDomain = `OS-INHERIT/domains/${domain.id}/users/${user.id}/roles`;
  await call('PUT', `${onDomain}/${role.id}/inherited_to_projects`);
  assert.deepEqual(names((await call('GET', `${onDomain}/inherited_to_projects`)).body.roles), [role.name]);
  assert.equal((await login({ domain: { id: domain.id } })).status, 401);
  for (const project of [top, leaf]) assert.equal((await login({ project: { id: project.id } })).status, 201);
  const written = (await call('GET', `role_assignments?user.id=${user.id}&scope.OS-INHERIT:inherited_to=projects`)).body
    .role_assignments;
  assert.equal(written.length, 1);
  assert.deepEqual(written[0].scope, { domain: { id: domain.id }, 'OS-INHERIT:inherited_to': 'projects' });
  const effective = (await call('GET', `role_assignments?user.id=${user.id}&effective`)).body.role_assignments;
  assert.deepEqual(
    effective.map((one: { scope: { project: { id: string } } }) => one.scope.project.id).sort(),
    (await call('GET', `projects?domain_id=${domain.id}`)).body.projects.map((one: { id: string }) => one.id).sort(),
  );
});

test('assignments are listed as written, with names, and as what they come to', async () => {
  const [user, group, project] = [
    await make('user', { name: odd }),
    await make('group', { name: odd }),
    await make('project', { name: odd }),
  ];
  const child = await make('project', { name: unique(), parent_id: project.id });
  const [member, reader] = await Promise.all(
    ['member', 'reader'].map(async (name) => (await call('GET', `roles?name=${name}`)).body.roles[0]),
  );
  await call('PUT', `groups/${group.id}/users/${user.id}`);
  await call('PUT', `projects/${project.id}/groups/${group.id}/roles/${member.id}`);
  await call('PUT', `projects/${child.id}/users/${user.id}/roles/${reader.id}`);
  const list = async (query: string) => (await call('GET', `role_assignments?${query}`)).body.role_assignments;

  const written = await list(`scope.project.id=${project.id}`);
  assert.deepEqual(written, [
    {
      role: { id: member.id },
      group: { id: group.id },
      scope: { project: { id: project.id } },
      links: {
        assignment: `https://cloud.test:8443/identity/v3/projects/${project.id}/groups/${group.id}/roles/${member.id}`,
      },
    },
  ]);
  const [named] = await list(`scope.project.id=${project.id}&include_names`);
  const domain = { id: 'default', name: 'Default' };
  assert.deepEqual(named.group, { id: group.id, name: odd, domain });
  assert.deepEqual(named.scope.project, { id: project.id, name: odd, domain });
  assert.deepEqual(named.role, { id: member.id, name: 'member' });

  const effective = await list(`scope.project.id=${project.id}&effective=True&user.id=${user.id}`);
  assert.deepEqual(effective.map((one: { role: { id: string } }) => one.role.id).sort(), [member.id, reader.id].sort());
  for (const one of effective) {
    assert.equal(one.user.id, user.id);
    assert.equal(one.links.membership, `https://cloud.test:8443/identity/v3/groups/${group.id}/users/${user.id}`);
  }
  assert.equal((await list(`scope.project.id=${project.id}&include_subtree=true`)).length, 2);
  assert.equal((await list(`user.id=${user.id}`)).length, 1, 'as written, the group’s is not the user’s');
  assert.equal((await call('GET', 'role_assignments?include_subtree')).status, 400);
  assert.equal((await call('GET', `role_assignments?effective&group.id=${group.id}`)).status, 400);
  const system = await list('scope.system=all&include_names');
  assert.deepEqual(
    system.map((one: { scope: object; user: { name: string } }) => [one.scope, one.user.name]),
    [[{ system: { all: true } }, 'admin']],
  );
  await call('DELETE', `users/${user.id}`);
  assert.equal((await list(`user.id=${user.id}`)).length, 0, 'assignments go with the user');
});

test('the role of a domain counts only through what it implies', async () => {
  const { user, project } = await makeTenant(api, ['reader']);
  const role = await make('role', { name: 'admin', domain_id: api.defaultDomain });
  await call('PUT', `projects/${project.id}/users/${user.id}/roles/${role.id}`);
  const roles = async () =>
    (await call('GET', `role_assignments?effective&include_names&user.id=${user.id}`)).body.role_assignments.map(
      (one: { role: { name: string } }) => one.role.name,
    );
  assert.deepEqual(await roles(), ['reader'], 'not even when it is called admin');
});

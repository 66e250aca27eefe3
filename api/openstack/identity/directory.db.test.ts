/** Domains, projects, users, groups and the catalogue, as Keystone's clients use them. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { asAdministrator, byPassword, makeTenant, names, odd, testApi, unique } from './testing.ts';

const api = await testApi();
after(() => api[Symbol.asyncDispose]());
const { call, make } = asAdministrator(api);

const nouns = ['domain', 'project', 'user', 'group', 'role'] as const;

for (const noun of nouns) {
  test(`a ${noun} takes any Unicode name, is found by it, changes in part, and goes`, async () => {
    const made = await make(noun, { name: odd, description: 'first', favourite: { colour: odd } });
    assert.equal(made.name, odd);
    assert.equal(made.links.self, `https://cloud.test:8443/identity/v3/${noun}s/${made.id}`);
    assert.deepEqual(made.favourite, { colour: odd }, 'what only callers know is kept');
    const found = await call('GET', `${noun}s?name=${encodeURIComponent(odd)}`);
    assert.deepEqual(found.body[`${noun}s`], [made]);
    assert.equal(found.body.links.self, `https://cloud.test:8443/identity/v3/${noun}s?name=${encodeURIComponent(odd)}`);
    assert.deepEqual([found.body.links.next, found.body.links.previous], [null, null]);
    assert.deepEqual(
      (await call('GET', `${noun}s/${made.id.replaceAll('-', '')}`)).body[noun],
      made,
      'ids without dashes',
    );

    const changed = (await call('PATCH', `${noun}s/${made.id}`, { [noun]: { description: 'second', other: 1 } })).body[
      noun
    ];
    assert.deepEqual(changed, { ...made, description: 'second', other: 1 }, 'the rest stays');
    assert.deepEqual((await call('GET', `${noun}s/${made.id}`)).body[noun], changed);

    const renamed = await call('PATCH', `${noun}s/${made.id}`, { [noun]: { id: newId(), description: 'third' } });
    assert.deepEqual([renamed.status, renamed.body.error.message], [400, 'Cannot change ID']);
    const same = await call('PATCH', `${noun}s/${made.id}`, { [noun]: { id: made.id } });
    assert.deepEqual([same.status, same.body[noun]], [200, changed], 'its own it may name');
    assert.equal((await call('POST', `${noun}s`, { [noun]: { name: odd } })).status, 409);
    for (const name of ['', '   ', 'x'.repeat(256), 7, null, 'nul\0']) {
      assert.equal((await call('POST', `${noun}s`, { [noun]: { name } })).status, 400, `${name}`);
      assert.equal((await call('PATCH', `${noun}s/${made.id}`, { [noun]: { name } })).status, 400, `${name}`);
    }
    for (const body of [{}, [], { [noun]: [] }, { [noun]: { description: 'nameless' } }]) {
      assert.equal((await call('POST', `${noun}s`, body)).status, 400, JSON.stringify(body));
    }
    if (noun === 'domain') await call('PATCH', `domains/${made.id}`, { domain: { enabled: false } });
    assert.equal((await call('DELETE', `${noun}s/${made.id}`)).status, 204);
    for (const id of [made.id, 'no-id', odd, newId()]) {
      const path = `${noun}s/${encodeURIComponent(id)}`;
      assert.equal((await call('GET', path)).status, 404);
      assert.equal((await call('DELETE', path)).status, 404);
      assert.equal((await call('PATCH', path, { [noun]: { description: '' } })).status, 404);
    }
  });
}

test('what is named and is no id is told as it was given', async () => {
  const user = await make('user', { name: unique() });
  const project = await make('project', { name: unique() });
  const said = async (method: 'GET' | 'PUT' | 'POST', path: string, body?: object) =>
    (await call(method, path, body)).body.error.message as string;
  assert.equal(await said('PUT', `projects/${project.id}/users/${user.id}/roles/nope`), 'Could not find role: nope.');
  assert.equal(await said('GET', 'domains/nope'), 'Could not find domain: nope.');
  const noDomain = await said('POST', 'users', { user: { name: unique(), domain_id: 'nope' } });
  assert.equal(noDomain, 'Could not find domain: nope.');
  const two = { project: { name: unique(), domain_id: 'nope', parent_id: 'neither' } };
  assert.match(await said('POST', 'projects', two), /it is no id\.$/);
});

test('names are unique in a domain, not across domains', async () => {
  const domain = await make('domain', { name: unique() });
  for (const noun of ['project', 'user', 'group'] as const) {
    const name = unique();
    await make(noun, { name });
    const there = await make(noun, { name, domain_id: domain.id });
    assert.equal(there.domain_id, domain.id);
    assert.equal((await call('GET', `${noun}s?name=${name}`)).body[`${noun}s`].length, 2);
    assert.equal((await call('GET', `${noun}s?name=${name}&domain_id=${domain.id}`)).body[`${noun}s`][0].id, there.id);
    assert.equal((await call('POST', `${noun}s`, { [noun]: { name: unique(), domain_id: newId() } })).status, 404);
  }
});

test('lists are paged on request, in order of creation', async () => {
  const made = [];
  const domain = await make('domain', { name: unique() });
  for (let i = 0; i < 5; i++) made.push(await make('user', { name: `${i}`, domain_id: domain.id }));
  const first = await call('GET', `users?domain_id=${domain.id}&limit=2`);
  assert.deepEqual(names(first.body.users), ['0', '1']);
  const seen = [...first.body.users];
  let { next } = first.body.links;
  while (next) {
    const page = await api.call({ method: 'GET', path: next.replace('https://cloud.test:8443', ''), token: api.admin });
    seen.push(...page.body.users);
    next = page.body.links.next;
  }
  assert.deepEqual(names(seen), ['0', '1', '2', '3', '4']);
  assert.equal((await call('GET', 'users?limit=many')).status, 400);
});

test('a domain goes only when it is disabled and its projects are empty, and takes all that is in it', async () => {
  const domain = await make('domain', { name: unique() });
  const project = await make('project', { name: 'p', domain_id: domain.id });
  const child = await make('project', { name: 'c', domain_id: domain.id, parent_id: project.id });
  const user = await make('user', { name: 'u', domain_id: domain.id, password: 'p' });
  const group = await make('group', { name: 'g', domain_id: domain.id });
  const role = await make('role', { name: 'r', domain_id: domain.id });
  assert.equal((await call('DELETE', `domains/${domain.id}`)).status, 403);
  await call('PATCH', `domains/${domain.id}`, { domain: { enabled: false } });
  const db = api.cloud.db.database.query;
  const image = newId();
  await sql`insert into image (id, project_id, name) values (${image}, ${child.id}, 'left')`.execute(db);
  const refused = await call('DELETE', `domains/${domain.id}`);
  assert.deepEqual([refused.status, /1 images/.test(refused.body.error.message)], [409, true]);
  await sql`delete from image where id = ${image}`.execute(db);
  assert.equal((await call('DELETE', `domains/${domain.id}`)).status, 204);
  for (const path of [`projects/${child.id}`, `users/${user.id}`, `groups/${group.id}`, `roles/${role.id}`]) {
    assert.equal((await call('GET', path)).status, 404, path);
  }
  assert.equal((await call('DELETE', 'domains/default')).status, 403);
  assert.equal((await call('PATCH', 'domains/default', { domain: { enabled: false } })).status, 403);
});

test('a project goes only when it is a leaf and has nothing left, and the answer says what it has', async () => {
  const project = await make('project', { name: unique() });
  const child = await make('project', { name: unique(), parent_id: project.id });
  assert.equal((await call('DELETE', `projects/${project.id}`)).status, 403);
  const db = api.cloud.db.database.query;
  await sql`insert into image (id, project_id, name) values (${newId()}, ${child.id}, 'a'), (${newId()}, ${child.id}, 'b')`.execute(
    db,
  );
  await sql`insert into security_group (id, project_id, name, is_default) values (${newId()}, ${child.id}, 'default', true)`.execute(
    db,
  );
  const refused = await call('DELETE', `projects/${child.id}`);
  assert.equal(refused.status, 409);
  assert.match(refused.body.error.message, /while it has 2 images$/);
  await sql`delete from image where project_id = ${child.id}`.execute(db);
  assert.equal((await call('DELETE', `projects/${child.id}`)).status, 204);
  const { rows } = await sql`select from security_group where project_id = ${child.id}`.execute(db);
  assert.equal(rows.length, 0, 'what the cloud itself furnished it with goes along');
  assert.equal((await call('DELETE', `projects/${project.id}`)).status, 204);
});

test('projects form a tree that is shown up and down, enabled from the top', async () => {
  const [a, b, c] = [unique(), unique(), unique()];
  const top = await make('project', { name: a });
  const middle = await make('project', { name: b, parent_id: top.id });
  const leaf = await make('project', { name: c, parent_id: middle.id });
  const show = async (id: string, how: string) => (await call('GET', `projects/${id}?${how}`)).body.project;
  assert.deepEqual((await show(leaf.id, 'parents_as_ids')).parents, {
    [middle.id]: { [top.id]: { default: null } },
  });
  assert.deepEqual((await show(top.id, 'subtree_as_ids')).subtree, { [middle.id]: { [leaf.id]: null } });
  assert.deepEqual(
    (await show(leaf.id, 'parents_as_list')).parents.map((one: { project: { name: string } }) => one.project.name),
    [b, a],
  );
  assert.deepEqual(
    (await show(top.id, 'subtree_as_list')).subtree.map((one: { project: { name: string } }) => one.project.name),
    [b, c],
  );
  assert.deepEqual(names((await call('GET', `projects?parent_id=${top.id}`)).body.projects), [b]);
  assert.ok(names((await call('GET', 'projects?parent_id=default')).body.projects).includes(a));
  const enable = (id: string, enabled: boolean) => call('PATCH', `projects/${id}`, { project: { enabled } });
  assert.equal((await enable(top.id, false)).status, 403, 'a project below is enabled');
  for (const one of [leaf, middle, top]) assert.equal((await enable(one.id, false)).status, 200);
  assert.equal((await enable(leaf.id, true)).status, 403, 'the project above is disabled');
  assert.equal((await call('PATCH', `projects/${leaf.id}`, { project: { parent_id: top.id } })).status, 403);
  assert.equal((await call('PATCH', `projects/${leaf.id}`, { project: { parent_id: middle.id } })).status, 200);
  assert.equal((await call('POST', 'projects', { project: { name: unique(), parent_id: newId() } })).status, 404);
  assert.deepEqual(names((await call('GET', `projects?enabled=false&name=${c}`)).body.projects), [c]);
});

test('a domain can be made and seen as the project that Keystone takes it for', async () => {
  const name = unique();
  const made = await make('project', { name, is_domain: true, domain_id: null });
  assert.deepEqual([made.is_domain, made.domain_id, made.parent_id], [true, null, null]);
  assert.ok(names((await call('GET', 'domains')).body.domains).includes(name));
  assert.ok(names((await call('GET', 'projects?is_domain=true')).body.projects).includes(name));
  assert.ok(!names((await call('GET', 'projects')).body.projects).includes(name));
  assert.equal((await call('GET', `projects/${made.id}`)).body.project.is_domain, true);
  assert.equal((await call('PATCH', `projects/${made.id}`, { project: { enabled: false } })).status, 200);
  assert.equal((await call('DELETE', `projects/${made.id}`)).status, 204);
});

test('tags are set, shown, tested, added, removed and searched', async () => {
  const project = await make('project', { name: unique(), tags: ['a', 'b'] });
  const other = await make('project', { name: unique(), tags: ['b', 'c'] });
  const path = `projects/${project.id}/tags`;
  assert.deepEqual((await call('GET', path)).body.tags, ['a', 'b']);
  assert.equal((await call('PUT', `${path}/d`)).status, 201);
  assert.equal((await call('HEAD', `${path}/d`)).status, 204);
  assert.equal((await call('DELETE', `${path}/a`)).status, 204);
  assert.equal((await call('HEAD', `${path}/a`)).status, 404);
  const ids = async (filter: string) =>
    (await call('GET', `projects?${filter}`)).body.projects.map((one: { id: string }) => one.id);
  assert.deepEqual(await ids('tags=b,d'), [project.id]);
  assert.deepEqual(await ids('tags-any=c,d'), [project.id, other.id]);
  assert.ok(!(await ids('not-tags-any=b')).includes(other.id));
  assert.deepEqual((await call('PUT', path, { tags: ['x'] })).body.tags, ['x']);
  assert.equal((await call('PUT', path, { tags: ['a/b'] })).status, 400);
  assert.equal((await call('PUT', path, { tags: ['a', 'a'] })).status, 400);
  assert.equal((await call('DELETE', path)).status, 204);
  assert.deepEqual((await call('GET', path)).body.tags, []);
});

test('users keep what they are given, and a user can be told by everything Tempest tells one by', async () => {
  const project = await make('project', { name: unique() });
  const user = await make('user', {
    name: unique(),
    password: 'p',
    email: 'a@b',
    enabled: false,
    description: 'd',
    project_id: project.id,
  });
  assert.ok(!('password' in user));
  assert.equal(user.project_id, project.id);
  const change = { name: unique(), description: 'e', project_id: newId(), email: 'c@d', enabled: true };
  const updated = (await call('PATCH', `users/${user.id}`, { user: change })).body.user;
  for (const [key, value] of Object.entries(change)) assert.equal(updated[key], value);
  assert.equal((await call('PATCH', `users/${user.id}`, { user: { domain_id: newId() } })).status, 400);
  assert.equal((await call('PATCH', `users/${user.id}`, { user: { enabled: 'true' } })).status, 400);
  assert.equal((await call('PATCH', `users/${user.id}`, { user: { password: '' } })).status, 400);
  assert.equal((await call('PATCH', `users/${user.id}`, { user: { options: { no_such: true } } })).status, 400);
  const options = (await call('PATCH', `users/${user.id}`, { user: { options: { lock_password: true } } })).body.user
    .options;
  assert.deepEqual(options, { lock_password: true });
  assert.equal((await call('PATCH', `users/${user.id}`, { user: { junk: 'x'.repeat(70_000) } })).status, 400);
});

test('a password is changed by who knows it, and only then', async () => {
  const { user, password } = await makeTenant(api);
  const change = (original_password: string, next: string) =>
    api.call({
      method: 'POST',
      path: `/identity/v3/users/${user.id}/password`,
      body: { user: { original_password, password: next } },
    });
  assert.equal((await change('wrong', 'new')).status, 401);
  assert.equal((await change(password, '')).status, 400);
  assert.equal((await change(password, odd)).status, 204);
  await api.login(byPassword(user.id, odd));
  await assert.rejects(api.login(byPassword(user.id, password)));
});

test('groups have members', async () => {
  const group = await make('group', { name: unique() });
  const user = await make('user', { name: unique() });
  const path = `groups/${group.id}/users`;
  assert.equal((await call('HEAD', `${path}/${user.id}`)).status, 404);
  assert.equal((await call('PUT', `${path}/${user.id}`)).status, 204);
  assert.equal((await call('PUT', `${path}/${user.id}`)).status, 204, 'safe to repeat');
  assert.equal((await call('HEAD', `${path}/${user.id}`)).status, 204);
  assert.deepEqual(names((await call('GET', path)).body.users), [user.name]);
  assert.deepEqual(names((await call('GET', `users/${user.id}/groups`)).body.groups), [group.name]);
  assert.equal((await call('PUT', `${path}/${newId()}`)).status, 404);
  assert.equal((await call('DELETE', `${path}/${user.id}`)).status, 204);
  assert.equal((await call('DELETE', `${path}/${user.id}`)).status, 404);
});

test('services, endpoints and regions are those of the catalogue', async () => {
  const { services } = (await call('GET', 'services')).body;
  assert.deepEqual(services.map((one: { type: string }) => one.type).sort(), ['compute', 'identity', 'volumev3']);
  const service = services.find((one: { type: string }) => one.type === 'identity');
  assert.deepEqual((await call('GET', `services/${service.id}`)).body.service, service);
  const { endpoints } = (await call('GET', `endpoints?service_id=${service.id}&interface=public`)).body;
  assert.deepEqual(
    endpoints.map((one: { url: string }) => one.url),
    ['https://cloud.test:8443/identity'],
  );
  assert.deepEqual((await call('GET', `endpoints/${endpoints[0].id}`)).body.endpoint, endpoints[0]);
  assert.deepEqual(
    (await call('GET', 'regions')).body.regions.map((one: { id: string }) => one.id),
    ['RegionOne'],
  );
  assert.equal((await call('GET', 'regions/elsewhere')).status, 404);
  assert.equal((await call('GET', 'services/elsewhere')).status, 404);
});

test('what is stored is stored once also when two ask at the same moment', async () => {
  const name = unique();
  const answers = await Promise.all(Array.from({ length: 6 }, () => call('POST', 'projects', { project: { name } })));
  assert.deepEqual(answers.map((one) => one.status).sort(), [201, 409, 409, 409, 409, 409]);
});

test('an unknown path is 404 with a token and 401 without', async () => {
  assert.equal((await call('GET', 'nothing/here')).status, 404);
  assert.equal((await api.call({ method: 'GET', path: '/identity/v3/nothing/here' })).status, 401);
});

test('users are found by when their passwords end, and by who they are at an identity provider', async () => {
  const users = await Promise.all(
    ['soon', 'late', 'never'].map((name) => make('user', { name: `${name} ${unique()}`, password: 'a password 1' })),
  );
  const ids: string[] = users.map(({ id }) => id);
  const named = new Map(ids.map((id, index) => [id, ['soon', 'late', 'never'][index]!]));
  for (const [index, end] of ['2031-01-01T00:00:00Z', '2032-01-01T00:00:00Z'].entries())
    await sql`update user_password set expires_at = ${end} where user_id = ${ids[index]}`.execute(
      api.cloud.db.database.query,
    );
  const list = async (query: string) => {
    const { status, body } = await call('GET', `users?${query}`);
    if (status !== 200) return status;
    // The order is that of their ids, which are made side by side.
    const found = body.users.flatMap(({ id }: { id: string }) => named.get(id) ?? []);
    return found.toSorted((a: string, b: string) => [...named.values()].indexOf(a) - [...named.values()].indexOf(b));
  };
  for (const [comparison, found] of [
    ['lt:2032-01-01T00:00:00Z', ['soon']],
    ['lte:2032-01-01T00:00:00Z', ['soon', 'late']],
    ['gt:2031-01-01T00:00:00', ['late']],
    ['gte:2031-01-01T00:00:00.000000Z', ['soon', 'late']],
    ['eq:2031-01-01T00:00:00Z', ['soon']],
    ['neq:2031-01-01T00:00:00Z', ['late']],
    ['2031-01-01T00:00:00Z', 400],
    ['lt:tomorrow', 400],
    ['like:2031-01-01T00:00:00Z', 400],
  ] as const)
    assert.deepEqual(await list(`password_expires_at=${comparison}`), found, comparison);
  const [idp, other] = [unique(), unique()];
  for (const name of [idp, other])
    assert.equal(
      (await call('PUT', `OS-FEDERATION/identity_providers/${name}`, { identity_provider: {} })).status,
      201,
    );
  for (const [index, [name, protocol]] of [
    [idp, 'openid'],
    [idp, 'mapped'],
    [other, 'openid'],
  ].entries())
    await sql`insert into federated_user (user_id, identity_provider_id, protocol, unique_id)
      select ${ids[index]}, id, ${protocol}, ${`u-${index}`} from identity_provider where name = ${name}`.execute(
      api.cloud.db.database.query,
    );
  assert.deepEqual(await list(`idp_id=${idp}`), ['soon', 'late']);
  assert.deepEqual(await list(`idp_id=${idp}&protocol_id=openid`), ['soon']);
  assert.deepEqual(await list('unique_id=u-2'), ['never']);
  assert.deepEqual(await list(`idp_id=${other}&unique_id=u-0`), []);
});

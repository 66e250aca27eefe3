/** Volume types, what they are made of, and who may use them. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const call = async (
  who: typeof member,
  method: string,
  path: string,
  body?: unknown,
  version: number | 'latest' = 70,
) => {
  const answer = await api.call(who, method, path, { version, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body };
};
const makeType = async (more: object = {}) =>
  (await call(admin, 'POST', '/types', { volume_type: { name: `type ${newId()}`, ...more } })).body.volume_type;
const names = async (who: typeof member, query = '') =>
  (await call(who, 'GET', `/types${query}`)).body.volume_types.map(({ name }: { name: string }) => name);

test('a type is made, changed and deleted by administrators; its name may be of any script and is taken once', async () => {
  const made = await makeType({
    name: 'rápido 🏔',
    description: 'flash',
    extra_specs: { volume_backend_name: 'local' },
  });
  assert.deepEqual(
    { ...made, id: '' },
    {
      ...{ id: '', name: 'rápido 🏔', description: 'flash', is_public: true },
      ...{ 'os-volume-type-access:is_public': true, extra_specs: { volume_backend_name: 'local' } },
    },
  );
  assert.equal((await call(admin, 'POST', '/types', { volume_type: { name: 'rápido 🏔' } })).status, 409);
  assert.equal((await call(admin, 'POST', '/types', { volume_type: { name: '   ' } })).status, 400);
  assert.equal((await call(member, 'POST', '/types', { volume_type: { name: 'mine' } })).status, 403);
  const changed = await call(admin, 'PUT', `/types/${made.id}`, { volume_type: { name: 'slow', description: null } });
  assert.deepEqual([changed.body.volume_type.name, changed.body.volume_type.description], ['slow', 'flash']);
  assert.equal((await call(admin, 'PUT', `/types/${made.id}`, { volume_type: { name: null } })).status, 400);
  assert.equal((await call(admin, 'DELETE', `/types/${made.id}`)).status, 202);
  assert.equal((await call(admin, 'DELETE', `/types/${made.id}`)).status, 404);
  assert.equal((await call(admin, 'GET', '/types/none')).status, 404);
});

test('an extra spec of ours that is misspelt is refused with the type, and what is asked for is said', async () => {
  const base = `/types/${(await makeType({})).id}/extra_specs`;
  for (const specs of [{ 'bothy:tier': 'gold' }, { 'bothy:cache': 'yes' }]) {
    const wish = { volume_type: { name: 'misspelt', extra_specs: specs } };
    for (const refused of [
      await call(admin, 'POST', '/types', wish),
      await call(admin, 'POST', base, { extra_specs: specs }),
    ]) {
      assert.equal(refused.status, 400);
      assert.match(
        refused.body.badRequest.message,
        /^Invalid extra spec: bothy:\S+ can't be '\w+': .*(flash|bothy:tier)/,
      );
    }
  }
  assert.equal((await names(admin)).includes('misspelt'), false);
});

test('members see of extra specs what is meant for them, and no QoS', async () => {
  const { id } = await makeType({ extra_specs: { multiattach: '<is> True', volume_backend_name: 'secret' } });
  const { volume_type: seen } = (await call(member, 'GET', `/types/${id}`)).body;
  assert.deepEqual(seen.extra_specs, { multiattach: '<is> True' });
  assert.equal('qos_specs_id' in seen, false);
  const { volume_type: whole } = (await call(admin, 'GET', `/types/${id}`)).body;
  assert.deepEqual([Object.keys(whole.extra_specs).length, whole.qos_specs_id], [2, null]);
  assert.equal((await call(member, 'GET', `/types/${id}/extra_specs/volume_backend_name`)).status, 404);
  assert.equal((await names(member, '?extra_specs={"volume_backend_name":"secret"}')).length, 0);
  assert.equal((await names(admin, "?extra_specs={'volume_backend_name': 'secret'}")).length, 1);
});

test('a type says to everybody what its volumes may lose, until an administrator says it in other words', async () => {
  const specs = { 'bothy:cache_tier': 'ram', 'bothy:cache_gib': '1' };
  const { id } = await makeType({ extra_specs: specs });
  const shown = async (caller: typeof member) =>
    (await call(caller, 'GET', `/types/${id}`)).body.volume_type.extra_specs;
  assert.match((await shown(member))['bothy:durability'], /memory of its host alone until it has sunk/);
  assert.deepEqual(Object.keys(await shown(admin)).sort(), [...Object.keys(specs), 'bothy:durability'].sort());
  const base = `/types/${id}/extra_specs`;
  assert.deepEqual((await call(admin, 'GET', base)).body, { extra_specs: specs }, 'what was set');
  await call(admin, 'POST', base, { extra_specs: { 'bothy:durability': 'as the weather is' } });
  assert.equal((await shown(member))['bothy:durability'], 'as the weather is');
});

test('a type that is not public is used by the projects that were given it, and is not there for others', async () => {
  const { id, name } = await makeType({ 'os-volume-type-access:is_public': false });
  const act = (action: string, project: string | null) =>
    call(admin, 'POST', `/types/${id}/action`, { [action]: { project } });
  const seen = async () => [(await call(member, 'GET', `/types/${id}`)).status, (await names(member)).includes(name)];
  assert.deepEqual(await seen(), [404, false]);
  assert.equal((await act('addProjectAccess', member.projectId)).status, 202);
  assert.equal((await act('addProjectAccess', member.projectId)).status, 409);
  assert.equal((await act('addProjectAccess', newId())).status, 404);
  assert.deepEqual(await seen(), [200, true]);
  const { volume_type_access: access } = (await call(admin, 'GET', `/types/${id}/os-volume-type-access`)).body;
  assert.deepEqual(access, [{ volume_type_id: id, project_id: member.projectId }]);
  assert.equal((await act('removeProjectAccess', member.projectId)).status, 202);
  assert.equal((await act('removeProjectAccess', member.projectId)).status, 404);
  assert.deepEqual(await seen(), [404, false]);
  const open = await makeType();
  assert.equal((await call(admin, 'GET', `/types/${open.id}/os-volume-type-access`)).status, 404);
  const wrong = await call(admin, 'POST', `/types/${open.id}/action`, {
    addProjectAccess: { project: member.projectId },
  });
  assert.equal(wrong.status, 400);
  // Administrators see of those that are not public what they ask for.
  assert.equal((await names(admin)).includes(name), false);
  assert.equal((await names(admin, '?is_public=False')).includes(name), true);
  assert.equal((await names(admin, '?is_public=None')).includes(open.name), true);
  assert.equal((await call(admin, 'GET', '/types?is_public=perhaps')).status, 400);
});

test('types are paged, sorted and filtered, and what nobody may filter by is refused from 3.52 on', async () => {
  await Promise.all(['page c', 'page a', 'page b'].map((name) => makeType({ name })));
  const page = (await call(member, 'GET', '/types?sort=name:asc&limit=2')).body;
  assert.equal(page.volume_types.length, 2);
  const next = page.volume_type_links[0].href.split('/volume/v3/')[1].replace(/^[^/]+/, '');
  const rest = (await call(member, 'GET', next)).body.volume_types.map(({ name }: { name: string }) => name);
  assert.equal(rest.includes('page c'), true);
  assert.deepEqual(rest, rest.toSorted());
  assert.deepEqual((await names(member, '?sort_key=name&sort_dir=desc&limit=1')).length, 1);
  for (const wrong of [
    'sort=name&sort_key=id',
    'sort=color',
    'sort=name:up',
    'limit=-1',
    'limit=x',
    'offset=x',
    'marker=x',
  ]) {
    assert.equal((await call(member, 'GET', `/types?${wrong}`)).status, 400, wrong);
  }
  assert.equal((await call(member, 'GET', '/types?color=red', undefined, 51)).status, 200);
  assert.equal((await call(member, 'GET', '/types?color=red', undefined, 52)).status, 400);
});

test('extra specs are set, read and taken away one by one; the path and the body name the same', async () => {
  const { id } = await makeType();
  const base = `/types/${id}/extra_specs`;
  const set = await call(admin, 'POST', base, { extra_specs: { 'bothy:tier': 'flash' } });
  assert.deepEqual([set.status, set.body], [200, { extra_specs: { 'bothy:tier': 'flash' } }]);
  assert.deepEqual((await call(admin, 'PUT', `${base}/a`, { a: '1' })).body, { a: '1' });
  assert.equal((await call(admin, 'PUT', `${base}/b`, { a: '1' })).status, 400);
  assert.equal((await call(admin, 'PUT', `${base}/a`, { a: '1', b: '2' })).status, 400);
  assert.equal((await call(admin, 'POST', base, { extra_specs: { 'a b': '1' } })).status, 400);
  assert.deepEqual((await call(admin, 'GET', `${base}/a`)).body, { a: '1' });
  assert.equal((await call(admin, 'DELETE', `${base}/a`)).status, 202);
  assert.equal((await call(admin, 'DELETE', `${base}/a`)).status, 404);
  assert.deepEqual((await call(admin, 'GET', base)).body, { extra_specs: { 'bothy:tier': 'flash' } });
});

test('how volumes of a type shall be encrypted is written down once, changed and taken away', async () => {
  const { id } = await makeType();
  const base = `/types/${id}/encryption`;
  assert.deepEqual((await call(admin, 'GET', base)).body, {});
  const wish = { provider: 'luks', cipher: 'aes-xts-plain64', key_size: 256, control_location: 'front-end' };
  const made = await call(admin, 'POST', base, { encryption: wish });
  assert.equal(made.status, 200);
  const { encryption_id, ...rest } = made.body.encryption;
  assert.deepEqual(rest, { volume_type_id: id, ...wish });
  assert.equal((await call(admin, 'POST', base, { encryption: wish })).status, 400);
  assert.equal((await call(admin, 'PUT', `${base}/${encryption_id}`, { encryption: { key_size: '512' } })).status, 200);
  assert.deepEqual((await call(admin, 'GET', `${base}/key_size`)).body, { key_size: 512 });
  assert.equal((await call(admin, 'GET', `${base}/color`)).status, 404);
  assert.equal((await call(member, 'GET', base)).status, 403);
  assert.equal((await call(admin, 'DELETE', `${base}/${encryption_id}`)).status, 202);
  assert.equal((await call(admin, 'DELETE', `${base}/${encryption_id}`)).status, 404);
});

test("a project's default type is its own until it is taken away, and cannot be deleted meanwhile", async () => {
  const type = await makeType();
  const path = `/default-types/${member.projectId}`;
  const default_type = { volume_type: type.name };
  assert.equal((await call(admin, 'PUT', path, { default_type }, 61)).status, 404);
  assert.equal((await call(admin, 'PUT', `/default-types/${newId()}`, { default_type })).status, 404);
  assert.equal((await call(admin, 'PUT', path, { default_type: { volume_type: 'none' } })).status, 400);
  assert.deepEqual((await call(admin, 'PUT', path, { default_type })).body, {
    default_type: { project_id: member.projectId, volume_type_id: type.id },
  });
  assert.equal((await call(member, 'GET', '/types/default')).body.volume_type.id, type.id);
  assert.equal((await call(admin, 'DELETE', `/types/${type.id}`)).status, 400);
  assert.equal((await call(admin, 'GET', '/default-types')).body.default_types.length, 1);
  assert.equal((await call(admin, 'DELETE', path)).status, 204);
  assert.equal((await call(admin, 'GET', path)).status, 404);
  const { volume_type: cloudwide } = (await call(member, 'GET', '/types/default')).body;
  assert.equal(cloudwide.name, '__DEFAULT__');
  assert.equal((await call(admin, 'DELETE', `/types/${cloudwide.id}`)).status, 400);
});

test('group types are there from 3.11 on, their specs for administrators', async () => {
  const group_type = { name: 'consistent', group_specs: { consistent_group_snapshot_enabled: '<is> True' } };
  assert.equal((await call(admin, 'POST', '/group_types', { group_type }, 10)).status, 404);
  const made = await call(admin, 'POST', '/group_types', { group_type });
  assert.equal(made.status, 202);
  const { id } = made.body.group_type;
  assert.equal((await call(admin, 'POST', '/group_types', { group_type })).status, 409);
  assert.equal('group_specs' in (await call(member, 'GET', `/group_types/${id}`)).body.group_type, false);
  assert.equal((await call(admin, 'PUT', `/group_types/${id}/group_specs/a`, { a: '1' })).status, 200);
  assert.equal((await call(admin, 'POST', `/group_types/${id}/group_specs`, { group_specs: { b: '2' } })).status, 202);
  assert.equal((await call(admin, 'DELETE', `/group_types/${id}/group_specs/a`)).status, 202);
  assert.equal((await call(admin, 'GET', `/group_types/${id}/group_specs/a`)).status, 404);
  assert.equal((await call(admin, 'PUT', `/group_types/${id}`, { group_type: { is_public: false } })).status, 200);
  assert.equal((await call(member, 'GET', `/group_types/${id}`)).status, 404);
  assert.equal((await call(admin, 'DELETE', `/group_types/${id}`)).status, 202);
  assert.equal((await call(admin, 'GET', '/group_types?is_public=None')).body.group_types.length, 0);
});

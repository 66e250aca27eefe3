/** QoS specs and the types that have them. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const call = async (who: typeof member, method: string, path: string, body?: unknown) => {
  const answer = await api.call(who, method, path, { version: 70, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body };
};
const make = async (more: object = {}) =>
  (await call(admin, 'POST', '/qos-specs', { qos_specs: { name: `qos ${newId()}`, ...more } })).body.qos_specs;
const makeType = async () =>
  (await call(admin, 'POST', '/types', { volume_type: { name: `type ${newId()}` } })).body.volume_type.id;

test('keys are set and taken away; what limits a guest must be a number', async () => {
  const made = await make({ consumer: 'front-end', read_iops_sec: '2000', anything: 'else' });
  assert.deepEqual([made.consumer, made.specs], ['front-end', { read_iops_sec: '2000', anything: 'else' }]);
  const path = `/qos-specs/${made.id}`;
  const set = await call(admin, 'PUT', path, { qos_specs: { read_iops_sec: '500', consumer: 'both' } });
  assert.deepEqual([set.status, set.body.qos_specs], [200, { read_iops_sec: '500', consumer: 'both' }]);
  assert.equal((await call(admin, 'PUT', path, { qos_specs: { read_iops_sec: 'many' } })).status, 400);
  assert.equal((await call(admin, 'PUT', path, { qos_specs: { consumer: 'nobody' } })).status, 400);
  assert.equal((await call(admin, 'PUT', `${path}/delete_keys`, { keys: ['anything', 'none'] })).status, 404);
  assert.equal((await call(admin, 'PUT', `${path}/delete_keys`, { keys: ['anything'] })).status, 202);
  const shown = (await call(admin, 'GET', path)).body;
  assert.deepEqual([shown.qos_specs.consumer, shown.qos_specs.specs], ['both', { read_iops_sec: '500' }]);
  assert.equal(shown.links.length, 2);
  assert.equal((await call(admin, 'POST', '/qos-specs', { qos_specs: { name: made.name } })).status, 409);
  assert.equal((await call(member, 'GET', path)).status, 403);
});

test('a type has one of them; deleted they are only when no type has them, or with force', async () => {
  const [one, other, type, more] = [await make(), await make(), await makeType(), await makeType()];
  const at = (id: string, verb: string, of?: string) =>
    call(admin, 'GET', `/qos-specs/${id}/${verb}${of ? `?vol_type_id=${of}` : ''}`);
  assert.equal((await at(one.id, 'associate')).status, 400);
  assert.equal((await at(one.id, 'associate', newId())).status, 404);
  assert.equal((await at(one.id, 'associate', type)).status, 202);
  assert.equal((await at(one.id, 'associate', type)).status, 202);
  assert.equal((await at(other.id, 'associate', type)).status, 400);
  assert.equal((await at(one.id, 'associate', more)).status, 202);
  const types = async () =>
    (await at(one.id, 'associations')).body.qos_associations.map(({ id }: { id: string }) => id);
  assert.deepEqual((await types()).toSorted(), [type, more].toSorted());
  assert.equal((await call(admin, 'GET', `/types/${type}`)).body.volume_type.qos_specs_id, one.id);
  assert.equal((await call(admin, 'DELETE', `/qos-specs/${one.id}`)).status, 400);
  // Of the type that has others nothing is taken away.
  assert.equal((await at(other.id, 'disassociate', type)).status, 202);
  assert.equal((await at(one.id, 'disassociate', more)).status, 202);
  assert.deepEqual(await types(), [type]);
  assert.equal((await at(one.id, 'disassociate_all')).status, 202);
  assert.deepEqual(await types(), []);
  assert.equal((await at(one.id, 'associate', type)).status, 202);
  assert.equal((await call(admin, 'DELETE', `/qos-specs/${one.id}?force=True`)).status, 202);
  assert.equal((await call(admin, 'GET', `/types/${type}`)).body.volume_type.qos_specs_id, null);
});

test('they are listed by name and by consumer', async () => {
  const made = await make({ consumer: 'both' });
  const found = async (query: string) =>
    (await call(admin, 'GET', `/qos-specs?${query}`)).body.qos_specs.map(({ id }: { id: string }) => id);
  assert.deepEqual(await found(`name=${encodeURIComponent(made.name)}`), [made.id]);
  assert.equal((await found('consumer=both')).includes(made.id), true);
  assert.equal((await found('consumer=back-end')).includes(made.id), false);
  assert.equal((await found('sort=name:asc&limit=1')).length, 1);
});

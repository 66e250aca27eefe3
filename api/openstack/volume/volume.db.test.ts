/** What all of Cinder's calls have in common: versions, projects in paths, the form of a refusal. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member } = api.cloud;

test('the versions are for everybody, and a choice of them is answered with 300', async () => {
  const list = await api.call(null, 'GET', '//volume/');
  assert.equal(list.status, 300);
  const [version] = list.body.versions;
  assert.deepEqual([version.id, version.min_version, version.version], ['v3.0', '3.0', '3.70']);
  const one = await api.call(null, 'GET', '//volume/v3/');
  assert.deepEqual([one.status, one.body.versions[0].id], [200, 'v3.0']);
});

test('an answer names the microversion that was asked for among those of other services, a refusal too', async () => {
  const named = async (header: string) => {
    const { status, headers, body } = await api.call(member, 'GET', '/types', {
      headers: { 'openstack-api-version': header },
    });
    return [status, headers['openstack-api-version'], body.computeFault?.code ?? body.badRequest?.code];
  };
  assert.deepEqual(await named('compute 2.53, volume 3.27'), [200, 'volume 3.27', undefined]);
  assert.deepEqual(await named('volume latest'), [200, 'volume 3.70', undefined]);
  assert.deepEqual(await named('compute 2.53'), [200, 'volume 3.0', undefined]);
  assert.deepEqual(await named('volume 3.71'), [406, undefined, 406]);
  assert.deepEqual(await named('volume 2.0'), [406, undefined, 406]);
  assert.deepEqual(await named('volume three'), [400, undefined, 400]);
  const { body, headers } = await api.call(member, 'GET', `/types/${newId()}`, { version: 70 });
  assert.equal(headers['openstack-api-version'], 'volume 3.70');
  assert.equal(body.itemNotFound.code, 404);
});

test('a path may name the project of the token, and no other', async () => {
  const status = async (project: string) => (await api.call(member, 'GET', `/${project}/types`)).status;
  assert.equal(await status(member.projectId!), 200);
  assert.equal(await status(member.projectId!.replaceAll('-', '')), 200);
  assert.equal(await status(newId()), 400);
  assert.equal(await status('x'), 400);
  assert.equal((await api.call(null, 'GET', `/${member.projectId}/types`)).status, 401);
});

/** Quotas and limits in Cinder's names, those of single types too. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const call = async (who: typeof member, method: string, path: string, body?: unknown, version = 70) => {
  const answer = await api.call(who, method, path, { version, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body };
};
const own = `/os-quota-sets/${member.projectId}`;
const set = (quota_set: object) => call(admin, 'PUT', own, { quota_set });

test('a project has the defaults until an administrator gives it others, and again when they are taken away', async () => {
  const { quota_set: before } = (await call(member, 'GET', own)).body;
  assert.deepEqual([before.id, before.volumes, before.per_volume_gigabytes], [member.projectId, 100, -1]);
  const changed = await set({ volumes: '7', backup_gigabytes: 5, groups: 1, tenant_id: member.projectId });
  assert.equal(changed.status, 200);
  assert.deepEqual([changed.body.quota_set.volumes, changed.body.quota_set.groups], [7, 1]);
  assert.equal((await call(member, 'GET', `${own}/defaults`)).body.quota_set.volumes, 100);
  assert.equal((await call(admin, 'DELETE', own)).status, 200);
  assert.equal((await call(member, 'GET', own)).body.quota_set.volumes, 100);
  for (const wrong of [{ color: 1 }, { volumes: -2 }, { volumes: 'x' }, { volumes: 2 ** 31 }, { volumes_none: 1 }]) {
    assert.equal((await set(wrong)).status, 400, JSON.stringify(wrong));
  }
  assert.equal((await call(member, 'PUT', own, { quota_set: { volumes: 1 } })).status, 403);
  assert.equal((await call(member, 'GET', `/os-quota-sets/${newId()}`)).status, 403);
  assert.equal((await call(admin, 'GET', `/os-quota-sets/${newId()}`)).status, 200);
});

test('usage comes where it is asked for, of every type too; a type’s limits go with its name and end with it', async () => {
  const { id } = (await call(admin, 'POST', '/types', { volume_type: { name: 'swift' } })).body.volume_type;
  assert.equal((await set({ volumes_swift: 3, gigabytes_swift: 9 })).status, 200);
  const { quota_set: counted } = (await call(member, 'GET', `${own}?usage=True`)).body;
  assert.deepEqual(counted.volumes_swift, { limit: 3, in_use: 0, reserved: 0 });
  assert.deepEqual(counted.snapshots, { limit: 100, in_use: 0, reserved: 0 });
  await call(admin, 'PUT', `/types/${id}`, { volume_type: { name: 'swifter' } });
  const { quota_set: renamed } = (await call(member, 'GET', own)).body;
  assert.deepEqual([renamed.volumes_swifter, renamed.volumes_swift], [3, undefined]);
  await call(admin, 'DELETE', `/types/${id}`);
  await call(admin, 'POST', '/types', { volume_type: { name: 'swifter' } });
  assert.equal((await call(member, 'GET', own)).body.quota_set.volumes_swifter, -1);
});

test('the class of all projects is set by administrators, and there is no other', async () => {
  const path = '/os-quota-class-sets/default';
  const { quota_class_set: before } = (await call(admin, 'GET', path)).body;
  const changed = await call(admin, 'PUT', path, { quota_class_set: { snapshots: 44 } });
  assert.deepEqual([changed.status, changed.body.quota_class_set.snapshots], [200, 44]);
  assert.equal((await call(member, 'GET', own)).body.quota_set.snapshots, 44);
  assert.equal((await call(admin, 'PUT', path, { quota_class_set: { snapshots: before.snapshots } })).status, 200);
  assert.equal(
    (await call(admin, 'PUT', '/os-quota-class-sets/gold', { quota_class_set: { snapshots: 1 } })).status,
    400,
  );
  assert.equal((await call(member, 'GET', path)).status, 403);
});

test('limits are those of the caller’s project, of another one for administrators from 3.39 on', async () => {
  await set({ volumes: 5 });
  const volumes = async (who: typeof member, query: string, version: number) =>
    (await call(who, 'GET', `/limits${query}`, undefined, version)).body.limits.absolute.maxTotalVolumes;
  assert.equal(await volumes(member, '', 0), 5);
  assert.equal(await volumes(admin, `?project_id=${newId()}`, 39), 100);
  assert.equal(await volumes(member, `?project_id=${newId()}`, 39), 5);
  const { limits } = (await call(member, 'GET', '/limits')).body;
  assert.deepEqual([limits.rate, limits.absolute.totalGigabytesUsed], [[], 0]);
});

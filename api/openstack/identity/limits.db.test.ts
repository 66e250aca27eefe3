/** Unified limits: told for what the cloud serves (the rows of quota, enforced), kept for other services. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ProjectId } from '../../../contract/ids.ts';
import { cloudActor } from '../../../control/kit/database/database.ts';
import { quotaLimits } from '../../../control/kit/quota/limits.ts';
import { checkQuota, quotaUsage } from '../../../control/kit/quota/quota.ts';
import { usage } from '../../../control/resources.ts';
import { asAdministrator, makeTenant, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
let { call, make } = {} as ReturnType<typeof asAdministrator>;
let compute: string;

before(async () => {
  api = await testApi();
  ({ call, make } = asAdministrator(api));
  compute = (await call('GET', 'services?type=compute')).body.services[0].id;
});
after(() => api[Symbol.asyncDispose]());

interface Row {
  id: string;
  resource_name: string;
  default_limit: number;
  resource_limit: number;
  project_id: string | null;
}
const registered = async (query = ''): Promise<Row[]> =>
  (await call('GET', `registered_limits${query}`)).body.registered_limits;

test('what the cloud serves is registered from the start, and its number is the quota of every dialect', async () => {
  const tenant = await makeTenant(api);
  const [servers] = await registered(`?service_id=${compute}&resource_name=servers`);
  assert.equal(servers!.default_limit, 100);
  const changed = await call('PATCH', `registered_limits/${servers!.id}`, { registered_limit: { default_limit: 90 } });
  assert.equal(changed.body.registered_limit.default_limit, 90);
  const db = api.cloud.db.database;
  assert.equal((await quotaLimits(db.query, tenant.project.id)).servers, 90);
  const body = {
    limits: [{ service_id: compute, resource_name: 'servers', resource_limit: 0, project_id: tenant.project.id }],
  };
  const { status, body: made } = await call('POST', 'limits', body);
  assert.equal(status, 201, JSON.stringify(made));
  assert.equal((await quotaLimits(db.query, tenant.project.id)).servers, 0);
  assert.equal((await call('POST', 'limits', body)).status, 409);
  const want = () =>
    db.transaction(cloudActor, (tx) =>
      checkQuota(tx, tenant.project.id as ProjectId, { servers: usage.servers! }, { servers: 1 }),
    );
  await assert.rejects(want(), { code: 'quota_exceeded' }, 'enforced');
  const [limit] = made.limits;
  assert.equal(
    (await call('PATCH', `limits/${limit.id}`, { limit: { resource_limit: 3 } })).body.limit.resource_limit,
    3,
  );
  await want();
  const seen = await api.call({ method: 'GET', path: '/identity/v3/limits', token: tenant.token });
  assert.deepEqual(
    seen.body.limits.map((row: Row) => [row.resource_name, row.resource_limit]),
    [['servers', 3]],
  );
  const other = await makeTenant(api);
  assert.deepEqual(
    (await api.call({ method: 'GET', path: '/identity/v3/limits', token: other.token })).body.limits,
    [],
  );
  assert.equal(
    (await api.call({ method: 'GET', path: `/identity/v3/limits/${limit.id}`, token: other.token })).status,
    404,
  );
  assert.equal((await call('DELETE', `limits/${limit.id}`)).status, 204);
  assert.equal((await quotaLimits(db.query, tenant.project.id)).servers, 90, 'the default again');
  assert.equal(Object.keys(await quotaUsage(db.query, tenant.project.id, { servers: usage.servers! })).length, 1);
});

test("of the cloud's own only the number changes: it is not renamed, removed or registered twice, and no domain has one", async () => {
  const [vcpus] = await registered(`?resource_name=${encodeURIComponent('class:VCPU')}`);
  const path = `registered_limits/${vcpus!.id}`;
  assert.equal((await call('PATCH', path, { registered_limit: { resource_name: 'x' } })).status, 403);
  assert.equal((await call('DELETE', path)).status, 403);
  const again = { service_id: compute, resource_name: 'class:VCPU', default_limit: 1 };
  assert.equal((await call('POST', 'registered_limits', { registered_limits: [again] })).status, 409);
  const domain = { service_id: compute, resource_name: 'class:VCPU', resource_limit: 1, domain_id: 'default' };
  assert.equal((await call('POST', 'limits', { limits: [domain] })).status, 403);
});

test('limits of other services are kept: registered, given to projects and domains, all of a request or none', async () => {
  const service = await make('service', { type: unique() });
  const name = { service_id: service.id, region_id: 'RegionOne', resource_name: 'snapshots 📷' };
  const unregistered = { ...name, resource_limit: 5, domain_id: 'default' };
  assert.equal((await call('POST', 'limits', { limits: [unregistered] })).status, 403);
  const half = [
    { ...name, default_limit: 10 },
    { ...name, region_id: 'nowhere', default_limit: 10 },
  ];
  assert.equal((await call('POST', 'registered_limits', { registered_limits: half })).status, 400);
  assert.deepEqual(await registered(`?service_id=${service.id}`), []);
  const { body } = await call('POST', 'registered_limits', { registered_limits: [{ ...half[0], description: 'x' }] });
  const [row] = body.registered_limits;
  assert.deepEqual([row.default_limit, row.description, row.region_id], [10, 'x', 'RegionOne']);
  const { project } = await makeTenant(api);
  const limits = [unregistered, { ...name, resource_limit: -1, project_id: project.id }];
  const answer = await call('POST', 'limits', { limits });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.deepEqual(
    answer.body.limits.map((one: Row & { domain_id: string }) => [one.resource_limit, one.domain_id]),
    [
      [5, 'default'],
      [-1, null],
    ],
  );
  assert.equal((await call('GET', 'limits?domain_id=default')).body.limits.length, 1);
  assert.equal((await call('DELETE', `registered_limits/${row.id}`)).status, 403, 'in use');
  for (const { id } of answer.body.limits) assert.equal((await call('DELETE', `limits/${id}`)).status, 204);
  assert.equal((await call('DELETE', `registered_limits/${row.id}`)).status, 204);
  assert.equal((await call('GET', `registered_limits/${row.id}`)).status, 404);
  assert.equal((await call('GET', 'limits/model')).body.model.name, 'flat');
});

test('a service and a region may go before the limits that name them, which stay as they are until they are taken back', async () => {
  const service = await make('service', { type: unique() });
  const region = await make('region', { id: unique() });
  const below = await make('region', { id: unique(), parent_region_id: region.id });
  const name = { service_id: service.id, region_id: below.id, resource_name: 'snapshots' };
  const { body } = await call('POST', 'registered_limits', { registered_limits: [{ ...name, default_limit: 1 }] });
  const [row] = body.registered_limits;
  const limits = [{ ...name, resource_limit: 5, domain_id: 'default' }];
  const [limit] = (await call('POST', 'limits', { limits })).body.limits;
  for (const gone of [`regions/${region.id}`, `services/${service.id}`]) {
    const { status, body: told } = await call('DELETE', gone);
    assert.equal(status, 204, JSON.stringify(told));
  }
  for (const query of ['registered_limits', 'limits']) {
    const { body: found } = await call('GET', `${query}?service_id=${service.id}&region_id=${below.id}`);
    assert.equal(found[query].length, 1, JSON.stringify(found));
  }
  const more = { registered_limits: [{ ...name, resource_name: 'volumes', default_limit: 1 }] };
  assert.equal((await call('POST', 'registered_limits', more)).status, 400, 'no new one names what is gone');
  assert.equal((await call('DELETE', `registered_limits/${row.id}`)).status, 403, 'a domain has one of it');
  assert.equal((await call('DELETE', `limits/${limit.id}`)).status, 204);
  const path = `registered_limits/${row.id}`;
  const changed = await call('PATCH', path, { registered_limit: { default_limit: 2, resource_name: 'images' } });
  assert.equal(changed.body.registered_limit?.region_id, below.id, JSON.stringify(changed.body));
  assert.equal((await call('DELETE', path)).status, 204);
});

test('no limit takes the name of another', async () => {
  const service = await make('service', { type: unique() });
  const name = { service_id: service.id, region_id: 'RegionOne', resource_name: 'snapshots' };
  const { body } = await call('POST', 'registered_limits', { registered_limits: [{ ...name, default_limit: 1 }] });
  const [row] = body.registered_limits;
  const taken = { service_id: compute, region_id: null, resource_name: 'servers' };
  const renamed = await call('PATCH', `registered_limits/${row.id}`, { registered_limit: taken });
  assert.equal(renamed.status, 409, JSON.stringify(renamed.body));
  assert.equal((await registered(`?service_id=${compute}&resource_name=servers`)).length, 1);
});

test('what the cloud serves has no other number in a region, which would bind nobody', async () => {
  const there = { service_id: compute, region_id: 'RegionOne', resource_name: 'servers' };
  const { status, body } = await call('POST', 'registered_limits', {
    registered_limits: [{ ...there, default_limit: 1 }],
  });
  assert.equal(status, 403);
  assert.match(body.error.message, /^what this cloud serves has one limit in all regions: change the one of servers/);
  const service = await make('service', { type: unique() });
  const other = { service_id: service.id, region_id: 'RegionOne', resource_name: 'servers', default_limit: 1 };
  const [row] = (await call('POST', 'registered_limits', { registered_limits: [other] })).body.registered_limits;
  const moved = await call('PATCH', `registered_limits/${row.id}`, { registered_limit: { service_id: compute } });
  assert.equal(moved.status, 403);
  assert.equal((await registered(`?service_id=${compute}&resource_name=servers`)).length, 1);
});

test('a limit is of one project or one domain, and no less than -1', async () => {
  const name = { service_id: compute, resource_name: 'servers' };
  const { project } = await makeTenant(api);
  for (const wrong of [
    { ...name, resource_limit: 1 },
    { ...name, resource_limit: 1, project_id: project.id, domain_id: 'default' },
    { ...name, resource_limit: -2, project_id: project.id },
    { ...name, resource_limit: 2 ** 40, project_id: project.id },
    { ...name, resource_limit: 1, project_id: crypto.randomUUID() },
    { ...name, resource_limit: 1, project_id: project.id, more: 1 },
  ]) {
    assert.equal((await call('POST', 'limits', { limits: [wrong] })).status, 400, JSON.stringify(wrong));
  }
  const { rows } = await sql`select from quota where project_id = ${project.id}`.execute(api.cloud.db.database.query);
  assert.equal(rows.length, 0);
});

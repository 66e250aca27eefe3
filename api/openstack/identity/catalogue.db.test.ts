/** Regions, services, endpoints and what of them a project's catalogue shows, as Keystone's clients use them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Catalogue } from '../../../control/identity/catalogue.ts';
import { testUrl } from '../../../control/identity/testing.ts';
import { asAdministrator, makeTenant, odd, type TestApi, testApi, unique } from './testing.ts';

let api: TestApi;
let { call, make } = {} as ReturnType<typeof asAdministrator>;

before(async () => {
  api = await testApi();
  ({ call, make } = asAdministrator(api));
});
after(() => api[Symbol.asyncDispose]());

interface Entry {
  type: string;
  name: string;
  endpoints: { interface: string; region_id: string | null; url: string }[];
}
const catalogueOf = async (token: string): Promise<Entry[]> =>
  (await api.call({ method: 'GET', path: '/identity/v3/auth/catalog', token })).body.catalog;

test('an endpoint that is added, changed, switched off or removed is at once in the catalogues of tokens that there are', async () => {
  const tenant = await makeTenant(api);
  const type = unique();
  const service = await make('service', { type, name: odd, description: 'added', vendor: 'x', constructor: 'y' });
  assert.deepEqual([service.vendor, service.constructor], ['x', 'y']);
  const url = 'https://added.test/v1/$(project_id)s/%(user_id)s';
  const endpoint = await make('endpoint', { service_id: service.id, interface: 'public', region_id: 'RegionOne', url });
  assert.deepEqual([endpoint.region, endpoint.region_id, endpoint.enabled], ['RegionOne', 'RegionOne', true]);
  const found = async () => (await catalogueOf(tenant.token)).find((entry) => entry.type === type);
  assert.equal((await found())?.endpoints[0]?.url, `https://added.test/v1/${tenant.project.id}/${tenant.user.id}`);
  const shown = await api.call({
    method: 'GET',
    path: '/identity/v3/auth/tokens',
    token: tenant.token,
    headers: { 'x-subject-token': tenant.token },
  });
  assert.ok(
    shown.body.token.catalog.some((entry: Entry) => entry.type === type),
    'in the document of the token',
  );
  await call('PATCH', `endpoints/${endpoint.id}`, { endpoint: { url: 'https://changed.test' } });
  assert.equal((await found())?.endpoints[0]?.url, 'https://changed.test');
  await call('PATCH', `endpoints/${endpoint.id}`, { endpoint: { enabled: false } });
  assert.equal(await found(), undefined);
  await call('PATCH', `endpoints/${endpoint.id}`, { endpoint: { enabled: true } });
  await call('PATCH', `services/${service.id}`, { service: { enabled: false } });
  assert.equal(await found(), undefined);
  assert.equal((await call('DELETE', `services/${service.id}`)).status, 204);
  assert.equal((await call('GET', `endpoints/${endpoint.id}`)).status, 404, 'endpoints go with their service');
});

test('a catalogue that is read while a change comes in is not kept: it may show the state before', async () => {
  const { database } = api.cloud.db;
  const options = { region: 'RegionOne', publicUrl: testUrl, entries: [] };
  const catalogue = new Catalogue({ ...options, database, listening: () => true });
  const whose = { userId: crypto.randomUUID(), projectId: null };
  const service = await make('service', { type: unique() });
  const named = async () => (await catalogue.document(whose)).find(({ id }) => id === service.id)?.name;
  const reading = catalogue.document(whose);
  catalogue.apply([{ resource_type: 'service', resource_id: service.id, action: 'updated', body: {} }]);
  await reading;
  await make('endpoint', { service_id: service.id, interface: 'public', url: 'https://a.test' });
  await call('PATCH', `services/${service.id}`, { service: { name: 'changed' } });
  assert.equal(await named(), 'changed');
  await call('DELETE', `services/${service.id}`);
});

test('what the cloud itself serves follows its settings at each start, and is not changed by hand', async () => {
  const { services } = (await call('GET', 'services?type=identity')).body;
  assert.equal(services[0].name, 'keystone');
  assert.equal((await call('PATCH', `services/${services[0].id}`, { service: { name: 'x' } })).status, 403);
  assert.equal((await call('DELETE', `services/${services[0].id}`)).status, 403);
  const { endpoints } = (await call('GET', `endpoints?service_id=${services[0].id}&interface=public`)).body;
  assert.equal((await call('DELETE', `endpoints/${endpoints[0].id}`)).status, 403);
  const before = (await call('GET', 'endpoints')).body.endpoints;
  const { identity } = await api.cloud.another({
    publicUrl: 'https://moved.test',
    catalogue: [{ type: 'identity', name: 'keystone', path: '/identity' }],
  });
  const [moved] = (await call('GET', `endpoints?service_id=${services[0].id}&interface=public`)).body.endpoints;
  assert.deepEqual([moved.id, moved.url], [endpoints[0].id, 'https://moved.test/identity']);
  assert.equal((await call('GET', 'services?type=compute')).body.services.length, 0);
  await identity.stop();
  await api.cloud.identity.catalogue.settle();
  assert.deepEqual((await call('GET', 'endpoints')).body.endpoints, before, 'and back again');
  assert.ok(before.every(({ url }: { url: string }) => url.startsWith(testUrl)));
});

test('regions form a tree: of chosen or made ids, moved but not below themselves, kept while endpoints are there', async () => {
  const name = `${unique()} 北/region`;
  const top = await make('region', { id: name, description: odd });
  assert.deepEqual([top.id, top.parent_region_id], [name, null]);
  const child = await make('region', { parent_region_id: name });
  const path = (id: string) => `regions/${encodeURIComponent(id)}`;
  assert.equal((await call('GET', path(name))).body.region.description, odd);
  assert.deepEqual((await call('GET', `regions?parent_region_id=${encodeURIComponent(name)}`)).body.regions, [child]);
  assert.equal((await call('POST', 'regions', { region: { id: name } })).status, 409);
  assert.equal((await call('POST', 'regions', { region: { parent_region_id: 'nowhere' } })).status, 404);
  assert.equal((await call('PATCH', path(name), { region: { parent_region_id: child.id } })).status, 400);
  const put = await call('PUT', path('put-one'), { region: { description: 'by PUT' } });
  assert.deepEqual([put.status, put.body.region.id], [201, 'put-one']);
  assert.equal((await call('PUT', path('put-two'), { region: { id: 'other' } })).status, 400);
  const service = await make('service', { type: unique() });
  const endpoint = await make('endpoint', {
    service_id: service.id,
    interface: 'admin',
    region: child.id,
    url: 'http://a',
  });
  assert.equal((await call('DELETE', path(name))).status, 403, 'its child has an endpoint');
  await call('DELETE', `endpoints/${endpoint.id}`);
  assert.equal((await call('DELETE', path(name))).status, 204);
  assert.equal((await call('GET', path(child.id))).status, 404, 'children go along');
});

test('an endpoint needs a service and a region that there are, and an address; the old attribute makes the region', async () => {
  const service = await make('service', { type: unique() });
  const good = { service_id: service.id, interface: 'public', url: 'https://a.test' };
  for (const wrong of [
    { ...good, service_id: crypto.randomUUID() },
    { ...good, region_id: 'nowhere' },
    { ...good, interface: 'private' },
    { ...good, url: 'no address' },
    { ...good, enabled: 'False' },
  ]) {
    assert.equal((await call('POST', 'endpoints', { endpoint: wrong })).status, 400, JSON.stringify(wrong));
  }
  const region = unique();
  const made = await make('endpoint', { ...good, region });
  assert.equal(made.region_id, region);
  assert.equal((await call('GET', `regions/${region}`)).status, 200);
});

test('a project with endpoints or endpoint groups of its own sees only those', async () => {
  const tenant = await makeTenant(api);
  const types = async () => (await catalogueOf(tenant.token)).map(({ type }) => type);
  assert.ok((await types()).length > 1);
  const [compute] = (await call('GET', 'services?type=compute')).body.services;
  const [face] = (await call('GET', `endpoints?service_id=${compute.id}&interface=public`)).body.endpoints;
  const single = `OS-EP-FILTER/projects/${tenant.project.id}/endpoints/${face.id}`;
  assert.equal((await call('GET', single)).status, 404);
  assert.equal((await call('PUT', single)).status, 204);
  assert.equal((await call('PUT', single)).status, 204, 'safe to repeat');
  assert.equal((await call('HEAD', single)).status, 204);
  const [entry, ...others] = await catalogueOf(tenant.token);
  assert.deepEqual([entry?.type, entry?.endpoints.length, others.length], ['compute', 1, 0]);
  const [identity] = (await call('GET', 'services?type=identity')).body.services;
  const filters = { service_id: identity.id, interface: 'internal' };
  const answer = await call('POST', 'OS-EP-FILTER/endpoint_groups', { endpoint_group: { name: odd, filters } });
  const group = answer.body.endpoint_group;
  assert.deepEqual([answer.status, group.filters], [201, filters]);
  const grouped = `OS-EP-FILTER/endpoint_groups/${group.id}/projects/${tenant.project.id}`;
  assert.equal((await call('PUT', grouped)).status, 204);
  assert.equal((await call('GET', grouped)).body.project_endpoint_group.project_id, tenant.project.id);
  assert.deepEqual((await types()).sort(), ['compute', 'identity']);
  const urls = ['endpoints', 'endpoint_groups'].map((noun) => `OS-EP-FILTER/projects/${tenant.project.id}/${noun}`);
  assert.equal((await call('GET', urls[0]!)).body.endpoints.length, 2);
  assert.equal((await call('GET', urls[1]!)).body.endpoint_groups[0].id, group.id);
  assert.equal((await call('GET', `OS-EP-FILTER/endpoint_groups/${group.id}/endpoints`)).body.endpoints.length, 1);
  assert.equal(
    (await call('GET', `OS-EP-FILTER/endpoint_groups/${group.id}/projects`)).body.projects[0].id,
    tenant.project.id,
  );
  assert.equal(
    (await call('GET', `OS-EP-FILTER/endpoints/${face.id}/projects`)).body.projects[0].id,
    tenant.project.id,
  );
  assert.equal((await call('DELETE', single)).status, 204);
  assert.deepEqual(await types(), ['identity']);
  const kept = { endpoint_group: { filters: { service_id: 'no id' } } };
  const changed = await call('PATCH', `OS-EP-FILTER/endpoint_groups/${group.id}`, kept);
  assert.deepEqual(changed.body.endpoint_group.filters, { service_id: 'no id' }, 'told as it was given');
  assert.equal((await call('DELETE', `OS-EP-FILTER/endpoint_groups/${group.id}`)).status, 204);
  assert.ok((await types()).length > 1, 'with none of its own it sees all again');
});

test('an endpoint group filters by what endpoints have, and by something', async () => {
  for (const filters of [{}, { name: 'x' }, { interface: 'private' }, null]) {
    const answer = await call('POST', 'OS-EP-FILTER/endpoint_groups', { endpoint_group: { name: 'x', filters } });
    assert.equal(answer.status, 400, JSON.stringify(filters));
  }
});

test('policies are kept as they are', async () => {
  const answer = await call('POST', 'policies', { policy: { type: 'application/json', blob: odd, mine: 1 } });
  const { policy } = answer.body;
  assert.deepEqual([answer.status, policy.blob, policy.mine], [201, odd, 1]);
  assert.equal(
    (await call('PATCH', `policies/${policy.id}`, { policy: { type: 'text/plain' } })).body.policy.blob,
    odd,
  );
  assert.equal((await call('GET', 'policies?type=text/plain')).body.policies.length, 1);
  assert.equal((await call('DELETE', `policies/${policy.id}`)).status, 204);
  assert.equal((await call('GET', `policies/${policy.id}`)).status, 404);
});

/** Hosts as Placement's clients see and steer them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { AggregateService } from '../../../control/compute/aggregate/index.ts';
import { placeMove } from '../../../control/compute/server/index.ts';
import { cloudActor } from '../../../control/kit/database/database.ts';
import { type PlacementApi, placementApi } from './testing.ts';

let api: PlacementApi;
before(async () => {
  api = await placementApi();
});
after(() => api[Symbol.asyncDispose]());

const get = async (path: string, version: number | 'latest' = 'latest') => {
  const { status, body } = await api.call(api.cloud.admin, 'GET', path, { version });
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};
const put = (path: string, body: unknown, version: number | 'latest' = 'latest') =>
  api.call(api.cloud.admin, 'PUT', path, { body, version });
/** 4 processors and 5 GiB, of which 1 GiB is kept back; in a zone of its own. */
async function host(zone: string = newId()): Promise<HostId> {
  const id = await api.cloud.addHost({ vcpus: 64, memoryMiB: 4096, zone });
  await sql`update host set facts = facts || '{"diskGiB": 1000, "architecture": "x86_64"}' where id = ${id}`.execute(
    api.db.database.query,
  );
  return id;
}
async function server(zone: string, specs: Record<string, string> = {}): Promise<ServerId> {
  const { cloud } = api;
  const flavor = await cloud.addFlavor({ vcpus: 2, memoryMiB: 1024, diskGiB: 10 });
  await sql`update flavor set extra_specs = ${JSON.stringify(specs)}::jsonb where flavor_id = ${flavor}`.execute(
    api.db.database.query,
  );
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, availabilityZone: zone }));
  await cloud.controller.reconcile(ids[0]!);
  return ids[0]!;
}

test('a host is a resource provider with what it has, and gives out what its servers take', async () => {
  const zone = newId();
  const [id, other] = [await host(zone), await host()];
  const made = await server(zone);
  const one = (await get(`/resource_providers?uuid=${id}`)).resource_providers[0];
  assert.deepEqual([one.uuid, one.name, one.root_provider_uuid], [id, `host-${id}`, id]);
  assert.equal((await get(`/resource_providers?name=host-${id}`, 0)).resource_providers.length, 1);
  const { inventories } = await get(`/resource_providers/${id}/inventories`);
  const plain = { min_unit: 1, step_size: 1 };
  assert.deepEqual(inventories, {
    VCPU: { ...plain, total: 4, reserved: 0, max_unit: 64, allocation_ratio: 16 },
    MEMORY_MB: { ...plain, total: 5120, reserved: 1024, max_unit: 4096, allocation_ratio: 1 },
    DISK_GB: { ...plain, total: 1000, reserved: 0, max_unit: 1000, allocation_ratio: 1 },
  });
  const resources = { VCPU: 2, MEMORY_MB: 1024, DISK_GB: 10 };
  assert.deepEqual((await get(`/resource_providers/${id}/usages`)).usages, resources);
  assert.deepEqual((await get(`/resource_providers/${id}/allocations`)).allocations[made].resources, resources);
  const allocation = await get(`/allocations/${made}`);
  assert.deepEqual(allocation.allocations[id].resources, resources);
  assert.deepEqual([allocation.project_id, allocation.consumer_type], [api.cloud.projectId, 'INSTANCE']);
  assert.deepEqual((await get(`/allocations/${newId()}`)).allocations, {});
  assert.deepEqual((await get(`/usages?project_id=${api.cloud.projectId}`)).usages.INSTANCE, {
    ...{ consumer_count: 1, ...resources },
  });
  assert.deepEqual((await get(`/usages?project_id=${api.cloud.projectId}`, 37)).usages, resources);
  const mine = await api.call(api.cloud.member, 'GET', `/usages?project_id=${api.cloud.projectId}`, { version: 9 });
  assert.equal(mine.status, 200, 'a project may read its own');
  assert.equal((await api.call(api.cloud.member, 'GET', `/usages?project_id=${newId()}`, { version: 9 })).status, 403);
  // While it moves it has both.
  await sql`update host set availability_zone = ${zone} where id = ${other}`.execute(api.db.database.query);
  await api.db.database.transaction(cloudActor, (tx) => placeMove(tx, { serverId: made }));
  assert.deepEqual(Object.keys((await get(`/allocations/${made}`)).allocations).sort(), [id, other].sort());
  assert.deepEqual((await get(`/resource_providers/${other}/usages`)).usages, resources);
});

test('ratio and reserve of a host are said here, and placement gives out so much and no more', async () => {
  const zone = newId();
  const id = await host(zone);
  const path = `/resource_providers/${id}/inventories`;
  const { resource_provider_generation } = await get(path);
  const said = await put(`${path}/VCPU`, {
    resource_provider_generation,
    total: 4,
    allocation_ratio: 1.5,
    reserved: 1,
  });
  assert.equal(said.status, 200, JSON.stringify(said.body));
  assert.deepEqual([said.body.allocation_ratio, said.body.reserved, said.body.max_unit], [1.5, 1, 4]);
  const stale = await put(`${path}/VCPU`, { resource_provider_generation, total: 4, allocation_ratio: 9 });
  assert.equal(stale.status, 409);
  assert.equal(stale.body.errors[0].code, 'placement.concurrent_update');
  const placed = [];
  for (let n = 0; n < 3; n++) placed.push((await api.cloud.service.get(api.cloud.admin, await server(zone))).host_id);
  assert.deepEqual(placed, [id, id, null]);
  // A new connection of the host says what it has, not how it is given out.
  const { rows } = await sql<{ vcpus: number }>`select vcpus from host where id = ${id}`.execute(api.db.database.query);
  assert.equal(rows[0]!.vcpus, 4);
  const now = await get(path);
  const words = Object.fromEntries(
    Object.entries(now.inventories).map(([name, one]) => [name, { total: (one as { total: number }).total }]),
  );
  const back = await put(path, { resource_provider_generation: now.resource_provider_generation, inventories: words });
  assert.deepEqual([back.status, back.body.inventories.VCPU.allocation_ratio], [200, 16]);
});

test('a custom trait that a host is given is what flavors can ask for', async () => {
  const zone = newId();
  const [plain, gold] = [await host(zone), await host(zone)];
  const none = await server(zone, { 'trait:CUSTOM_GOLD': 'required' });
  assert.equal((await api.cloud.service.get(api.cloud.admin, none)).host_id, null);
  assert.equal(
    (await put(`/resource_providers/${gold}/traits`, { resource_provider_generation: 0, traits: ['CUSTOM_GOLD'] }))
      .status,
    400,
  );
  assert.equal((await put('/traits/CUSTOM_GOLD', undefined)).status, 201);
  assert.equal((await put('/traits/CUSTOM_GOLD', undefined)).status, 204);
  assert.equal((await put('/traits/gold', undefined)).status, 400);
  const own = (await get(`/resource_providers/${gold}/traits`)).traits;
  assert.ok(own.includes('HW_ARCH_X86_64') && own.includes('COMPUTE_NODE'));
  const given = await put(`/resource_providers/${gold}/traits`, {
    resource_provider_generation: 0,
    traits: ['CUSTOM_GOLD', 'COMPUTE_NODE'],
  });
  assert.deepEqual(
    [given.status, given.body.traits],
    [200, ['COMPUTE_NODE', ...own, 'CUSTOM_GOLD'].filter((x, n, all) => all.indexOf(x) === n).sort()],
  );
  const some = await server(zone, { 'trait:CUSTOM_GOLD': 'required' });
  assert.equal((await api.cloud.service.get(api.cloud.admin, some)).host_id, gold);
  const claimed = await put(`/resource_providers/${plain}/traits`, {
    resource_provider_generation: 0,
    traits: ['HW_ARCH_AARCH64'],
  });
  assert.equal(claimed.status, 409, 'what a host is by itself nobody says of it');
  const has = (await get('/resource_providers?required=CUSTOM_GOLD')).resource_providers;
  assert.deepEqual(
    has.map(({ uuid }: { uuid: string }) => uuid),
    [gold],
  );
  assert.deepEqual((await get('/traits?name=startswith:CUSTOM_&associated=true')).traits, ['CUSTOM_GOLD']);
  assert.equal((await api.call(api.cloud.admin, 'DELETE', '/traits/CUSTOM_GOLD', { version: 'latest' })).status, 409);
  assert.equal((await api.call(api.cloud.admin, 'DELETE', '/traits/COMPUTE_NODE', { version: 'latest' })).status, 400);
  assert.equal(
    (await api.call(api.cloud.admin, 'DELETE', `/resource_providers/${gold}/traits`, { version: 'latest' })).status,
    204,
  );
  assert.equal((await api.call(api.cloud.admin, 'DELETE', '/traits/CUSTOM_GOLD', { version: 'latest' })).status, 204);
  assert.equal((await api.call(api.cloud.admin, 'GET', '/traits/CUSTOM_GOLD', { version: 'latest' })).status, 404);
});

test('candidates are the hosts that have the room and are so, in the form of each version', async () => {
  const { cloud } = api;
  const aggregates = new AggregateService(api.db);
  const { number, id: aggregate } = await aggregates.create(cloud.admin, { name: 'those', availabilityZone: null });
  const [small, large] = [await host(), await host()];
  await sql`update host set memory_mib = 512 where id = ${small}`.execute(api.db.database.query);
  for (const each of [small, large]) await aggregates.addHost(cloud.admin, number, `host-${each}`);
  const found = async (query: string, version: number | 'latest' = 'latest') =>
    Object.keys(
      (await get(`/allocation_candidates?member_of=${aggregate}&${query}`, version)).provider_summaries,
    ).sort();
  assert.deepEqual(await found('resources=VCPU:1,MEMORY_MB:512'), [small, large].sort());
  assert.deepEqual(await found('resources=VCPU:1,MEMORY_MB:513'), [large]);
  assert.deepEqual(
    await found('resources=VCPU:1&resources1=MEMORY_MB:300&resources_A=MEMORY_MB:300&group_policy=none'),
    [large],
  );
  assert.deepEqual(
    await found('resources=VCPU:1&resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate'),
    [],
    'a host is one provider',
  );
  assert.deepEqual(await found('resources=VCPU:1,VGPU:1'), []);
  assert.deepEqual(await found(`resources=VCPU:1&in_tree=${small}`), [small]);
  assert.deepEqual(await found('resources=VCPU:1&required=COMPUTE_STATUS_DISABLED'), []);
  await sql`update host set enabled = false where id = ${small}`.execute(api.db.database.query);
  assert.deepEqual(await found('resources=VCPU:1&required=!COMPUTE_STATUS_DISABLED'), [large]);
  assert.deepEqual(await found('resources=VCPU:1&required=in:COMPUTE_STATUS_DISABLED,HW_ARCH_AARCH64'), [small]);
  assert.equal((await found('resources=VCPU:1&limit=1')).length, 1);
  const path = `/allocation_candidates?member_of=${aggregate}&resources=VCPU:1&required=!COMPUTE_STATUS_DISABLED`;
  const now = await get(path);
  assert.deepEqual(now.allocation_requests, [
    { allocations: { [large]: { resources: { VCPU: 1 } } }, mappings: { '': [large] } },
  ]);
  assert.deepEqual(now.provider_summaries[large].resources.VCPU, { capacity: 64, used: 0 });
  const early = await get(`/allocation_candidates?resources=VCPU:1,MEMORY_MB:600`, 10);
  assert.ok(
    early.allocation_requests.some(
      (one: { allocations: { resource_provider: { uuid: string } }[] }) =>
        one.allocations[0]!.resource_provider.uuid === large,
    ),
  );
  for (const query of [
    '',
    '?resources=',
    '?resources=VCPU',
    '?resources=VCPU:0',
    '?resources=NO_SUCH:1',
    '?resources=VCPU:1&required=NO_SUCH',
    '?resources=VCPU:1&limit=0',
    '?resources=VCPU:1&what=1',
  ])
    assert.equal(
      (await api.call(cloud.admin, 'GET', `/allocation_candidates${query}`, { version: 'latest' })).status,
      400,
      query,
    );
});

test('candidates are asked for as each version lets them be, and what is asked of their roots or of groups together counts', async () => {
  const { cloud } = api;
  const zone = newId();
  const id = await host(zone);
  await put('/traits/CUSTOM_ROOT', undefined);
  await put('/traits/CUSTOM_NOWHERE', undefined);
  const { resource_provider_generation } = await get(`/resource_providers/${id}/traits`);
  assert.equal(
    (await put(`/resource_providers/${id}/traits`, { resource_provider_generation, traits: ['CUSTOM_ROOT'] })).status,
    200,
  );
  const ask = async (query: string, version: number | 'latest' = 'latest') =>
    api.call(cloud.admin, 'GET', `/allocation_candidates?${query}`, { version });
  const found = async (query: string) => {
    const { status, body } = await ask(query);
    assert.equal(status, 200, JSON.stringify(body));
    return Object.keys(body.provider_summaries);
  };
  assert.deepEqual(await found('resources=VCPU:1&root_required=CUSTOM_ROOT'), [id]);
  assert.deepEqual(await found('resources=VCPU:1&root_required=CUSTOM_ROOT,CUSTOM_NOWHERE'), []);
  assert.equal((await found('resources=VCPU:1&root_required=!CUSTOM_ROOT')).includes(id), false);
  const together = 'resources_a=VCPU:1&required_b=CUSTOM_ROOT&same_subtree=_a,_b&group_policy=none';
  assert.deepEqual(await found(together), [id]);
  assert.deepEqual((await ask(together)).body.allocation_requests[0].mappings, { _a: [id], _b: [id] });
  for (const query of [
    'resources=VCPU:1&root_required=in:CUSTOM_ROOT',
    'resources=VCPU:1&root_required=CUSTOM_ROOT&root_required=CUSTOM_NOWHERE',
    'resources=VCPU:1&root_required=CUSTOM_ROOT,!CUSTOM_ROOT',
    'resources=VCPU:1&root_required=CUSTOM_NO_SUCH',
    'resources_a=VCPU:1&same_subtree=_b',
    'resources_a=VCPU:1&same_subtree=_a,',
    'resources_a=VCPU:1&required_b=CUSTOM_ROOT',
    'resources1=VCPU:1&resources2=VCPU:1',
    'required_b=CUSTOM_ROOT&same_subtree=_b',
  ]) {
    const { status, body } = await ask(query);
    assert.equal(status, 400, `${query}: ${JSON.stringify(body)}`);
  }
  for (const [query, first] of [
    ['resources=VCPU:1&limit=1', 16],
    ['resources=VCPU:1&required=CUSTOM_ROOT', 17],
    [`resources=VCPU:1&member_of=${newId()}`, 21],
    [`resources=VCPU:1&member_of=${newId()}&member_of=${newId()}`, 24],
    ['resources1=VCPU:1', 25],
    ['resources=VCPU:1&group_policy=none', 25],
    [`resources=VCPU:1&in_tree=${id}`, 31],
    ['resources_a=VCPU:1', 33],
    ['resources=VCPU:1&root_required=CUSTOM_ROOT', 35],
    ['resources_a=VCPU:1&same_subtree=_a', 36],
  ] as const)
    assert.deepEqual([(await ask(query, first - 1)).status, (await ask(query, first)).status], [400, 200], query);
});

test('what would say something else than hosts and servers do is refused with the reason and the way', async () => {
  const id = await host();
  const refused = async (method: string, path: string, body?: unknown) => {
    const { status, body: answer } = await api.call(api.cloud.admin, method, path, {
      version: 'latest',
      ...(body !== undefined && { body }),
    });
    assert.equal(status, 409, `${method} ${path}: ${JSON.stringify(answer)}`);
    const [error] = answer.errors;
    assert.deepEqual([error.status, error.title], [409, 'Conflict']);
    return error.detail as string;
  };
  assert.match(await refused('POST', '/resource_providers', { name: 'x' }), /bothy join/);
  assert.match(await refused('DELETE', `/resource_providers/${id}`), /leaves/);
  assert.match(await refused('PUT', `/resource_providers/${id}/aggregates`, { aggregates: [] }), /aggregate add host/);
  assert.match(await refused('PUT', `/allocations/${newId()}`, { allocations: {} }), /by the compute API alone/);
  const word = { resource_provider_generation: 0, total: 400 };
  assert.match(
    await refused('PUT', `/resource_providers/${id}/inventories/VCPU`, word),
    /has 4 of VCPU by its own word/,
  );
  assert.match(await refused('PUT', '/resource_classes/CUSTOM_X'), /nothing would count it/);
  assert.deepEqual((await get(`/resource_providers/${id}/inventories`)).inventories.VCPU.total, 4);
});

test('versions, unknown ones, errors and other callers are answered as Placement does', async () => {
  const root = await api.call(null, 'GET', '/');
  assert.deepEqual(root.body.versions[0].max_version, '1.39');
  const beyond = await api.call(api.cloud.admin, 'GET', '/resource_providers', { version: 99 });
  const { title, min_version, max_version } = beyond.body.errors[0];
  assert.deepEqual([beyond.status, title, min_version, max_version], [406, 'Not Acceptable', '1.0', '1.39']);
  assert.equal((await api.call(null, 'GET', '/resource_providers')).status, 401);
  assert.equal((await api.call(api.cloud.member, 'GET', '/resource_providers')).status, 403);
  const tooEarly = await api.call(api.cloud.admin, 'GET', '/resource_providers?required=COMPUTE_NODE', { version: 17 });
  assert.equal(tooEarly.status, 400);
  const early = await api.call(api.cloud.admin, 'GET', '/traits', { version: 5 });
  assert.deepEqual([early.status, early.body.errors[0].code], [404, undefined]);
  const unknown = await api.call(api.cloud.admin, 'GET', `/resource_providers/${newId()}`, { version: 'latest' });
  assert.deepEqual([unknown.status, unknown.body.errors[0].code], [404, 'placement.undefined_code']);
  const wrong = await api.call(api.cloud.admin, 'PATCH', '/traits', { version: 'latest' });
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'GET']);
  assert.match(String(unknown.headers['openstack-api-version']), /^placement 1\.39$/);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost({ name: 'rack-1' });
  flavor = await api.cloud.addFlavor({ id: 'm1.tiny' });
});
after(() => api[Symbol.asyncDispose]());

const wish = (over: Record<string, unknown> = {}) => ({
  server: { name: oddName, imageRef: api.cloud.imageId, flavorRef: flavor, ...over },
});

async function make(over: Record<string, unknown> = {}, options: { active?: boolean } = {}): Promise<ServerId> {
  const made = await api.call(api.cloud.member, 'POST', '/servers', { body: wish(over) });
  assert.equal(made.status, 202, JSON.stringify(made.body));
  if (options.active ?? true) {
    await api.cloud.controller.reconcile(made.body.server.id);
    await api.cloud.obey(host);
  }
  return made.body.server.id;
}

const get = (path: string, version?: number) =>
  api.call(api.cloud.member, 'GET', path, version === undefined ? {} : { version });

test('version documents are open and name the range; every answer names its version', async () => {
  const root = await api.call(null, 'GET', '//compute/');
  assert.deepEqual(
    root.body.versions.map((v: Record<string, string>) => [v.id, v.min_version, v.version]),
    [
      ['v2.0', '', ''],
      ['v2.1', '2.1', '2.96'],
    ],
  );
  assert.equal((await api.call(null, 'GET', '//compute/v2')).body.version.id, 'v2.0');
  const old = await api.call(api.cloud.member, 'GET', '//compute/v2/servers', { version: 999 });
  assert.deepEqual([old.status, old.headers['openstack-api-version']], [200, undefined], 'v2.0 knows no microversions');
  assert.match(String(old.headers['x-compute-request-id']), /^req-/);
  assert.equal((await api.call(null, 'GET', '/')).body.version.status, 'CURRENT');
  const listed = await get('/servers', 53);
  assert.equal(listed.headers['openstack-api-version'], 'compute 2.53');
  assert.equal(listed.headers['x-openstack-nova-api-version'], '2.53');
  const legacy = await api.call(api.cloud.member, 'GET', '/servers', {
    headers: { 'x-openstack-nova-api-version': '2.9' },
  });
  assert.equal(legacy.headers['openstack-api-version'], 'compute 2.9');
  const several = await api.call(api.cloud.member, 'GET', '/servers', {
    headers: { 'openstack-api-version': 'volume 3.1, compute latest' },
  });
  assert.equal(several.headers['openstack-api-version'], 'compute 2.96');
});

test('a version out of range is 406, one of no form 400, a missing or forged token 401, all as Nova’s faults', async () => {
  const beyond = await api.call(api.cloud.member, 'GET', '/servers', { version: 97 });
  assert.deepEqual(
    [beyond.status, beyond.body.computeFault.message],
    [406, 'Version 2.97 is not supported by the API. Minimum is 2.1 and maximum is 2.96.'],
  );
  const odd = await api.call(api.cloud.member, 'GET', '/servers', {
    headers: { 'openstack-api-version': 'compute two' },
  });
  assert.equal(odd.body.badRequest.code, 400);
  assert.equal((await api.call(null, 'GET', '/servers')).body.unauthorized.code, 401);
  const forged = await api.call(null, 'GET', '/servers', { headers: { 'x-auth-token': 'forged' } });
  assert.equal(forged.status, 401);
  assert.equal((await get('/no-such-thing')).body.itemNotFound.code, 404);
});

test('a server is made, shown at every version with Nova’s fields, and goes', async () => {
  const made = await api.call(api.cloud.member, 'POST', '/servers', { body: wish({ metadata: { 鍵: '値' } }) });
  assert.equal(made.status, 202);
  assert.deepEqual(made.body.server.security_groups, [{ name: 'default' }]);
  const id = made.body.server.id as ServerId;
  assert.equal(made.headers.location, `http://localhost:80/compute/v2.1/servers/${id}`);
  const building = (await get(`/servers/${id}`)).body.server;
  assert.deepEqual([building.status, building.addresses, building['OS-EXT-STS:vm_state']], ['BUILD', {}, 'building']);
  await api.cloud.controller.reconcile(id);
  await api.cloud.obey(host);

  const old = (await get(`/servers/${id}`)).body.server;
  assert.equal(old.name, oddName);
  assert.equal(old.status, 'ACTIVE');
  assert.deepEqual(old.metadata, { 鍵: '値' });
  assert.equal(old.flavor.id, 'm1.tiny');
  assert.match(old.created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.match(old.hostId, /^[0-9a-f]{56}$/);
  assert.deepEqual(Object.keys(old.addresses), [oddName]);
  assert.equal(old.addresses[oddName][0]['OS-EXT-IPS:type'], 'fixed');
  for (const later of [
    'locked',
    'description',
    'tags',
    'locked_reason',
    'OS-EXT-SRV-ATTR:host',
    'host_status',
    'server_groups',
  ]) {
    assert.ok(!(later in old), `${later} is of a later version or of administrators`);
  }
  const now = (await get(`/servers/${id}`, 96)).body.server;
  assert.deepEqual(
    [now.locked, now.description, now.tags, now.trusted_image_certificates, now.server_groups, now.locked_reason],
    [false, oddName, [], null, [], null],
  );
  assert.equal(now.pinned_availability_zone, null);
  assert.equal(now['OS-EXT-SRV-ATTR:hostname'], 'x-drop');
  assert.deepEqual(now.flavor, {
    vcpus: 1,
    ram: 512,
    disk: 1,
    ephemeral: 0,
    swap: 0,
    original_name: 'flavor m1.tiny',
    extra_specs: {},
  });
  const admin = await api.call(api.cloud.admin, 'GET', `/servers/${id}`, { version: 16 });
  assert.equal(admin.body.server['OS-EXT-SRV-ATTR:host'], 'rack-1');
  assert.equal(admin.body.server.host_status, 'UP');

  assert.equal((await api.call(api.cloud.member, 'DELETE', `/servers/${id}`)).status, 204);
  await api.cloud.controller.reconcile(id);
  await api.cloud.obey(host);
  await api.cloud.controller.reconcile(id);
  const gone = await get(`/servers/${id}`);
  assert.deepEqual([gone.status, gone.body.itemNotFound.message], [404, `Instance ${id} could not be found.`]);
});

test('what a body says wrongly is refused as Nova refuses it', async () => {
  const cases: [Record<string, unknown>, number | undefined, number, RegExp][] = [
    [wish({ colour: 'red' }), undefined, 400, /Additional properties are not allowed \('colour' was unexpected\)/],
    [{ server: { name: 'x', imageRef: api.cloud.imageId } }, undefined, 400, /'flavorRef' is a required property/],
    [wish({ name: '' }), undefined, 400, /field\/attribute name.*too short/],
    [wish({ name: 'x'.repeat(256) }), undefined, 400, /name.*too long/],
    [wish({ name: ' x' }), undefined, 400, /attribute name/],
    [wish({ name: 7 }), undefined, 400, /attribute name/],
    [wish({ imageRef: 'no uuid' }), undefined, 400, /imageRef/],
    [wish({ imageRef: newId() }), undefined, 400, /No image found/],
    [wish({ flavorRef: 'none' }), undefined, 400, /Flavor none could not be found/],
    [wish({ key_name: 'none' }), undefined, 400, /Invalid key_name provided/],
    [wish({ user_data: 'no base64!' }), undefined, 400, /user_data/],
    [wish({ user_data: 'A'.repeat(65_536) }), undefined, 400, /user_data/],
    [wish({ min_count: 3, max_count: 2 }), undefined, 400, /min_count must be <= max_count/],
    [wish({ networks: [{ uuid: 'no uuid' }] }), undefined, 400, /Bad networks format/],
    [wish({ networks: [{ port: newId(), fixed_ip: '10.0.0.9' }] }), undefined, 400, /cannot be used with port/],
    [wish({ description: 'too early' }), 18, 400, /description/],
    [wish({ tags: ['early'], networks: 'none' }), 51, 400, /tags/],
    [wish(), 37, 400, /'networks' is a required property/],
    [wish({ networks: 'auto', personality: [] }), 57, 400, /personality/],
    [wish({ personality: [{ path: '/x' }] }), undefined, 400, /contents/],
    [wish({ personality: [{ path: '/x', contents: 'no base64!' }] }), undefined, 400, /contents.*no base64/],
    [wish({ personality: [{ path: '', contents: 'eA==' }] }), undefined, 400, /path.*too short/],
    [wish({ personality: [{ path: '/a\u0007b', contents: 'eA==' }] }), undefined, 400, /path.*not printable/],
    [wish({ personality: Array(6).fill({ path: '/x', contents: '' }) }), undefined, 403, /Personality file limit/],
    [wish({ personality: [{ path: 'é'.repeat(128), contents: '' }] }), undefined, 403, /Personality file path too/],
    [
      wish({ personality: [{ path: '/x', contents: Buffer.alloc(10_241).toString('base64') }] }),
      undefined,
      403,
      /Personality file content too long/,
    ],
    [
      wish({
        block_device_mapping_v2: [{ boot_index: 0, source_type: 'volume', destination_type: 'volume', uuid: newId() }],
      }),
      undefined,
      400,
      /Volume .* could not be found/,
    ],
    [wish({ availability_zone: 'nowhere' }), undefined, 400, /availability zone is not available/],
    [wish({ availability_zone: 'nova:rack-1' }), undefined, 403, /admin/],
    [wish({ metadata: { k: 'v'.repeat(256) } }), undefined, 400, /too long/],
    [
      wish({ metadata: Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, ''])) }),
      undefined,
      403,
      /128/,
    ],
  ];
  for (const [body, version, status, message] of cases) {
    const answer = await api.call(api.cloud.member, 'POST', '/servers', { body, ...(version && { version }) });
    const [fault] = Object.values(answer.body) as { code: number; message: string }[];
    assert.equal(answer.status, status, JSON.stringify([body, answer.body]).slice(0, 400));
    assert.equal(fault!.code, status);
    assert.match(fault!.message, message);
  }
  const nul = await api.call(api.cloud.member, 'POST', '/servers', { raw: '{"server":{"name":"a\\u0000b"}}' });
  assert.equal(nul.status, 400);
  const broken = await api.call(api.cloud.member, 'POST', '/servers', { raw: '{"server":' });
  assert.equal(broken.body.badRequest.code, 400);
});

test('a create answers the password that was given or a new one; who asks for the reservation only hears that', async () => {
  const pass = async (over: Record<string, unknown>) =>
    (await api.call(api.cloud.member, 'POST', '/servers', { body: wish(over) })).body.server?.adminPass;
  assert.equal(await pass({ adminPass: oddName }), oddName);
  assert.equal(await pass({ adminPass: '' }), '');
  const made = [await pass({}), await pass({})];
  assert.notEqual(made[0], made[1]);
  for (const one of made) assert.match(one, /^(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[2-9A-HJ-NP-Za-km-z]{12}$/);
  const body = wish({ return_reservation_id: true, adminPass: 'x' });
  const { body: answer } = await api.call(api.cloud.member, 'POST', '/servers', { body });
  assert.deepEqual(Object.keys(answer), ['reservation_id']);
  const refused = await api.call(api.cloud.member, 'POST', '/servers', { body: wish({ adminPass: 'x'.repeat(1025) }) });
  assert.equal(refused.status, 400);
});

test('the client’s own form of a plain boot is accepted', async () => {
  const mapping = [
    {
      uuid: api.cloud.imageId,
      boot_index: '0',
      source_type: 'image',
      destination_type: 'local',
      delete_on_termination: true,
    },
  ];
  const id = await make({
    min_count: 1,
    max_count: 1,
    block_device_mapping_v2: mapping,
    networks: [{ uuid: api.cloud.networkId }],
  });
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'ACTIVE');
});

test('a flavor’s ephemeral and swap disks are the server’s, split as the request says, and never more than the flavor allows', async () => {
  const flavorRef = await api.cloud.addFlavor();
  await sql`update flavor set ephemeral_gib = 3, swap_mib = 64 where flavor_id = ${flavorRef}`.execute(
    api.cloud.database.query,
  );
  const blank = { source_type: 'blank', destination_type: 'local', boot_index: -1 };
  const of = (mapping: object[]) => wish({ flavorRef, block_device_mapping_v2: mapping });
  const disks = async (mapping: object[]) => {
    const made = await api.call(api.cloud.member, 'POST', '/servers', { body: of(mapping) });
    assert.equal(made.status, 202, JSON.stringify(made.body));
    const { local_disks: found, local_gib: gib } = await api.cloud.service.get(api.cloud.member, made.body.server.id);
    return [...found.map(({ name, size_mib }) => `${name} ${size_mib}`), gib];
  };
  assert.deepEqual(await disks([]), ['ephemeral0 3072', 'swap 64', 4]);
  assert.deepEqual(
    await disks([
      { ...blank, volume_size: 1 },
      { ...blank, volume_size: '2' },
    ]),
    ['ephemeral0 1024', 'ephemeral1 2048', 'swap 64', 4],
  );
  for (const [mapping, message] of [
    [{ ...blank, volume_size: 4 }, /Ephemeral disks requested are larger/],
    [{ ...blank, guest_format: 'swap', volume_size: 65 }, /Swap drive requested is larger/],
    [{ ...blank, disk_bus: 'ide' }, /disk_bus ide/],
  ] as const) {
    const { status, body } = await api.call(api.cloud.member, 'POST', '/servers', { body: of([mapping]) });
    assert.equal(status, 400);
    assert.match(body.badRequest.message, message);
  }
});

test('an administrator names the host; a quota is 403 with Nova’s sentence', async () => {
  const made = await api.call(api.cloud.admin, 'POST', '/servers', {
    body: wish({ availability_zone: 'nova:rack-1' }),
  });
  assert.equal(made.status, 202);
  const big = await api.cloud.addFlavor({ vcpus: 500 });
  const refused = await api.call(api.cloud.member, 'POST', '/servers', { body: wish({ flavorRef: big }) });
  assert.equal(refused.status, 403);
  assert.match(
    refused.body.forbidden.message,
    /^Quota exceeded for cores: Requested 500, but already used \d+ of 200 cores$/,
  );
});

test('actions: stop, start, reboot, console, lock, reset; illegal ones are 409, gone ones 410, unknown ones 400', async () => {
  const id = await make();
  const act = (body: unknown, options: { admin?: boolean; version?: number } = {}) =>
    api.call(options.admin ? api.cloud.admin : api.cloud.member, 'POST', `/servers/${id}/action`, {
      body,
      ...(options.version && { version: options.version }),
    });
  assert.equal(
    (await act({ 'os-start': null })).body.conflictingRequest.message,
    `Cannot 'start' instance ${id} while it is in vm_state active`,
  );
  assert.equal((await act({ 'os-stop': null })).status, 202);
  await api.cloud.obey(host);
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'SHUTOFF');
  assert.equal((await act({ 'os-start': null })).status, 202);
  await api.cloud.obey(host);
  assert.equal((await act({ reboot: { type: 'SOFT' } })).status, 202);
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'REBOOT');
  await api.cloud.obey(host);
  assert.equal((await act({ reboot: { type: 'odd' } })).status, 400);
  const output = await act({ 'os-getConsoleOutput': { length: 2 } });
  assert.deepEqual([output.status, output.body], [200, { output: 'last line\n' }]);
  assert.equal((await act({ lock: { locked_reason: oddName } }, { version: 73 })).status, 202);
  assert.equal((await get(`/servers/${id}`, 73)).body.server.locked_reason, oddName);
  assert.equal((await act({ 'os-stop': null })).status, 409);
  assert.equal((await api.call(api.cloud.member, 'DELETE', `/servers/${id}`)).status, 409);
  assert.equal((await act({ unlock: null })).status, 202);
  assert.equal((await act({ 'os-resetState': { state: 'error' } })).status, 403);
  assert.equal((await act({ 'os-resetState': { state: 'error' } }, { admin: true })).status, 202);
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'ERROR');
  await api.cloud.obey(host);
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'ERROR', 'what an administrator declared stays');
  assert.equal((await act({ 'os-resetState': { state: 'active' } }, { admin: true })).status, 202);
  await api.cloud.obey(host);
  assert.equal((await get(`/servers/${id}`)).body.server.status, 'ACTIVE');
  assert.equal((await act({ addFixedIp: null }, { version: 44 })).status, 404, 'Nova let go of it');
  for (const gone of ['resetNetwork', 'injectNetworkInfo']) {
    assert.equal((await act({ [gone]: null })).body.computeFault?.code, 410);
  }
  assert.match((await act({ fly: null })).body.badRequest.message, /no such action: fly/);
  assert.equal((await act({ 'os-stop': null, 'os-start': null })).status, 400);
  const actions = (await get(`/servers/${id}/os-instance-actions`)).body.instanceActions;
  assert.deepEqual(
    actions.map((one: { action: string }) => one.action),
    ['resetState', 'resetState', 'unlock', 'lock', 'reboot', 'start', 'stop', 'create'],
  );
  const one = await get(`/servers/${id}/os-instance-actions/${actions[6].request_id}`, 84);
  assert.deepEqual([one.body.instanceAction.action, one.body.instanceAction.events[0].result], ['stop', 'Success']);
});

test('interfaces, security groups and addresses are those of the server’s ports', async () => {
  const id = await make({
    security_groups: [{ name: 'default' }],
    networks: [{ uuid: api.cloud.networkId, fixed_ip: '10.0.7.7' }],
  });
  const addresses = (await get(`/servers/${id}/ips`)).body.addresses;
  assert.deepEqual(addresses, { [oddName]: [{ version: 4, addr: '10.0.7.7' }] });
  assert.deepEqual((await get(`/servers/${id}/ips/${encodeURIComponent(oddName)}`)).body, addresses);
  assert.equal((await get(`/servers/${id}/ips/other`)).status, 404);
  const [port] = (await get(`/servers/${id}/os-interface`, 70)).body.interfaceAttachments;
  assert.deepEqual([port.net_id, port.fixed_ips[0].ip_address, port.tag], [api.cloud.networkId, '10.0.7.7', null]);
  assert.equal(
    (await get(`/servers/${id}/os-interface/${port.port_id}`)).body.interfaceAttachment.port_id,
    port.port_id,
  );
  assert.equal((await get(`/servers/${id}/os-interface/${newId()}`)).status, 404);
  const groups = async () =>
    (await get(`/servers/${id}/os-security-groups`)).body.security_groups.map((group: { name: string }) => group.name);
  const act = (body: unknown) => api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body });
  assert.deepEqual(await groups(), ['default']);
  assert.equal((await act({ removeSecurityGroup: { name: 'default' } })).status, 202);
  assert.equal((await act({ removeSecurityGroup: { name: 'default' } })).status, 404);
  assert.deepEqual(await groups(), []);
  assert.equal((await act({ addSecurityGroup: { name: 'default' } })).status, 202);
  assert.equal((await act({ addSecurityGroup: { name: 'none' } })).status, 404);
  assert.deepEqual(await groups(), ['default']);
  assert.deepEqual((await get(`/servers/${id}`)).body.server.security_groups, [{ name: 'default' }]);
  assert.equal((await get('/os-security-groups')).body.security_groups.length, 1);
  assert.equal((await get('/os-security-groups', 36)).status, 404);
  assert.deepEqual((await get(`/servers/${id}/os-volume_attachments`)).body, { volumeAttachments: [] });
  const nowhere = await make({ networks: 'none' }, { active: false }).catch((error: Error) => error);
  assert.ok(nowhere instanceof Error, 'auto and none are of 2.37');
  const bare = await api.call(api.cloud.member, 'POST', '/servers', { body: wish({ networks: 'none' }), version: 37 });
  assert.equal(bare.status, 202);
  const taken = await api.call(api.cloud.member, 'POST', '/servers', {
    body: wish({ networks: [{ uuid: api.cloud.networkId, fixed_ip: '10.0.7.7' }] }),
  });
  assert.deepEqual([taken.status, taken.body.badRequest?.code], [400, 400]);
});

test('a failure leaves nothing of a server: none of several', async () => {
  const count = async () => (await get('/servers?limit=1000')).body.servers.length;
  const servers = await count();
  const refused = await api.call(api.cloud.member, 'POST', '/servers', {
    body: wish({ min_count: 2, networks: [{ uuid: newId() }] }),
  });
  assert.equal(refused.status, 400);
  assert.equal(await count(), servers);
});

test('metadata and tags', async () => {
  const id = await make();
  const base = `/servers/${id}`;
  const call = (method: string, path: string, body?: unknown) =>
    api.call(api.cloud.member, method, `${base}${path}`, { version: 26, ...(body !== undefined && { body }) });
  assert.deepEqual((await call('POST', '/metadata', { metadata: { a: '1', [oddName]: oddName } })).body.metadata, {
    a: '1',
    [oddName]: oddName,
  });
  assert.deepEqual((await call('PUT', '/metadata/a', { meta: { a: '2' } })).body, { meta: { a: '2' } });
  assert.equal((await call('PUT', '/metadata/a', { meta: { b: '2' } })).status, 400);
  assert.deepEqual((await call('GET', `/metadata/${encodeURIComponent(oddName)}`)).body, {
    meta: { [oddName]: oddName },
  });
  assert.equal((await call('DELETE', '/metadata/a')).status, 204);
  assert.equal((await call('DELETE', '/metadata/a')).status, 404);
  assert.deepEqual((await call('PUT', '/metadata', { metadata: { c: '3' } })).body, { metadata: { c: '3' } });
  assert.equal((await call('PUT', '/tags/red')).status, 201);
  assert.equal((await call('PUT', '/tags/red')).status, 204);
  assert.equal((await call('GET', '/tags/red')).status, 204);
  assert.equal((await call('PUT', '/tags/a,b')).status, 400);
  assert.deepEqual((await call('PUT', '/tags', { tags: ['x', oddName] })).body, { tags: ['x', oddName] });
  assert.equal((await call('DELETE', '/tags/x')).status, 204);
  assert.equal((await call('DELETE', '/tags/x')).status, 404);
  assert.equal((await call('DELETE', '/tags')).status, 204);
  assert.equal((await get(`${base}/tags`, 25)).status, 404);
});

test('lists page with links, filter and refuse what they do not know as their version says', async () => {
  const a = await make({ name: 'list-a' }, { active: false });
  const b = await make({ name: 'list-b' }, { active: false });
  const page = await get('/servers?name=list-&limit=1');
  assert.deepEqual(
    page.body.servers.map((s: { id: string }) => s.id),
    [b],
  );
  const next = page.body.servers_links[0].href as string;
  assert.match(next, /name=list-&limit=1&marker=/);
  const second = await get(next.slice(next.indexOf('/servers')));
  assert.deepEqual(
    second.body.servers.map((s: { id: string }) => s.id),
    [a],
  );
  assert.equal((await get('/servers?limit=-1')).status, 400);
  assert.equal((await get('/servers?marker=nothing')).status, 400);
  const name = a.replaceAll('-', '');
  assert.match((await get(`/servers?marker=${name}`)).body.badRequest.message, new RegExp(`\\[${name}\\] not found`));
  // All of the second that callers are told.
  const { updated: shown } = (await get(`/servers/${b}`)).body.server;
  const before = await get(`/servers?name=list-&changes-before=${shown}`, 66);
  assert.ok(before.body.servers.some((s: { id: string }) => s.id === b));
  assert.equal((await get('/servers?colour=red')).status, 200);
  assert.equal((await get('/servers?colour=red', 75)).status, 400);
  assert.equal((await get('/servers?status=odd', 38)).status, 400);
  assert.deepEqual((await get('/servers?status=odd')).body.servers, []);
  assert.deepEqual((await get('/servers?status=PAUSED', 38)).body.servers, []);
  assert.equal((await get('/servers?all_tenants=1')).status, 403);
  assert.equal((await api.call(api.cloud.admin, 'GET', '/servers/detail?all_tenants=1&host=rack-1')).status, 200);
  assert.equal((await get('/servers?changes-since=odd')).status, 400);
  assert.equal(
    (await get('/servers/detail?name=list-&status=BUILD&sort_key=display_name&sort_dir=asc')).body.servers[0].id,
    a,
  );
  const updated = await api.call(api.cloud.member, 'PUT', `/servers/${a}`, { body: { server: { name: 'list-é' } } });
  assert.equal(updated.body.server.name, 'list-é');
  assert.ok(!('key_name' in updated.body.server), 'PUT before 2.75 answers less');
});

test('a filter that Nova knows leaves out what does not match it, whoever may use it', async () => {
  const id = await make({ name: 'filtered', accessIPv4: '192.0.2.7', accessIPv6: '2001:db8::7' });
  const { server } = (await get(`/servers/${id}`)).body;
  const launched = String(server['OS-SRV-USG:launched_at']);
  const found = async (filter: string, { admin = true, version = 96 } = {}) => {
    const caller = admin ? api.cloud.admin : api.cloud.member;
    const { body } = await api.call(caller, 'GET', `/servers?name=filtered&${filter}`, { version });
    return body.servers.length as number;
  };
  for (const [matches, differs] of [
    [`launched_at=${launched}`, 'launched_at=2001-01-01T00:00:00'],
    ['progress=100', 'progress=7'],
    ['access_ip_v4=192.0', 'access_ip_v4=198'],
    ['access_ip_v6=db8::7', 'access_ip_v6=db8::8'],
    ['auto_disk_config=False', 'auto_disk_config=True'],
    ['root_device_name=vda', 'root_device_name=sda'],
    ['kernel_id=^$', 'kernel_id=x'],
    ['ramdisk_id=', 'ramdisk_id=x'],
    ['soft_deleted=1', 'locked_by=owner'],
    ['locked_by=', 'terminated_at=2001-01-01T00:00:00'],
  ] as const) {
    assert.deepEqual([await found(matches), await found(differs)], [1, 0], `${matches} and ${differs}`);
  }
  for (const filter of ['launched_at=2001-01-01T00:00:00', 'terminated_at=2001-01-01T00:00:00', 'progress=7']) {
    const versions = [82, 83].map((version) => found(filter, { admin: false, version }));
    assert.deepEqual(await Promise.all(versions), [1, 0], filter);
  }
  assert.equal(await found('locked_by=owner', { admin: false, version: 74 }), 1, 'no filter of everybody’s');
});

test('everything of another project’s server is 404; readers may look and are 403 where they touch', async () => {
  const id = await make();
  const stranger = callerOf(newId());
  const reader = callerOf(api.cloud.projectId, ['reader']);
  const routes: [string, string, unknown?][] = [
    ['GET', ''],
    ['PUT', '', { server: { name: 'x' } }],
    ['DELETE', ''],
    ['GET', '/ips'],
    ['GET', '/metadata'],
    ['POST', '/metadata', { metadata: { a: 'b' } }],
    ['PUT', '/metadata', { metadata: { a: 'b' } }],
    ['PUT', '/metadata/a', { meta: { a: 'b' } }],
    ['GET', '/tags'],
    ['PUT', '/tags', { tags: [] }],
    ['PUT', '/tags/x'],
    ['DELETE', '/tags'],
    ['GET', '/os-security-groups'],
    ['GET', '/os-interface'],
    ['GET', '/os-instance-actions'],
    ['POST', '/action', { 'os-stop': null }],
    ['POST', '/action', { reboot: { type: 'HARD' } }],
    ['POST', '/action', { lock: null }],
    ['POST', '/action', { unlock: null }],
    ['POST', '/action', { forceDelete: null }],
    ['POST', '/action', { 'os-getConsoleOutput': {} }],
    ['POST', '/action', { 'os-resetState': { state: 'active' } }],
    ['POST', '/action', { addSecurityGroup: { name: 'default' } }],
    ['POST', '/action', { pause: null }],
    ['POST', '/action', { rescue: null }],
    ['POST', '/action', { restore: null }],
    ['POST', '/action', { migrate: null }],
    ['POST', '/action', { evacuate: {} }],
    ['POST', '/action', { createImage: { name: 'x' } }],
  ];
  for (const [method, path, body] of routes) {
    const options = { version: 26, ...(body !== undefined && { body }) };
    const hidden = await api.call(stranger, method, `/servers/${id}${path}`, options);
    assert.equal(hidden.status, 404, `${method} ${path} of a stranger`);
    const looked = await api.call(reader, method, `/servers/${id}${path}`, options);
    const expected = method === 'GET' ? 200 : 403;
    assert.equal(
      looked.status,
      expected,
      `${method} ${path} ${JSON.stringify(body)} of a reader: ${JSON.stringify(looked.body)}`,
    );
  }
  const unscoped = callerOf(null, []);
  assert.equal((await api.call(unscoped, 'GET', '/servers')).status, 403);
  assert.equal((await api.call(reader, 'POST', '/servers', { body: wish() })).status, 403);
});

test('administrators’ pages refuse everyone else', async () => {
  for (const [method, path, body] of [
    ['GET', '/os-hypervisors'],
    ['GET', '/os-hypervisors/detail'],
    ['GET', '/os-hypervisors/statistics'],
    ['GET', `/os-hypervisors/${newId()}`],
    ['GET', '/os-services'],
    ['PUT', `/os-services/${newId()}`, { status: 'disabled' }],
    ['GET', '/os-availability-zone/detail'],
    ['POST', '/flavors', { flavor: { name: 'x', ram: 1, vcpus: 1, disk: 1 } }],
    ['DELETE', '/flavors/m1.tiny'],
    ['POST', '/flavors/m1.tiny/os-extra_specs', { extra_specs: { a: 'b' } }],
    ['GET', '/flavors/m1.tiny/os-flavor-access'],
    ['POST', '/flavors/m1.tiny/action', { addTenantAccess: { tenant: newId() } }],
    ['PUT', `/os-quota-sets/${newId()}`, { quota_set: { cores: 1 } }],
    ['GET', `/os-quota-sets/${newId()}`],
    ['DELETE', `/os-quota-sets/${newId()}`],
    ['GET', `/os-keypairs?user_id=${newId()}`],
  ] as [string, string, unknown?][]) {
    const answer = await api.call(api.cloud.member, method, path, { version: 60, ...(body !== undefined && { body }) });
    assert.deepEqual(
      [answer.status, answer.body.forbidden?.code],
      [403, 403],
      `${method} ${path}: ${JSON.stringify(answer.body)}`,
    );
  }
});

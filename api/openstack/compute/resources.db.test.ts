import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { testProject, testUser } from '../../../control/kit/database/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let projectId: string;
before(async () => {
  api = await computeApi();
  projectId = api.cloud.projectId;
});
after(() => api[Symbol.asyncDispose]());

const admin = (method: string, path: string, options: { body?: unknown; version?: number } = {}) =>
  api.call(api.cloud.admin, method, path, options);
const member = (method: string, path: string, options: { body?: unknown; version?: number } = {}) =>
  api.call(api.cloud.member, method, path, options);

test('from 2.86 on an extra spec of a scope that Nova knows has a name that it knows and a value of its form', async () => {
  const made = { flavor: { name: 'specs', ram: 64, vcpus: 1, disk: 1, id: 'specs' } };
  assert.equal((await admin('POST', '/flavors', { body: made })).status, 200);
  const set = async (key: string, value: string, version: number, method = 'POST') => {
    const [path, body] = method === 'POST' ? ['', { extra_specs: { [key]: value } }] : [`/${key}`, { [key]: value }];
    const { status, body: said } = await admin(method, `/flavors/specs/os-extra_specs${path}`, { version, body });
    return status === 200 ? 'set' : String(said.badRequest?.message);
  };
  const unknown = "Validation failed; extra spec 'hw:no_such' does not appear to be a valid extra spec.";
  assert.equal(await set('hw:no_such', '1', 86), unknown);
  assert.equal(await set('hw:no_such', '1', 86, 'PUT'), unknown);
  const wrong: [string, string, string][] = [
    ['hw:numa_nodes', 'two', "'two' is not a valid integer value."],
    ['hw:numa_nodes', '0', "'0' is less than the min value of '1'."],
    ['hw:redirected_usb_ports', '16', "'16' is greater than the max value of '15'."],
    ['hw:pmu', 'perhaps', "'perhaps' is not a valid boolean-like value."],
    ['quota:vif_shares_level', 'most', "'most' is not one of: custom, high, normal, low."],
    ['hw:numa_cpus.0', 'x', "'x' is not of the format"],
    ['capabilities:no_such', '1', "extra spec 'capabilities:no_such' does not appear to be a valid extra spec."],
    ['trait1:HW_CPU', 'wanted', "'wanted' is not one of: required, forbidden."],
  ];
  for (const [key, value, sentence] of wrong) {
    assert.ok((await set(key, value, 86)).includes(sentence), `${key}=${value}`);
    assert.equal(await set(key, value, 85), 'set', 'before, anything was taken');
  }
  for (const [key, value] of [
    ...[
      ['note', '小屋'],
      ['mine:anything', 'x'],
      ['hw:cpu_policy', 'dedicated'],
      ['resources_a:CUSTOM_B', '1'],
    ],
    ...[
      ['capabilities:cpu_info:vendor', '<in> x'],
      ['hw:numa_cpus.3', '0-2,^1'],
      ['quota:cpu_quota', '-1'],
    ],
  ] as [string, string][])
    assert.equal(await set(key, value, 96), 'set', key);
  const asMember = { version: 86, body: { extra_specs: { 'hw:no_such': '1' } } };
  assert.equal((await member('POST', '/flavors/specs/os-extra_specs', asMember)).status, 403);
  assert.equal((await admin('DELETE', '/flavors/specs')).status, 202);
});

test('flavors: made, shown by version, given to projects, hidden from others, gone', async () => {
  const body = {
    flavor: { name: oddName, ram: 256, vcpus: 1, disk: 1, id: 'mine', 'os-flavor-access:is_public': false },
  };
  const made = await admin('POST', '/flavors', { body });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.deepEqual(
    [made.body.flavor.id, made.body.flavor.name, made.body.flavor.swap, made.body.flavor['OS-FLV-EXT-DATA:ephemeral']],
    ['mine', oddName, '', 0],
  );
  assert.equal((await admin('POST', '/flavors', { body })).status, 409);
  assert.equal(
    (await admin('POST', '/flavors', { body: { flavor: { name: 'x', ram: 0, vcpus: 1, disk: 1 } } })).status,
    400,
  );
  assert.equal(
    (await admin('POST', '/flavors', { body: { flavor: { name: 'x', ram: '64', vcpus: '1', disk: '0' } } })).status,
    200,
  );
  assert.equal((await member('GET', '/flavors/mine')).status, 404);
  assert.equal((await member('GET', '/flavors?marker=mine')).status, 400);
  assert.equal(
    (await admin('POST', '/flavors/mine/action', { body: { addTenantAccess: { tenant: projectId } } })).status,
    200,
  );
  assert.equal(
    (await admin('POST', '/flavors/mine/action', { body: { addTenantAccess: { tenant: projectId } } })).status,
    409,
  );
  assert.equal((await member('GET', '/flavors/mine')).status, 200);
  assert.deepEqual((await admin('GET', '/flavors/mine/os-flavor-access')).body.flavor_access, [
    { flavor_id: 'mine', tenant_id: projectId },
  ]);
  assert.equal(
    (await admin('PUT', '/flavors/mine', { body: { flavor: { description: oddName } }, version: 54 })).status,
    404,
  );
  const described = await admin('PUT', '/flavors/mine', { body: { flavor: { description: oddName } }, version: 61 });
  assert.deepEqual([described.body.flavor.description, described.body.flavor.extra_specs], [oddName, {}]);
  assert.equal((await member('GET', '/flavors/mine', { version: 75 })).body.flavor.swap, 0);
  const specs = { extra_specs: { 'hw:cpu_policy': 'shared', n: 2 } };
  assert.deepEqual((await admin('POST', '/flavors/mine/os-extra_specs', { body: specs })).body.extra_specs, {
    'hw:cpu_policy': 'shared',
    n: '2',
  });
  assert.deepEqual((await member('GET', '/flavors/mine/os-extra_specs/n')).body, { n: '2' });
  assert.equal((await admin('DELETE', '/flavors/mine/os-extra_specs/n')).status, 200);
  assert.equal((await admin('DELETE', '/flavors/mine/os-extra_specs/n')).status, 404);
  const detail = await member('GET', '/flavors/detail?minRam=200');
  assert.deepEqual(
    detail.body.flavors.map((f: { id: string }) => f.id),
    ['mine'],
  );
  assert.equal((await admin('GET', '/flavors?is_public=None')).body.flavors.length, 2);
  assert.equal((await admin('GET', '/flavors?is_public=odd')).status, 400);
  const page = (await admin('GET', '/flavors?is_public=None&limit=1')).body;
  const next = page.flavors_links[0].href as string;
  assert.equal((await admin('GET', next.slice(next.indexOf('/flavors')))).body.flavors.length, 1);
  assert.equal((await admin('DELETE', '/flavors/mine')).status, 202);
  assert.equal((await admin('DELETE', '/flavors/mine')).status, 404);
});

test('key pairs: imported, generated once, listed by page, per user, with a name of any script', async () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
  const imported = await member('POST', '/os-keypairs', { body: { keypair: { name: oddName, public_key: key } } });
  assert.deepEqual([imported.status, imported.body.keypair.public_key], [200, key]);
  assert.ok(!('private_key' in imported.body.keypair) && !('type' in imported.body.keypair));
  const again = await member('POST', '/os-keypairs', {
    body: { keypair: { name: oddName, public_key: key } },
    version: 2,
  });
  assert.deepEqual(
    [again.status, again.body.conflictingRequest.message],
    [409, `Key pair '${oddName}' already exists.`],
  );
  const made = await member('POST', '/os-keypairs', { body: { keypair: { name: 'made', type: 'ssh' } }, version: 2 });
  assert.equal(made.status, 201);
  assert.match(made.body.keypair.private_key, /^-----BEGIN RSA PRIVATE KEY-----/);
  const pair = await member('POST', '/os-keypairs', { body: { keypair: { name: 'cert', type: 'x509' } }, version: 2 });
  assert.deepEqual([pair.status, pair.body.keypair.type], [201, 'x509']);
  assert.match(pair.body.keypair.public_key, /^-----BEGIN CERTIFICATE-----\n/);
  assert.ok(Buffer.from(pair.body.keypair.private_key, 'base64').length > 2000);
  assert.equal((await member('DELETE', '/os-keypairs/cert', { version: 2 })).status, 204);
  assert.equal((await member('POST', '/os-keypairs', { body: { keypair: { name: 'x' } }, version: 92 })).status, 400);
  assert.equal(
    (await member('POST', '/os-keypairs', { body: { keypair: { name: 'x', public_key: 'bad' } } })).status,
    400,
  );
  const page = await member('GET', '/os-keypairs?limit=1', { version: 35 });
  assert.deepEqual(
    page.body.keypairs.map((k: { keypair: { name: string } }) => k.keypair.name),
    ['made'],
  );
  assert.match(page.body.keypairs_links[0].href, /marker=made/);
  const shown = await member('GET', `/os-keypairs/${encodeURIComponent(oddName)}`, { version: 10 });
  assert.deepEqual(
    [shown.body.keypair.name, shown.body.keypair.type, shown.body.keypair.deleted],
    [oddName, 'ssh', false],
  );
  assert.equal((await admin('GET', '/os-keypairs/made')).status, 404, 'key pairs are the user’s own');
  const userId = api.cloud.member.userId;
  assert.equal((await admin('GET', `/os-keypairs/made?user_id=${userId}`, { version: 10 })).status, 200);
  assert.equal((await member('DELETE', '/os-keypairs/made', { version: 2 })).status, 204);
  assert.equal((await member('DELETE', '/os-keypairs/made', { version: 2 })).status, 404);
});

test('limits and quota sets: by version, set by administrators, never below what is used unless forced', async () => {
  const old = (await member('GET', '/limits')).body.limits.absolute;
  const now = (await member('GET', '/limits', { version: 57 })).body.limits.absolute;
  assert.equal(old.maxTotalInstances, 100);
  assert.ok('maxPersonality' in old && 'maxSecurityGroups' in old && 'maxImageMeta' in old);
  assert.deepEqual(Object.keys(now).sort(), [
    ...['maxServerGroupMembers', 'maxServerGroups', 'maxServerMeta', 'maxTotalCores', 'maxTotalInstances'],
    ...['maxTotalKeypairs', 'maxTotalRAMSize', 'totalCoresUsed', 'totalInstancesUsed', 'totalRAMUsed'],
    'totalServerGroupsUsed',
  ]);
  const flavor = await api.cloud.addFlavor({ vcpus: 3 });
  const made = await member('POST', '/servers', {
    body: { server: { name: 'q', imageRef: api.cloud.imageId, flavorRef: flavor } },
  });
  assert.equal(made.status, 202);
  assert.equal((await member('GET', '/limits')).body.limits.absolute.totalCoresUsed, 3);
  const path = `/os-quota-sets/${projectId}`;
  const tight = await admin('PUT', path, { body: { quota_set: { cores: 2 } }, version: 57 });
  assert.match(
    tight.body.badRequest.message,
    /^Quota limit 2 for cores must be greater than or equal to already used and reserved 3/,
  );
  const set = await admin('PUT', path, { body: { quota_set: { cores: 2, force: true } }, version: 57 });
  assert.deepEqual([set.status, set.body.quota_set.cores, 'id' in set.body.quota_set], [200, 2, false]);
  assert.equal((await admin('PUT', path, { body: { quota_set: { cores: -2 } } })).status, 400);
  assert.equal((await admin('PUT', path, { body: { quota_set: { colours: 2 } } })).status, 400);
  assert.equal((await admin('GET', `/os-quota-sets/${newId()}`)).status, 400);
  const detail = (await member('GET', `${path}/detail`, { version: 57 })).body.quota_set;
  assert.deepEqual([detail.id, detail.cores], [projectId, { limit: 2, in_use: 3, reserved: 0 }]);
  assert.equal((await member('GET', `${path}/defaults`)).body.quota_set.cores, 200);
  assert.equal((await admin('DELETE', path)).status, 202);
  assert.equal((await member('GET', path)).body.quota_set.cores, 200);
  assert.equal((await api.call(callerOf(newId()), 'GET', path)).status, 403);
});

test('limits of a project that there is not are what a new one would have, for administrators', async () => {
  const { absolute: fresh } = (await admin('GET', `/limits?tenant_id=${newId()}`)).body.limits;
  assert.ok(fresh.maxTotalCores > 0);
  assert.equal(fresh.totalCoresUsed, 0);
  assert.deepEqual((await admin('GET', '/limits?tenant_id=nonsense')).body.limits.absolute, fresh);
  assert.equal((await member('GET', '/limits?tenant_id=nonsense')).status, 403);
  assert.equal((await admin('GET', '/os-quota-sets/nonsense')).status, 400, 'as Nova asks here');
  const odd = async (version: number) =>
    (await api.call(api.cloud.member, 'GET', '/limits?colour=red', { version })).status;
  assert.deepEqual([await odd(56), await odd(57), await odd(74), await odd(75)], [200, 200, 200, 400]);
});

test('the quota class default is what every project has that was given nothing else', async () => {
  const path = '/os-quota-class-sets/default';
  const shown = (await admin('GET', path)).body.quota_class_set;
  assert.deepEqual(
    [shown.id, shown.cores, 'server_groups' in shown, 'fixed_ips' in shown],
    ['default', 200, false, true],
  );
  const later = (await admin('GET', path, { version: 50 })).body.quota_class_set;
  assert.deepEqual(['server_groups' in later, 'fixed_ips' in later, 'injected_files' in later], [true, false, true]);
  assert.equal('injected_files' in (await admin('GET', path, { version: 57 })).body.quota_class_set, false);
  const set = await admin('PUT', path, { body: { quota_class_set: { metadata_items: '77' } } });
  assert.deepEqual(
    [set.status, set.body.quota_class_set.metadata_items, set.body.quota_class_set.id],
    [200, 77, undefined],
  );
  assert.equal((await member('GET', `/os-quota-sets/${projectId}`)).body.quota_set.metadata_items, 77);
  assert.equal((await admin('PUT', path, { body: { quota_class_set: { cores: -2 } } })).status, 400);
  assert.equal((await admin('PUT', path, { body: { quota_class_set: { fixed_ips: 2 } }, version: 50 })).status, 400);
  const network = await admin('PUT', path, { body: { quota_class_set: { fixed_ips: 2300 } } });
  assert.deepEqual([network.status, network.body.quota_class_set.fixed_ips], [200, 2300]);
  assert.equal((await member('GET', `/os-quota-sets/${projectId}`)).body.quota_set.fixed_ips, 2300);
  await admin('PUT', path, { body: { quota_class_set: { fixed_ips: shown.fixed_ips } } });
  assert.equal((await admin('GET', '/os-quota-class-sets/other')).body.quota_class_set.cores, 200);
  assert.equal((await admin('PUT', '/os-quota-class-sets/other', { body: { quota_class_set: {} } })).status, 400);
  for (const method of ['GET', 'PUT']) {
    const body = method === 'PUT' ? { body: { quota_class_set: { cores: 1 } } } : {};
    assert.equal((await member(method, path, body)).status, 403);
  }
  await admin('PUT', path, { body: { quota_class_set: { metadata_items: shown.metadata_items } } });
});

test('zones, hypervisors and services show the hosts and steer them', async () => {
  const host = await api.cloud.addHost({ name: 'rack-1' });
  assert.deepEqual((await member('GET', '/os-availability-zone')).body.availabilityZoneInfo, [
    { zoneName: 'nova', zoneState: { available: true }, hosts: null },
  ]);
  const zones = (await admin('GET', '/os-availability-zone/detail')).body.availabilityZoneInfo;
  assert.deepEqual(zones[0], { zoneName: 'internal', zoneState: { available: true }, hosts: {} });
  assert.equal(zones[1].hosts['rack-1']['nova-compute'].available, true);
  const old = (await admin('GET', '/os-hypervisors/detail')).body.hypervisors[0];
  assert.deepEqual([old.id, old.hypervisor_hostname, old.hypervisor_version], [1, 'rack-1', 7002000]);
  // The machine's own figures: one CPU, of which placement makes 16, and what it reserves counted as used.
  assert.deepEqual([old.vcpus, old.memory_mb, old.memory_mb_used, old.free_ram_mb], [1, 33_792, 1024, 32_768]);
  assert.equal(typeof old.cpu_info, 'string');
  const now = (await admin('GET', `/os-hypervisors/${host}`, { version: 88 })).body.hypervisor;
  assert.deepEqual([now.id, 'vcpus' in now, now.uptime], [host, false, null]);
  const uptime = (id: string | number, version: number) => admin('GET', `/os-hypervisors/${id}/uptime`, { version });
  assert.equal((await uptime(host, 53)).status, 501, 'what its host has not said is not known');
  await sql`update host set connected = false where id = ${host}`.execute(api.db.database.query);
  assert.equal((await uptime(host, 53)).status, 400);
  await sql`update host set connected = true where id = ${host}`.execute(api.db.database.query);
  const bootedAt = new Date(Date.now() - ((26 * 60 + 7) * 60 + 5) * 1000).toISOString();
  const url = 'https://[2001:db8::5]:8444';
  await sql`update host set facts = facts || ${JSON.stringify({ bootedAt, url })}::jsonb where id = ${host}`.execute(
    api.db.database.query,
  );
  // Clients take it apart by this form, and show none of it where it is another.
  const up = /^ \d\d:\d\d:\d\d up 1 day, {2}2:07, {2}1 user, {2}load average: 0\.07, 1\.50, 123\.45$/;
  assert.match((await uptime(1, 1)).body.hypervisor.uptime, up);
  assert.match((await uptime(host, 53)).body.hypervisor.uptime, up);
  assert.equal((await uptime(host, 88)).status, 404);
  const newest = (await admin('GET', `/os-hypervisors/${host}`, { version: 88 })).body.hypervisor;
  assert.match(newest.uptime, up);
  assert.equal(newest.host_ip, '2001:db8::5');
  assert.equal((await admin('GET', '/os-hypervisors/1')).status, 200);
  assert.equal((await admin('GET', '/os-hypervisors/1', { version: 53 })).status, 400);
  assert.equal((await admin('GET', '/os-hypervisors/statistics')).body.hypervisor_statistics.count, 1);
  assert.equal((await admin('GET', '/os-hypervisors/statistics', { version: 88 })).status, 404);
  const found = await admin('GET', '/os-hypervisors?hypervisor_hostname_pattern=rack&with_servers=true', {
    version: 75,
  });
  assert.deepEqual(found.body.hypervisors[0].servers, []);
  assert.equal((await admin('GET', '/os-hypervisors?hypervisor_hostname_pattern=none', { version: 53 })).status, 404);
  const service = (await admin('GET', '/os-services', { version: 53 })).body.services[0];
  assert.deepEqual([service.id, service.state, service.status, service.forced_down], [host, 'up', 'enabled', false]);
  const closed = await admin('PUT', `/os-services/${host}`, {
    body: { status: 'disabled', disabled_reason: oddName },
    version: 53,
  });
  assert.deepEqual([closed.body.service.status, closed.body.service.disabled_reason], ['disabled', oddName]);
  assert.equal((await member('GET', '/os-availability-zone')).body.availabilityZoneInfo[0].zoneState.available, false);
  const opened = await admin('PUT', '/os-services/enable', { body: { host: 'rack-1', binary: 'nova-compute' } });
  assert.deepEqual([opened.status, opened.body.service.status], [200, 'enabled']);
});

test('extensions are listed for old clients', async () => {
  assert.ok((await member('GET', '/extensions')).body.extensions.length > 10);
  assert.equal((await member('GET', '/extensions/os-keypairs')).body.extension.alias, 'os-keypairs');
  assert.equal((await member('GET', '/extensions/none')).status, 404);
});

test('half a surrogate pair anywhere in a body is refused, not failed on', async () => {
  for (const raw of [
    '{"keypair":{"name":"\\ud800"}}',
    '{"keypair":{"\\udc00":"x","name":"n"}}',
    '{"server":{"name":"\\ud83d x","flavorRef":"1","imageRef":"","networks":"none"}}',
  ]) {
    const path = raw.includes('keypair') ? '/os-keypairs' : '/servers';
    const answer = await api.call(api.cloud.member, 'POST', path, { raw, version: 'latest' });
    assert.equal(answer.status, 400, raw);
    assert.equal(answer.body.badRequest.code, 400);
  }
});

test('key pairs have the limit that their project is shown, exactly, however many are asked for at once', async () => {
  const owner = callerOf(await testProject(api.db.database));
  await testUser(api.db.database, owner.userId);
  const quota = { quota_set: { key_pairs: 3 } };
  assert.equal((await admin('PUT', `/os-quota-sets/${owner.projectId}`, { body: quota })).status, 200);
  const { absolute } = (await api.call(owner, 'GET', '/limits')).body.limits;
  assert.equal(absolute.maxTotalKeypairs, 3);
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ4ULpE3DfAP2wmeJTrbKXCQyCDOXkI7JNyXNaOmpcc';
  const made = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      api.call(owner, 'POST', '/os-keypairs', { body: { keypair: { name: `key-${index}`, public_key: key } } }),
    ),
  );
  const refused = made.filter(({ status }) => status === 403);
  assert.deepEqual([made.filter(({ status }) => status === 200).length, refused.length], [3, 5]);
  assert.equal(refused[0]?.body.forbidden.message, 'Quota exceeded, too many key pairs.');
});

test('a key pair can not be made for a user who is gone, and those of a user go with the user', async () => {
  const { database } = api.db;
  const gone = callerOf(api.cloud.projectId);
  const make = (name: string) => api.call(gone, 'POST', '/os-keypairs', { body: { keypair: { name } } });
  assert.equal((await make('before')).status, 400);
  await testUser(database, gone.userId);
  assert.equal((await make('during')).status, 200);
  await sql`delete from "user" where id = ${gone.userId}`.execute(database.query);
  const { rows } = await sql`select from key_pair where user_id = ${gone.userId}`.execute(database.query);
  assert.equal(rows.length, 0);
});

test('a user may be given less than the project has, exactly, and never more', async () => {
  const project = await testProject(api.db.database);
  const one = callerOf(project);
  const other = callerOf(project);
  const path = `/os-quota-sets/${project}`;
  const ofOne = `${path}?user_id=${one.userId}`;
  const set = (where: string, limits: object) => admin('PUT', where, { body: { quota_set: limits } });
  assert.equal((await set(path, { instances: 5 })).status, 200);
  assert.equal((await set(ofOne, { instances: 6 })).status, 400, 'more than the project');
  assert.equal((await set(ofOne, { instances: -1 })).status, 400);
  assert.equal((await set(ofOne, { metadata_items: 1 })).status, 400, 'of no single user');
  assert.equal((await set(ofOne, { instances: 2, cores: 4 })).body.quota_set.instances, 2);
  const shown = async (where: string) => (await admin('GET', where)).body.quota_set;
  assert.deepEqual([(await shown(ofOne)).instances, (await shown(path)).instances], [2, 5]);
  assert.equal((await shown(`${path}?user_id=${other.userId}`)).instances, 5);
  const flavorRef = await api.cloud.addFlavor();
  const create = async (caller: typeof one) =>
    (
      await api.call(caller, 'POST', '/servers', {
        version: 37,
        body: { server: { name: 's', flavorRef, imageRef: api.cloud.imageId, networks: 'none' } },
      })
    ).status;
  const made = await Promise.all([one, one, one, one, other].map(create));
  assert.deepEqual(made.toSorted(), [202, 202, 202, 403, 403]);
  assert.equal(made[4], 202);
  const { instances } = await shown(`${path}/detail?user_id=${one.userId}`);
  assert.deepEqual(instances, { limit: 2, in_use: 2, reserved: 0 });
  assert.equal((await shown(`${path}/detail`)).instances.in_use, 3);
  assert.equal((await set(ofOne, { instances: 1 })).status, 400, 'below what they have');
  assert.equal((await set(ofOne, { instances: 1, force: true })).status, 200);
  assert.equal(await create(one), 403);
  assert.equal((await admin('DELETE', ofOne)).status, 202);
  assert.equal((await shown(ofOne)).instances, 5);
  assert.equal(await create(one), 202);
  await set(ofOne, { instances: 4 });
  assert.equal((await admin('DELETE', path)).status, 202, 'all of them');
  assert.equal((await shown(ofOne)).instances, (await shown(path)).instances);
  assert.equal((await admin('GET', `${path}?user_id=x`)).status, 400);
  assert.equal((await admin('GET', `${path}?x=1`, { version: 75 })).status, 400);
  assert.equal((await api.call(one, 'PUT', ofOne, { body: { quota_set: { instances: 3 } } })).status, 403);
});

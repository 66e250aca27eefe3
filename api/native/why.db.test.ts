/** Why a server is nowhere: what administrators and what tenants read of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ServerId, UserId } from '../../contract/ids.ts';
import { newId } from '../../contract/ids.ts';
import { HypervisorService } from '../../control/compute/hypervisor/index.ts';
import { callerOf, type ServerCloud, serverCloud } from '../../control/compute/server/testing.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
let cloud: ServerCloud;
let tenant: Awaited<ReturnType<typeof makeTenant>>;
before(async () => {
  api = await nativeApi();
  cloud = await serverCloud(api.cloud.db.database);
  tenant = await makeTenant(api);
});
after(() => api[Symbol.asyncDispose]());

const why = async (id: string, token = api.admin) =>
  api.call({ method: 'GET', path: `/native/v1/servers/${id}/why`, token });

async function make(flavor: string, zone: string): Promise<ServerId> {
  const member = callerOf(tenant.project.id, ['member', 'reader'], { userId: tenant.user.id as UserId });
  const wish = cloud.wish({ flavor, automatic: 'none', availabilityZone: zone });
  const { ids } = await cloud.service.create(member, wish);
  await cloud.controller.reconcile(ids[0]!);
  return ids[0]!;
}

test('a server that no host takes: what each said in numbers, whose word closes one, and what would help, for administrators; for tenants without', async () => {
  const zone = newId();
  const full = await cloud.addHost({ name: 'rack-1-full', vcpus: 3, zone });
  const closed = await cloud.addHost({ name: 'rack-2-closed', vcpus: 64, zone });
  const hypervisors = new HypervisorService({ database: cloud.database });
  const open = { enabled: false, reason: 'fan of 小屋 replaced' };
  const said = { ...cloud.admin, userName: 'ayşe' };
  await hypervisors.say(said, closed, { open });
  await hypervisors.say({ ...cloud.admin, userName: 'who says it again' }, closed, { open });
  const id = await make(await cloud.addFlavor({ vcpus: 4, memoryMiB: 512 }), zone);

  const { decided, now, host_id } = (await why(id)).body.why;
  assert.equal(host_id, null);
  assert.equal(decided.outcome, 'no_capacity');
  assert.deepEqual(decided.refusals, { too_few_vcpus: 1, disabled: 1 });
  const of = (host: string) =>
    decided.candidates.find((one: { host_id: string }) => one.host_id === host).checks as Record<string, unknown>[];
  assert.deepEqual(of(full), [
    { check: 'too_few_vcpus', ok: false, wanted: 4, there: 3, unit: 'vcpus' },
    { check: 'memory_mib', ok: true, wanted: 512, there: 32_768, unit: 'MiB' },
    { check: 'disk_gib', ok: true, wanted: 1, there: 1000, unit: 'GiB' },
  ]);
  const { at, ...by } = (of(closed)[0]!.said as { by: Record<string, string> }).by as Record<string, string>;
  assert.deepEqual(by, { user_id: cloud.admin.userId, user_name: 'ayşe' });
  assert.ok(Math.abs(Date.parse(at!) - Date.now()) < 600_000);
  assert.deepEqual(
    decided.alternatives.map(({ change }: { change: string }) => change),
    [
      '1 more vCPUs on rack-1-full',
      `open rack-2-closed, closed for new servers by ayşe at ${at}, because of: fan of 小屋 replaced`,
    ],
  );
  assert.deepEqual(now.alternatives, decided.alternatives);

  const theirs = (await why(id, tenant.token)).body.why;
  assert.deepEqual(theirs.decided.refusals, { too_few_vcpus: 1, disabled: 1 });
  assert.deepEqual(theirs.decided.alternatives, [
    { fix: 'use a flavor with fewer vCPUs or delete a server' },
    { fix: 'ask the administrators to open a host' },
  ]);
  assert.doesNotMatch(JSON.stringify(theirs), new RegExp(`rack-|${full}|${closed}|ayşe|小屋|"there"`));

  await hypervisors.say(cloud.admin, closed, { open: { enabled: true, reason: null } });
  const later = (await why(id, tenant.token)).body.why;
  assert.equal(later.decided.outcome, 'no_capacity', 'what was decided stays');
  assert.equal(later.now.outcome, 'placed', 'and now it would be another answer');
});

test('a server that has a host says what spoke for it, and nobody else’s server says anything', async () => {
  const zone = newId();
  const host = await cloud.addHost({ vcpus: 16, zone });
  const id = await make(await cloud.addFlavor(), zone);
  const { decided, now, host_id } = (await why(id)).body.why;
  assert.deepEqual([host_id, now, decided.outcome, decided.kind], [host, null, 'placed', 'placement']);
  const chosen = decided.candidates.find((one: { chosen: boolean }) => one.chosen);
  assert.deepEqual([chosen.host_id, chosen.fits], [host, true]);
  assert.ok(chosen.checks.every(({ ok }: { ok: boolean }) => ok));
  const stranger = await makeTenant(api);
  assert.equal((await why(id, stranger.token)).status, 404);
  assert.equal((await why(newId())).status, 404);
  assert.equal((await why('no id')).status, 404);
});

/** What a client sees of the actions on a server's power, of rescue, restore and moves; in Nova's words and statuses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../../contract/ids.ts';
import { type ComputeApi, computeApi } from '../testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost({ name: 'the host' });
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

async function active(): Promise<string> {
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}

const act = (id: string, body: object, options: { version?: number; admin?: true } = {}) =>
  api.call(options.admin ? api.cloud.admin : api.cloud.member, 'POST', `/servers/${id}/action`, {
    ...{ body, version: options.version ?? 1 },
  });

async function states(id: string) {
  const { server } = (await api.call(api.cloud.member, 'GET', `/servers/${id}`)).body;
  const ext = (name: string) => server[`OS-EXT-STS:${name}`];
  return [server.status, ext('vm_state'), ext('task_state'), ext('power_state')];
}

test('pause, suspend, rescue and back: 202, the state while it lasts, the state then', async () => {
  const id = await active();
  const steps: [object, number, unknown[], unknown[]][] = [
    [{ pause: null }, 202, ['ACTIVE', 'active', 'pausing', 1], ['PAUSED', 'paused', null, 3]],
    [{ unpause: null }, 202, ['PAUSED', 'paused', 'unpausing', 3], ['ACTIVE', 'active', null, 1]],
    [{ suspend: null }, 202, ['ACTIVE', 'active', 'suspending', 1], ['SUSPENDED', 'suspended', null, 7]],
    [{ resume: null }, 202, ['SUSPENDED', 'suspended', 'resuming', 7], ['ACTIVE', 'active', null, 1]],
    [{ rescue: null }, 200, ['ACTIVE', 'active', 'rescuing', 1], ['RESCUE', 'rescued', null, 1]],
    [{ unrescue: null }, 202, ['RESCUE', 'rescued', 'unrescuing', 1], ['ACTIVE', 'active', null, 1]],
  ];
  for (const [body, status, meanwhile, then] of steps) {
    assert.equal((await act(id, body)).status, status, JSON.stringify(body));
    assert.deepEqual(await states(id), meanwhile);
    await api.cloud.obey(host);
    assert.deepEqual(await states(id), then);
    const { servers } = (await api.call(api.cloud.member, 'GET', `/servers?status=${then[0]}`)).body;
    assert.deepEqual(
      servers.map((one: { id: string }) => one.id),
      [id],
      'the list by status',
    );
  }
  const { instanceActions } = (await api.call(api.cloud.member, 'GET', `/servers/${id}/os-instance-actions`)).body;
  assert.deepEqual(
    instanceActions.map((one: { action: string }) => one.action),
    ['unrescue', 'rescue', 'resume', 'suspend', 'unpause', 'pause', 'create'],
  );
  const shown = await api.call(
    api.cloud.member,
    'GET',
    `/servers/${id}/os-instance-actions/${instanceActions[3].request_id}`,
    { version: 51 },
  );
  const [event] = shown.body.instanceAction.events;
  assert.deepEqual([event.event, event.result], ['compute_suspend_instance', 'Success']);
});

test('what the state does not allow is 409 in Nova’s sentence', async () => {
  const id = await active();
  for (const call of ['unpause', 'resume', 'unrescue', 'restore']) {
    const { status, body } = await act(id, { [call]: null });
    const message = `Cannot '${call}' instance ${id} while it is in vm_state active`;
    assert.deepEqual([status, body.conflictingRequest.message], [409, message]);
  }
});

test('a rescue answers the password that it was given, or one that it makes, and refuses an image that is none', async () => {
  const id = await active();
  const missing = newId();
  const refused = await act(id, { rescue: { rescue_image_ref: missing } });
  assert.deepEqual(
    [refused.status, refused.body.badRequest.message],
    [400, `Requested rescue image '${missing}' is not supported`],
  );
  assert.equal((await act(id, { rescue: { rescue_image_ref: 'no id' } })).status, 400);
  assert.equal((await act(id, { rescue: { odd: 1 } })).status, 400);
  const given = await act(id, { rescue: { adminPass: '密 🏔', rescue_image_ref: api.cloud.imageId } });
  assert.deepEqual([given.status, given.body], [200, { adminPass: '密 🏔' }]);
  await api.cloud.obey(host);
  await act(id, { unrescue: null });
  await api.cloud.obey(host);
  const made = await act(id, { rescue: null });
  assert.match(made.body.adminPass, /^[A-Za-z0-9]{12}$/);
});

test('migrate, live-migrate and evacuate take what Nova takes at each version, and say why not', async () => {
  const id = await active();
  const where = `No valid host was found. There is no other host that instance ${id} could move to.`;
  const cases: [object, number, number, string?][] = [
    [{ migrate: null }, 1, 400, where],
    [{ migrate: 'anything' }, 55, 400, where],
    [{ migrate: 'anything' }, 56, 400],
    [{ migrate: { host: 'the host' } }, 56, 400, 'Cannot migrate to the host where the server exists: the host'],
    [{ migrate: { host: 'nowhere' } }, 56, 400, 'Compute host nowhere could not be found.'],
    [{ 'os-migrateLive': { host: null, block_migration: true, disk_over_commit: false } }, 1, 400, where],
    [{ 'os-migrateLive': { host: null, block_migration: 'auto' } }, 1, 400],
    [{ 'os-migrateLive': { host: null, block_migration: 'auto' } }, 25, 400, where],
    [{ 'os-migrateLive': { host: null, block_migration: 'auto', force: true } }, 30, 400, where],
    [{ 'os-migrateLive': { host: null, block_migration: 'auto', force: true } }, 68, 400],
    [{ evacuate: { onSharedStorage: false } }, 1, 400, 'Compute service of the host is still in use.'],
    [{ evacuate: {} }, 1, 400],
    [{ evacuate: { host: 'nowhere' } }, 14, 404, 'Compute host nowhere could not be found.'],
    [{ evacuate: { adminPass: 'x' } }, 95, 400, 'Compute service of the host is still in use.'],
    [{ evacuate: { force: true } }, 95, 400],
  ];
  for (const [body, version, status, message] of cases) {
    const answer = await act(id, body, { version, admin: true });
    assert.equal(answer.status, status, `${JSON.stringify(body)} at 2.${version}: ${JSON.stringify(answer.body)}`);
    if (message !== undefined) assert.equal((Object.values(answer.body)[0] as { message: string }).message, message);
    assert.equal((await act(id, body, { version })).status, message === undefined ? 400 : 403);
  }
  assert.deepEqual(await states(id), ['ACTIVE', 'active', null, 1]);
});

test('a crash dump is asked of the host at once, since 2.17, and is an action of the server', async () => {
  const id = await active();
  assert.equal((await act(id, { trigger_crash_dump: null }, { version: 16 })).status, 404);
  assert.equal((await act(id, { trigger_crash_dump: null }, { version: 17 })).status, 202);
  assert.deepEqual(api.cloud.asked.splice(0), [`nmi ${id}`]);
  const { instanceActions } = (await api.call(api.cloud.member, 'GET', `/servers/${id}/os-instance-actions`)).body;
  assert.equal(instanceActions[0].action, 'trigger_crash_dump');
  await act(id, { 'os-stop': null });
  await api.cloud.obey(host);
  const { status, body } = await act(id, { trigger_crash_dump: null }, { version: 17 });
  const message = `Cannot 'trigger_crash_dump' instance ${id} while it is in vm_state stopped`;
  assert.deepEqual([status, body.conflictingRequest.message], [409, message]);
});

test('a password goes to the agent of a guest whose image has one, as the user that it names; else 409 says why', async () => {
  const without = await active();
  const refused = await act(without, { changePassword: { adminPass: 'x' } });
  assert.deepEqual(
    [refused.status, refused.body.conflictingRequest.message],
    [409, `QEMU guest agent is not enabled: the image of instance ${without} has no hw_qemu_guest_agent`],
  );
  await sql`update image set owner_properties = '{"hw_qemu_guest_agent": "yes", "os_admin_user": "小屋"}'
    where id = ${api.cloud.imageId}`.execute(api.db.database.query);
  const id = await active();
  const [desired] = await api.cloud.side.desiredServers(api.db.database.query, { serverIds: [id as ServerId] });
  assert.deepEqual(desired!.hardware, { guestAgent: true });
  assert.equal((await act(id, { changePassword: { adminPass: '密 🏔' } })).status, 202);
  assert.deepEqual(api.cloud.asked.splice(0), [`password ${id} 小屋 密 🏔`]);
  assert.equal((await act(id, { changePassword: {} })).status, 400);
  const { rows } = await sql<{ said: string }>`select string_agg(c::text, '') as said from change c`.execute(
    api.db.database.query,
  );
  assert.ok(!rows[0]!.said.includes('密 🏔'), 'and is kept nowhere');
});

test('what a guest posted as its password is shown until its owner clears it', async () => {
  const id = await active();
  const path = `/servers/${id}/os-server-password`;
  const shown = async () => (await api.call(api.cloud.member, 'GET', path)).body;
  assert.deepEqual(await shown(), { password: '' });
  await api.cloud.report(host, id as ServerId, { guestPassword: { cleared: 0, text: 'sealed' } });
  assert.deepEqual(await shown(), { password: 'sealed' });
  assert.equal((await api.call(api.cloud.member, 'DELETE', path)).status, 204);
  assert.deepEqual(await shown(), { password: '' });
});

test('diagnostics are for administrators, of a guest that runs, in each version’s form', async () => {
  const id = await active();
  const get = (version: number, caller = api.cloud.admin) =>
    api.call(caller, 'GET', `/servers/${id}/diagnostics`, { version });
  assert.equal((await get(48, api.cloud.member)).status, 403);
  const { body } = await get(48);
  assert.deepEqual(
    [body.state, body.uptime, body.num_cpus, body.memory_details, body.cpu_details],
    ['running', 61, 1, { maximum: 512, used: null }, [{ id: 0, time: 17_300_000_000, utilisation: null }]],
  );
  const older = await get(47);
  assert.deepEqual([older.body.cpu0_time, older.body.vda_read, older.body.memory], [17_300_000_000, 512, 524_288]);
  await act(id, { suspend: null });
  await api.cloud.obey(host);
  assert.equal((await get(48)).status, 409);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId, type ServerId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let ids: ServerId[];
let flavor: string;
before(async () => {
  api = await computeApi();
  await api.cloud.addHost();
  flavor = await api.cloud.addFlavor({ vcpus: 2, memoryMiB: 1024, diskGiB: 3 });
  ids = (await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor, minCount: 4, maxCount: 4 }))).ids;
  const query = api.db.database.query;
  // Four hours ago; the last was never launched.
  await sql`update server set launched_at = now() - interval '4 hours' where id = any(${ids.slice(0, 3)}::uuid[])`.execute(
    query,
  );
  await sql`delete from server where id = ${ids[1]}`.execute(query);
  await sql`update change set at = now() - interval '3 hours' where resource_id = ${ids[1]} and action = 'deleted'`.execute(
    query,
  );
  // One is deleted and can be restored.
  await sql`update server set soft_deleted_at = now() where id = ${ids[2]}`.execute(query);
});
after(() => api[Symbol.asyncDispose]());

const stamp = (hoursAgo: number) => new Date(Date.now() - hoursAgo * 3_600_000).toISOString().slice(0, 19);
const get = (path: string, version = 1, caller = api.cloud.member) => api.call(caller, 'GET', path, { version });
const own = (query: string, version = 1) => get(`/os-simple-tenant-usage/${api.cloud.projectId}?${query}`, version);

test('a project’s usage is what its servers ran within the time, those that are gone among them', async () => {
  const { status, body } = await own(`start=${stamp(2)}&end=${stamp(-10)}`);
  assert.equal(status, 200, JSON.stringify(body));
  const usage = body.tenant_usage;
  assert.deepEqual(
    usage.server_usages.map((row: { instance_id: string }) => row.instance_id),
    [ids[0], ids[2]],
    'what ended before is none of it',
  );
  assert.ok(Math.abs(usage.total_hours - 4) < 0.01, `${usage.total_hours}`);
  assert.ok(Math.abs(usage.total_vcpus_usage - 8) < 0.02);
  assert.ok(Math.abs(usage.total_memory_mb_usage - 4096) < 10);
  assert.ok(Math.abs(usage.total_local_gb_usage - 12) < 0.03);
  const whole = (await own(`start=${stamp(10)}`)).body.tenant_usage;
  const gone = whole.server_usages[1];
  assert.deepEqual(
    [gone.instance_id, gone.state, gone.name, gone.vcpus, gone.memory_mb, gone.local_gb, gone.uptime],
    [ids[1], 'terminated', `${oddName}-2`, 2, 1024, 3, 3600],
  );
  assert.ok(Math.abs(gone.hours - 1) < 0.001);
  assert.match(gone.ended_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
  assert.equal(whole.server_usages[2].state, 'stopped');
  assert.equal(whole.server_usages[0].ended_at, null);
  assert.deepEqual((await own(`start=${stamp(20)}&end=${stamp(10)}`)).body, { tenant_usage: {} });
});

test('administrators see all projects, in detail where they ask for it; others only their own', async () => {
  const { admin, member, projectId } = api.cloud;
  const list = async (query: string) =>
    (await get(`/os-simple-tenant-usage?start=${stamp(10)}${query}`, 1, admin)).body.tenant_usages;
  const [brief] = await list('');
  assert.deepEqual([brief.tenant_id, 'server_usages' in brief], [projectId, false]);
  assert.equal((await list('&detailed=1'))[0].server_usages.length, 3);
  assert.equal((await get('/os-simple-tenant-usage', 1, member)).status, 403);
  assert.equal((await get(`/os-simple-tenant-usage/?start=${stamp(9)}`, 1, admin)).status, 404);
  const other = callerOf(await testProject(api.db.database));
  assert.equal((await get(`/os-simple-tenant-usage/${projectId}`, 1, other)).status, 403);
  assert.equal((await get(`/os-simple-tenant-usage/${projectId}?start=${stamp(9)}`, 1, admin)).status, 200);
  for (const unknown of [newId(), 'no-project']) {
    assert.deepEqual((await get(`/os-simple-tenant-usage/${unknown}`, 1, admin)).body, { tenant_usage: {} });
  }
});

test('from 2.40 on usage comes in pages, each with its own sums', async () => {
  const seen: string[] = [];
  let hours = 0;
  let query: string | undefined = `start=${stamp(10)}&limit=1`;
  while (query !== undefined) {
    const { status, body } = await own(query, 40);
    assert.equal(status, 200);
    for (const row of body.tenant_usage.server_usages ?? []) seen.push(row.instance_id);
    hours += body.tenant_usage.total_hours ?? 0;
    query = body.tenant_usage_links?.[0].href.split('?')[1];
  }
  assert.deepEqual(seen, ids.slice(0, 3));
  assert.ok(Math.abs(hours - 9) < 0.01, `${hours}`);
  assert.equal((await own(`start=${stamp(10)}&limit=1`, 39)).body.tenant_usage.server_usages.length, 3);
  for (const marker of [newId(), 'x']) assert.equal((await own(`start=${stamp(9)}&marker=${marker}`, 40)).status, 400);
});

test('pages of all projects have each server once, whatever the order in which the projects’ servers were made', async () => {
  const { admin, service } = api.cloud;
  const other = callerOf(await testProject(api.db.database));
  const between = (await service.create(other, api.cloud.wish({ flavor }))).ids[0]!;
  const later = (await service.create(api.cloud.member, api.cloud.wish({ flavor }))).ids[0]!;
  const mine = [...ids.slice(0, 3), later];
  await sql`update server set launched_at = now() - interval '1 hour' where id in (${between}, ${later})`.execute(
    api.db.database.query,
  );
  for (const limit of [1, 2, 1000]) {
    const seen: string[] = [];
    for (let marker = ''; ; ) {
      const query = `start=${stamp(10)}&detailed=1&limit=${limit}${marker && `&marker=${marker}`}`;
      const { body } = await get(`/os-simple-tenant-usage?${query}`, 40, admin);
      const page: string[] = body.tenant_usages.flatMap(
        ({ server_usages: servers }: { server_usages: { instance_id: string }[] }) =>
          servers.map(({ instance_id: id }) => id),
      );
      if (page.length === 0) break;
      seen.push(...page);
      // As clients do: the last server of the last project.
      marker = page.at(-1)!;
    }
    assert.deepEqual(seen.toSorted(), [between, ...mine].toSorted(), `${limit}`);
  }
  await sql`delete from server where id in (${between}, ${later})`.execute(api.db.database.query);
  await sql`update change set at = now() - interval '2 days' where resource_id in (${between}, ${later}) and action = 'deleted'`.execute(
    api.db.database.query,
  );
});

test('times that are none, that end before they begin, and unknown parameters are refused', async () => {
  for (const query of [
    'start=yesterday',
    'start=2026-02-30T00:00:00',
    'end=2026-13-01T00:00:00',
    `start=${stamp(1)}&end=${stamp(2)}`,
  ]) {
    assert.equal((await own(query)).status, 400, query);
  }
  assert.equal((await own('x=1', 75)).status, 400);
  assert.equal((await own('x=1', 74)).status, 200);
  assert.equal((await own('start=2026-01-01 00:00:00.123456')).status, 200);
});

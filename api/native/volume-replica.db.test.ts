/** Replicas of volumes, as their owners see them and administrators steer them: rights, shapes, what is refused. What rounds do: control/storage/replication. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { cloudActor } from '../../control/kit/database/database.ts';
import { testVolume } from '../../control/storage/attachment/testing.ts';
import { insertLayer } from '../../control/storage/layer/index.ts';
import { testPool } from '../../control/storage/testing.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

type Tenant = Awaited<ReturnType<typeof makeTenant>>;
let api: TestApi;
let owner: Tenant;
let stranger: Tenant;
/** Of the owner's project. */
let reader: string;
before(async () => {
  api = await nativeApi();
  [owner, stranger] = [await makeTenant(api), await makeTenant(api)];
  reader = (await makeTenant(api, ['reader'])).token;
});
after(() => api[Symbol.asyncDispose]());

const db = () => api.cloud.db.database;
const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, token: string | null = api.admin) => {
  const { status, body } = await api.call({ method, path: `/native/v1${path}`, ...(token !== null && { token }) });
  return { status, body, reason: body?.error?.reason };
};

interface Made {
  id: string;
  /** The host of the volume, and that of its replica. */
  home: string;
  far: string;
}

/** A volume on one host with a whole replica on another, 40 seconds old. */
async function replicated(projectId: string): Promise<Made> {
  const [home, far] = [await testPool(db()), await testPool(db())];
  const { id, layerId } = await testVolume(db(), { projectId, hostId: home.host_id });
  await db().transaction(cloudActor, async (tx) => {
    const copy = await insertLayer(tx, { volumeId: id, sizeBytes: 2 ** 30, base: null, pool: far, frozen: true });
    await sql`update volume_layer set observed_written = true, written_at = now() - interval '1 hour' where id = ${layerId}`.execute(
      tx,
    );
    await sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes, pool_id, layer_id, source_layer_id, as_of, rounds, next_at)
      values (${id}, 60, ${2 ** 30}, ${far.id}, ${copy}, ${newId()}, now() - interval '40 seconds', 7, null)`.execute(
      tx,
    );
  });
  return { id, home: home.host_id, far: far.host_id };
}
const lose = (hostId: string) =>
  sql`update host set connected = false, last_seen_at = now() - interval '1 minute', lease_ends_at = now() - interval '40 seconds'
    where id = ${hostId}`.execute(db().query);

test('its owner sees how old a replica is, and administrators where it lies, too', async () => {
  const { id, far } = await replicated(owner.project.id);
  const { status, body } = await call('GET', `/volumes/${id}/replica`);
  assert.equal(status, 200);
  const { as_of, age_seconds, ...known } = body.replica;
  assert.ok(Math.abs(age_seconds - 40) < 15 && Math.abs(Date.now() - Date.parse(as_of) - 40_000) < 15_000);
  const expected = {
    ...{ volume_id: id, status: 'enabled', rpo_seconds: 60, idle: false, round: null, rounds: 7 },
    ...{ last_round_bytes: null, last_round_seconds: null, problem: null, late_since: null, failed_over_at: null },
    ...{ synchronous: false, in_sync: false, former_kept: false, host: `host-${far}`, pool: 'local' },
  };
  assert.deepEqual(known, expected);
  const { as_of: _, age_seconds: __, ...own } = (await call('GET', `/volumes/${id}/replica`, owner.token)).body.replica;
  assert.deepEqual(own, { ...expected, host: null, pool: null });
});

test('a round that is under way is told, and a replica that is late is an error', async () => {
  const { id } = await replicated(owner.project.id);
  await sql`update volume_replica set round_began_at = now(), round_full = true, as_of = now() - interval '70 seconds', late_since = now(),
    fault = '{"code": "host_away", "message": "The host of the replica is away."}' where volume_id = ${id}`.execute(
    db().query,
  );
  const { replica } = (await call('GET', `/volumes/${id}/replica`, owner.token)).body;
  assert.deepEqual(
    [replica.status, replica.round.whole, replica.problem],
    ['error', true, 'The host of the replica is away.'],
  );
  assert.ok(Date.parse(replica.round.began_at) && Date.parse(replica.late_since));
});

test('a volume without a replica has none, and one that is hidden or is none is not found', async () => {
  const { host_id: hostId } = await testPool(db());
  const { id } = await testVolume(db(), { projectId: owner.project.id, hostId });
  assert.deepEqual((await call('GET', `/volumes/${id}/replica`, owner.token)).body, { replica: null });
  for (const token of [stranger.token, reader])
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/failover'],
      ['POST', '/resync'],
      ['DELETE', '/former'],
    ] as const)
      assert.equal((await call(method, `/volumes/${id}/replica${path}`, token)).status, 404, method + path);
  for (const which of [newId(), '..%2f', 'x'.repeat(300)])
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/failover'],
      ['POST', '/resync'],
      ['DELETE', '/former'],
    ] as const)
      assert.equal((await call(method, `/volumes/${which}/replica${path}`)).status, 404, which + path);
  for (const [method, path] of [
    ['POST', '/resync'],
    ['DELETE', '/former'],
  ] as const) {
    const { status, reason } = await call(method, `/volumes/${id}/replica${path}`);
    assert.deepEqual([status, reason], [409, 'volume_replica_missing'], path);
  }
});

test('administrators list those that are late, and all; nobody else does', async () => {
  const [fine, late] = [await replicated(owner.project.id), await replicated(stranger.project.id)];
  await sql`update volume_replica set as_of = now() - interval '1 hour', late_since = now() where volume_id = ${late.id}`.execute(
    db().query,
  );
  const ids = async (query: string) =>
    (await call('GET', `/volume-replicas${query}`)).body.replicas.map(
      ({ volume_id }: { volume_id: string }) => volume_id,
    );
  const all = await ids('');
  assert.ok(all.includes(fine.id) && all.includes(late.id));
  assert.deepEqual(await ids('?late=false'), all);
  const onlyLate = await ids('?late=true');
  assert.ok(onlyLate.includes(late.id) && !onlyLate.includes(fine.id));
  assert.equal((await call('GET', '/volume-replicas?late=perhaps')).status, 400);
  for (const token of [owner.token, reader])
    for (const query of ['', '?late=true'])
      assert.equal((await call('GET', `/volume-replicas${query}`, token)).status, 403);
});

test('what changes a replica is for administrators alone', async () => {
  const { id } = await replicated(owner.project.id);
  for (const [method, path] of [
    ['POST', '/failover'],
    ['POST', '/resync'],
    ['DELETE', '/former'],
  ] as const) {
    assert.equal((await call(method, `/volumes/${id}/replica${path}`, owner.token)).status, 403, path);
    assert.equal((await call(method, `/volumes/${id}/replica${path}`, null)).status, 401, path);
  }
  assert.equal((await call('GET', '/volume-replicas', null)).status, 401);
  assert.equal((await call('GET', `/volumes/${id}/replica`)).body.replica.rounds, 7, 'nothing has changed');
});

test('a volume fails over by evidence that its host is lost, not while a server has it, and what it held there is given up by word', async () => {
  const { id, home, far } = await replicated(owner.project.id);
  const failOver = () => call('POST', `/volumes/${id}/replica/failover`);
  const here = await failOver();
  assert.deepEqual([here.status, here.reason], [400, 'volume_failover_unproven']);
  await sql`update host set connected = false, last_seen_at = now(), lease_ends_at = now() + interval '1 minute' where id = ${home}`.execute(
    db().query,
  );
  assert.equal((await failOver()).reason, 'volume_failover_unproven', 'its lease has not ended');
  await lose(home);
  await sql`insert into volume_attachment (id, project_id, volume_id, slot, device) values (${newId()}, ${owner.project.id}, ${id}, 0, '/dev/vdb')`.execute(
    db().query,
  );
  const attached = await failOver();
  assert.deepEqual([attached.status, attached.reason], [409, 'volume_failover_attached']);
  await sql`delete from volume_attachment where volume_id = ${id}`.execute(db().query);
  const { status, body } = await failOver();
  assert.equal(status, 200, JSON.stringify(body));
  const { as_of, age_seconds, evidence, ...rest } = body.failover;
  assert.deepEqual(rest, { volume_id: id });
  assert.ok(Date.parse(as_of) && Math.abs(age_seconds - 40) < 15, JSON.stringify(body));
  assert.equal(evidence.kind, 'lease');
  const { rows } = await sql<{ host_id: string }>`select host_id from volume where id = ${id}`.execute(db().query);
  assert.equal(rows[0]!.host_id, far);
  const again = await failOver();
  assert.deepEqual([again.status, again.reason], [400, 'volume_failover_unproven'], 'its host is here now');
  const { replica } = (await call('GET', `/volumes/${id}/replica`)).body;
  assert.deepEqual([replica.status, replica.former_kept, replica.host], ['enabling', true, null]);
  assert.ok(Date.parse(replica.failed_over_at));
  for (const _ of [1, 2]) assert.equal((await call('DELETE', `/volumes/${id}/replica/former`)).status, 204);
  assert.equal((await call('GET', `/volumes/${id}/replica`)).body.replica.former_kept, false);
});

test('a volume whose replica is lost fails over to nothing', async () => {
  const { id, home } = await replicated(owner.project.id);
  await lose(home);
  await sql`update volume_replica set layer_id = null, as_of = null where volume_id = ${id}`.execute(db().query);
  const { status, reason } = await call('POST', `/volumes/${id}/replica/failover`);
  assert.deepEqual([status, reason], [409, 'volume_replica_missing']);
});

test('a replica is copied anew when an administrator says so: where it is, or elsewhere where its host is away', async () => {
  const { id, far } = await replicated(owner.project.id);
  assert.equal((await call('POST', `/volumes/${id}/replica/resync`)).status, 204);
  const replica = async () => (await call('GET', `/volumes/${id}/replica`)).body.replica;
  assert.deepEqual(
    [(await replica()).host, (await replica()).status],
    [`host-${far}`, 'enabled'],
    'what it has stays until then',
  );
  await sql`update host set connected = false where id = ${far}`.execute(db().query);
  assert.equal((await call('POST', `/volumes/${id}/replica/resync`)).status, 204);
  assert.deepEqual([(await replica()).host, (await replica()).as_of], [null, null]);
});

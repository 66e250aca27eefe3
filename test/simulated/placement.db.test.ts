/** Where servers run: bursts spread, and a host that dies before it took a server does not keep it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { enqueue } from '../../control/kit/queue/queue.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import { assertInOrder, createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
/** Where the next server goes that finds both hosts empty: the one with the image. */
let holder: SimulatedHost;
let other: SimulatedHost;
/** Called when control has placed a server. */
let placed: (() => void) | undefined;

before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  await cloud.control.stop();
  await cloud.startControl({
    hooks: { hostAwayMs: 300, afterServerStep: (step) => step === 'placed' && placed?.() },
  });
  tenancy = await makeTenancy(cloud);
  const { rows } = await sql<{ host_id: string }>`select host_id from image_location`.execute(cloud.database.query);
  holder = cloud.host(rows[0]!.host_id);
  other = cloud.hosts.find((host) => host !== holder)!;
});
after(() => cloud[Symbol.asyncDispose]());

async function clear(ids: readonly ServerId[]): Promise<void> {
  await Promise.all(ids.map((id) => deleteServer(cloud, tenancy, id)));
  for (const id of ids) await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}

const story = async (id: ServerId) => {
  const { rows } = await sql<{ host_id: string; epoch: number; waiting_for: string | null; decisions: number }>`
    select host_id, epoch, (select waiting_for from operation where resource_id = s.id and state = 'running') as waiting_for,
      (select count(*) from decision where resource_id = s.id) as decisions
    from server s where id = ${id}`.execute(cloud.database.query);
  return rows[0]!;
};

/** A server that is placed on a host which dies, either before a word of it gets there or after the host took a step. */
async function createOnDyingHost(name: string, doomed: SimulatedHost, step?: string): Promise<ServerId> {
  // What is on its way to control when the host dies is lost.
  doomed.delayMs = 300;
  doomed.dieAfter = step;
  if (!step) {
    placed = () => {
      placed = undefined;
      doomed.kill();
    };
  }
  const id = await createServer(tenancy, name);
  await cloud.until('the host to die', () => !doomed.running);
  doomed.delayMs = 0;
  assert.equal((await story(id)).host_id, doomed.id, 'it was given to the host that died');
  return id;
}

const back = (host: SimulatedHost) =>
  host
    .start()
    .then(() => cloud.until('the host to be back', async () => (await cloud.connectedHosts()) === cloud.hosts.length));

/** As many servers as make the host with the image no longer the first choice. */
async function fill(): Promise<ServerId[]> {
  const ids = [await createServer(tenancy, 'first'), await createServer(tenancy, 'second')];
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  for (const id of ids) assert.equal((await story(id)).host_id, holder.id);
  return ids;
}

const open = (host: SimulatedHost, enabled: boolean) =>
  sql`update host set enabled = ${enabled} where id = ${host.id}`.execute(cloud.database.query);

for (const step of [undefined, 'spawn']) {
  const when = step ? `after its step '${step}', of which nobody heard` : 'before it heard of it';
  test(`a server whose host dies ${when} runs on another; the first comes back and keeps nothing`, async () => {
    const before = await fill();
    const id = await createOnDyingHost('placed twice', other, step);
    assert.equal(other.leftovers().length > 0, step !== undefined);
    await reaches(cloud, tenancy, id, 'ACTIVE');
    const { host_id, epoch, decisions } = await story(id);
    assert.deepEqual([host_id, epoch, decisions], [holder.id, 2, 2]);
    await back(other);
    await assertInOrder(cloud, [...before, id]);
    assert.deepEqual(other.leftovers(), []);
    await clear([...before, id]);
  });
}

test('where no other host fits it waits and says so, and takes the first that does: its own or another', async () => {
  for (const helper of ['its own', 'another']) {
    await open(holder, false);
    const id = await createOnDyingHost(helper, other);
    await cloud.until('it to say what it waits for', async () => {
      const { waiting_for } = await story(id);
      return /^its host, which is away, to come back, or another that fits: .*closed/.test(waiting_for ?? '');
    });
    if (helper === 'its own') await back(other);
    await open(holder, true);
    await reaches(cloud, tenancy, id, 'ACTIVE');
    const { host_id, epoch } = await story(id);
    assert.deepEqual([host_id, epoch], helper === 'its own' ? [other.id, 1] : [holder.id, 2]);
    await back(other);
    await clear([id]);
  }
});

test('a server that its host has begun stays with it, however long it is away', async () => {
  await open(holder, false);
  const id = await createServer(tenancy, 'begun');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await open(holder, true);
  other.kill();
  await tenancy.client.must('POST', 'compute', `/servers/${id}/action`, { reboot: { type: 'HARD' } });
  await cloud.until('its host to count as gone', async () => {
    const gone = sql`select count(*) as n from host where not connected and last_seen_at < now() - interval '300 milliseconds'`;
    return (await cloud.count(gone)) === 1;
  });
  await enqueue(cloud.database.query, 'server', id);
  const due = sql`select count(*) as n from graphile_worker.jobs where key = ${`server:${id}`} and run_at <= now()`;
  await cloud.until('control to have looked', async () => (await cloud.count(due)) === 0);
  assert.deepEqual([(await story(id)).host_id, (await story(id)).epoch], [other.id, 1]);
  await back(other);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await clear([id]);
});

test('a burst spreads over all hosts, which copy the image from the one that has it', async () => {
  await using many = await SimulatedCloud.start({ hosts: 4 });
  const tenant = await makeTenancy(many);
  const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => createServer(tenant, `burst ${n}`)));
  for (const id of ids) await reaches(many, tenant, id, 'ACTIVE');
  const { rows } = await sql<{
    n: number;
  }>`select count(*)::integer as n from server group by host_id order by n`.execute(many.database.query);
  assert.deepEqual(
    rows.map(({ n }) => n),
    [2, 3, 3, 4],
  );
  await assertInOrder(many, ids);
});

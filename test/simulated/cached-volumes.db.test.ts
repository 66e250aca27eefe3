/**
 * Volumes with a cache in a whole simulated cloud: control and a host agree on what a cache is made of, from the type's words to the last file. What is
 * seen of it while a guest runs is in test/live/host-cache; here servers are off, since the fake QEMU has no block jobs.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ pools: [{ name: 'fast', tier: 'flash' }] });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const volumes = (method: string, path: string, body?: object) =>
  tenancy.client.must(method, 'block-storage', path, body);
const is = (path: string, noun: string, wanted: string) =>
  cloud.until(`${path} to be ${wanted}`, async () => {
    const { status, body } = await tenancy.client.call('GET', 'block-storage', path);
    return status === 404 ? wanted === 'gone' : body[noun]?.status === wanted;
  });

/** From the top down: the pool and the state of each layer. */
async function chainOf(volumeId: string): Promise<string> {
  const { rows } = await sql<{ link: string }>`
    with recursive chain as (select l.*, 0 as depth from volume v join volume_layer l on l.id = v.layer_id where v.id = ${volumeId}
      union all select l.*, depth + 1 from chain join volume_layer l on l.id = chain.parent_id)
    select coalesce(cache_role, 'final') || '@' || p.name || case when observed_generation = chain.generation then '' else '?' end as link
    from chain join storage_pool p on p.id = chain.pool_id order by depth`.execute(cloud.database.query);
  return rows.map(({ link }) => link).join(' ');
}
const chainIs = (volumeId: string, wanted: string) =>
  cloud.until(`the chain to be ${wanted}`, async () => (await chainOf(volumeId)) === wanted);

test('a volume gets its cache with a server, sinks when it has none, and leaves nothing behind', async () => {
  const extra_specs = { 'bothy:tier': 'disk', 'bothy:cache_tier': 'flash', 'bothy:cache_gib': '0.25' };
  const refused = await tenancy.client.call('POST', 'block-storage', '/types', {
    volume_type: { name: 'odd', extra_specs: { 'bothy:cache_policy': 'write-around' } },
  });
  assert.equal(refused.status, 400);
  assert.match(JSON.stringify(refused.body), /cache_policy/);
  await volumes('POST', '/types', { volume_type: { name: 'cached', extra_specs } });
  const { volume } = await volumes('POST', '/volumes', { volume: { size: 1, volume_type: 'cached' } });
  const path = `/volumes/${volume.id}`;
  await is(path, 'volume', 'available');
  assert.equal(await chainOf(volume.id), 'base@local');

  const server = await createServer(tenancy, 'heat');
  await reaches(cloud, tenancy, server, 'ACTIVE');
  await tenancy.client.must('POST', 'compute', `/servers/${server}/action`, { 'os-stop': null });
  await reaches(cloud, tenancy, server, 'SHUTOFF');
  const attachments = `/servers/${server}/os-volume_attachments`;
  await tenancy.client.must('POST', 'compute', attachments, { volumeAttachment: { volumeId: volume.id } });
  await is(path, 'volume', 'in-use');
  await chainIs(volume.id, 'writes@fast base@local');

  // What it holds goes down for the snapshot, by the host itself, and what is written next has a generation of its own.
  const { snapshot } = await volumes('POST', '/snapshots', { snapshot: { volume_id: volume.id, force: true } });
  await is(`/snapshots/${snapshot.id}`, 'snapshot', 'available');
  await chainIs(volume.id, 'writes@fast base@local final@local');
  await tenancy.client.must('DELETE', 'compute', `${attachments}/${volume.id}`);
  await is(path, 'volume', 'available');
  await chainIs(volume.id, 'base@local final@local final@local');

  await volumes('DELETE', `/snapshots/${snapshot.id}`);
  await is(`/snapshots/${snapshot.id}`, 'snapshot', 'gone');
  await volumes('DELETE', path);
  await deleteServer(cloud, tenancy, server);
  await cloud.until('nothing to be left', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume) + (select count(*) from volume_layer)
      + (select coalesce(sum(promised_bytes), 0) from storage_pool_usage) as n`.execute(cloud.database.query);
    return Number(rows[0]!.n) === 0;
  });
});

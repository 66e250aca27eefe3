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

const nothingLeft = () =>
  cloud.until('nothing to be left', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume) + (select count(*) from volume_layer)
      + (select count(*) from volume_key) + (select coalesce(sum(promised_bytes), 0) from storage_pool_usage) as n`.execute(
      cloud.database.query,
    );
    return Number(rows[0]!.n) === 0;
  });

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
  await nothingLeft();
});

test('a group of cached and encrypted volumes, one of them in use, is snapshotted whole, and groups are made of that and of the group', async () => {
  const extra_specs = { 'bothy:tier': 'disk', 'bothy:cache_tier': 'flash', 'bothy:cache_gib': '0.25' };
  const types: string[] = [];
  for (const name of ['group cached', 'group sealed', 'group both']) {
    const wish = { name, ...(name !== 'group sealed' && { extra_specs }) };
    const { volume_type: made } = await volumes('POST', '/types', { volume_type: wish });
    const encryption = { provider: 'luks', control_location: 'front-end', cipher: 'aes-xts-plain64', key_size: 256 };
    if (name !== 'group cached') await volumes('POST', `/types/${made.id}/encryption`, { encryption });
    types.push(made.id);
  }
  const grouped = async (method: string, path: string, body?: object) => {
    const version = { 'openstack-api-version': 'volume 3.68' };
    const answer = await tenancy.client.call(method, 'block-storage', path, body, version);
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  const { group_type } = await grouped('POST', '/group_types', { group_type: { name: 'all' } });
  const { group } = await grouped('POST', '/groups', { group: { group_type: group_type.id, volume_types: types } });
  const made: string[] = [];
  for (const volume_type of types) {
    const wish = { size: 1, volume_type, group_id: group.id };
    made.push((await grouped('POST', '/volumes', { volume: wish })).volume.id);
  }
  for (const id of made) await is(`/volumes/${id}`, 'volume', 'available');
  const server = await createServer(tenancy, 'group');
  await reaches(cloud, tenancy, server, 'ACTIVE');
  await tenancy.client.must('POST', 'compute', `/servers/${server}/action`, { 'os-stop': null });
  await reaches(cloud, tenancy, server, 'SHUTOFF');
  const attachments = `/servers/${server}/os-volume_attachments`;
  for (const volumeId of [made[0], made[2]]) {
    await tenancy.client.must('POST', 'compute', attachments, { volumeAttachment: { volumeId } });
    await is(`/volumes/${volumeId}`, 'volume', 'in-use');
    await chainIs(volumeId!, 'writes@fast base@local');
  }

  const reachesStatus = (path: string, noun: string, wanted: string) =>
    cloud.until(`${path} to be ${wanted}`, async () => (await grouped('GET', path))[noun].status === wanted);
  const { group_snapshot } = await grouped('POST', '/group_snapshots', { group_snapshot: { group_id: group.id } });
  await reachesStatus(`/group_snapshots/${group_snapshot.id}`, 'group_snapshot', 'available');
  for (const volumeId of [made[0], made[2]]) await chainIs(volumeId!, 'writes@fast base@local final@local');
  const encrypted = async (groupId: string) => {
    const { volumes: all } = await grouped('GET', `/volumes/detail?group_id=${groupId}`);
    return all.map((volume: { encrypted: boolean }) => volume.encrypted).sort();
  };
  for (const source of [{ group_snapshot_id: group_snapshot.id }, { source_group_id: group.id }]) {
    const { group: copy } = await grouped('POST', '/groups/action', { 'create-from-src': { name: 'copy', ...source } });
    await reachesStatus(`/groups/${copy.id}`, 'group', 'available');
    assert.deepEqual(await encrypted(copy.id), [false, true, true]);
    await grouped('POST', `/groups/${copy.id}/action`, { delete: { 'delete-volumes': true } });
  }

  await grouped('DELETE', `/group_snapshots/${group_snapshot.id}`);
  for (const volumeId of [made[0], made[2]]) {
    await tenancy.client.must('DELETE', 'compute', `${attachments}/${volumeId}`);
    await is(`/volumes/${volumeId}`, 'volume', 'available');
  }
  await grouped('POST', `/groups/${group.id}/action`, { delete: { 'delete-volumes': true } });
  await deleteServer(cloud, tenancy, server);
  await nothingLeft();
});

test('a volume gets a cache, and loses it, by retypes and with a server that is off', async () => {
  const specs = { 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '0.25' };
  for (const [name, extra_specs] of Object.entries({
    plain: { 'bothy:tier': 'disk' },
    quick: { 'bothy:tier': 'disk', ...specs },
  })) {
    await volumes('POST', '/types', { volume_type: { name, extra_specs } });
  }
  const { volume } = await volumes('POST', '/volumes', { volume: { size: 1, volume_type: 'plain' } });
  const path = `/volumes/${volume.id}`;
  await is(path, 'volume', 'available');
  const retype = (new_type: string) => volumes('POST', `${path}/action`, { 'os-retype': { new_type } });
  await retype('quick');
  await chainIs(volume.id, 'base@local final@local');
  await is(path, 'volume', 'available');

  const server = await createServer(tenancy, 'warmth');
  await reaches(cloud, tenancy, server, 'ACTIVE');
  await tenancy.client.must('POST', 'compute', `/servers/${server}/action`, { 'os-stop': null });
  await reaches(cloud, tenancy, server, 'SHUTOFF');
  const attachments = `/servers/${server}/os-volume_attachments`;
  await tenancy.client.must('POST', 'compute', attachments, { volumeAttachment: { volumeId: volume.id } });
  await is(path, 'volume', 'in-use');
  await chainIs(volume.id, 'writes@fast base@local final@local');
  await retype('plain');
  await is(path, 'volume', 'in-use');
  await chainIs(volume.id, 'final@local final@local final@local final@local');
  const shown = await volumes('GET', path);
  assert.deepEqual([shown.volume.volume_type, shown.volume.migration_status], ['plain', 'success']);
  await retype('quick');
  await chainIs(volume.id, 'writes@fast base@local final@local final@local final@local final@local');
  await tenancy.client.must('DELETE', 'compute', `${attachments}/${volume.id}`);
  await is(path, 'volume', 'available');

  await volumes('DELETE', path);
  await deleteServer(cloud, tenancy, server);
  await cloud.until('nothing to be left', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume) + (select count(*) from volume_layer)
      + (select coalesce(sum(promised_bytes), 0) from storage_pool_usage) as n`.execute(cloud.database.query);
    return Number(rows[0]!.n) === 0;
  });
});

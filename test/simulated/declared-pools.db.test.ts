/**
 * Pools that are declared by API, in a whole simulated cloud: from the administrator's word to the host's mark and back, with the host away,
 * killed, and control replaced on the way.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { makeTenancy, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const native = (method: string, path: string, body?: object) =>
  tenancy.client.raw(method, tenancy.client.nativeUrl(`/storage-pools${path}`), body);
const poolIs = (id: string, what: string, holds: (pool: { problem: string | null }) => boolean) =>
  cloud.until(`the pool to be ${what}`, async () => {
    const { status, body } = await native('GET', `/${id}`);
    return status === 200 && holds(body.storage_pool);
  });
const volumes = (method: string, path: string, body?: object) =>
  tenancy.client.must(method, 'block-storage', path, body);
const volumeIs = (id: string, wanted: string) =>
  cloud.until(`the volume to be ${wanted}`, async () => {
    const { status, body } = await tenancy.client.call('GET', 'block-storage', `/volumes/${id}`);
    return status === 404 ? wanted === 'gone' : body.volume?.status === wanted;
  });

test('a declared pool takes volumes, survives the death of everybody, and goes when it is empty', async () => {
  const [host] = cloud.hosts;
  const source = join(cloud.directory, 'later 小屋');
  mkdirSync(source);
  host!.kill();
  const wish = { host_id: host!.id, name: 'later', tier: 'flash', kind: 'directory', source };
  const made = await native('POST', '', { storage_pool: wish });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id } = made.body.storage_pool;
  await cloud.replaceControl();
  await host!.start();
  await poolIs(id, 'well', ({ problem }) => problem === null);
  assert.ok(existsSync(join(source, 'bothy-pool.json')));

  await volumes('POST', '/types', { volume_type: { name: 'flash', extra_specs: { 'bothy:tier': 'flash' } } });
  const { volume } = await volumes('POST', '/volumes', { volume: { size: 1, volume_type: 'flash' } });
  await volumeIs(volume.id, 'available');
  assert.equal(readdirSync(join(source, 'layers')).length, 1);
  const kept = await native('DELETE', `/${id}`);
  assert.deepEqual([kept.status, kept.body.error.reason], [409, 'storage_pool_not_empty']);

  // Closed: what is there goes on, what is new goes elsewhere, or nowhere.
  await native('PATCH', `/${id}`, { storage_pool: { enabled: false } });
  const { volume: refused } = await volumes('POST', '/volumes', { volume: { size: 1, volume_type: 'flash' } });
  await volumeIs(refused.id, 'error');
  host!.kill();
  await host!.start();
  await volumes('POST', `/volumes/${volume.id}/action`, { 'os-extend': { new_size: 2 } });
  await cloud.until('the volume to be larger', async () => {
    const { volume: now } = await volumes('GET', `/volumes/${volume.id}`);
    return now.size === 2 && now.status === 'available';
  });

  for (const each of [volume.id, refused.id]) await volumes('DELETE', `/volumes/${each}`);
  for (const each of [volume.id, refused.id]) await volumeIs(each, 'gone');
  await cloud.until('no layer to be left', async () => {
    const { rows } = await sql<{ n: number }>`select count(*)::integer as n from volume_layer`.execute(
      cloud.database.query,
    );
    return rows[0]!.n === 0;
  });
  host!.kill();
  assert.equal((await native('DELETE', `/${id}`)).status, 204);
  await cloud.replaceControl();
  await host!.start();
  await cloud.until('the host to let it go', () => host!.facts().pools!.every(({ name }) => name === 'local'));
  assert.deepEqual(readdirSync(source), []);
});

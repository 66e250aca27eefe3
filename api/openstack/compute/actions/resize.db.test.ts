/** What a client sees of a resize, its confirmation and its reverse; in Nova's words and statuses, quota and room exact. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../../contract/ids.ts';
import { type ComputeApi, computeApi } from '../testing.ts';

let api: ComputeApi;
let host: HostId;
const flavor = { small: '', large: '', huge: '', diskless: '', shrunk: '' };
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost({ vcpus: 16 });
  flavor.small = await api.cloud.addFlavor({ vcpus: 1, diskGiB: 2 });
  flavor.large = await api.cloud.addFlavor({ vcpus: 2, memoryMiB: 1024, diskGiB: 3 });
  flavor.huge = await api.cloud.addFlavor({ vcpus: 100, diskGiB: 2 });
  flavor.diskless = await api.cloud.addFlavor({ diskGiB: 0 });
  flavor.shrunk = await api.cloud.addFlavor({ diskGiB: 1 });
});
after(() => api[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor: flavor.small }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}

const act = (id: string, body: object) =>
  api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body, version: 1 });
const shown = async (id: string) => {
  const { server } = (await api.call(api.cloud.member, 'GET', `/servers/${id}`)).body;
  return [server.status, server.flavor.id, server['OS-EXT-STS:vm_state']];
};
const limit = (resource: string, maximum: number) =>
  sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${api.cloud.projectId}, ${resource}, ${maximum})`.execute(
    api.cloud.database.query,
  );

test('a resize is to be confirmed, and a confirmed one stays', async () => {
  const id = await active();
  assert.equal((await act(id, { resize: { flavorRef: flavor.large, 'OS-DCF:diskConfig': 'AUTO' } })).status, 202);
  assert.deepEqual(await shown(id), ['RESIZE', flavor.large, 'active']);
  await api.cloud.obey(host);
  assert.deepEqual(await shown(id), ['VERIFY_RESIZE', flavor.large, 'resized']);
  assert.equal((await act(id, { resize: { flavorRef: flavor.small } })).status, 409);
  assert.equal((await act(id, { confirmResize: null })).status, 204);
  await api.cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', flavor.large, 'active']);
  assert.equal((await act(id, { revertResize: null })).status, 409);
});

test('what is being confirmed can be neither reverted nor confirmed once more', async () => {
  const id = await active();
  await act(id, { resize: { flavorRef: flavor.large } });
  await api.cloud.obey(host);
  assert.equal((await act(id, { confirmResize: null })).status, 204);
  for (const verb of ['revertResize', 'confirmResize']) {
    const { status, body } = await act(id, { [verb]: null });
    assert.deepEqual([status, body.badRequest?.message], [400, 'Instance has not been resized.'], verb);
  }
  await api.cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', flavor.large, 'active']);
});

test('a reverted resize gives flavor, quota and disk back', async () => {
  const id = await active();
  await act(id, { resize: { flavorRef: flavor.large } });
  await api.cloud.obey(host);
  assert.equal((await act(id, { revertResize: null })).status, 202);
  assert.deepEqual((await shown(id)).slice(0, 2), ['REVERT_RESIZE', flavor.small]);
  await api.cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', flavor.small, 'active']);
  const { vcpus, memory_mib, disk_gib } = await api.cloud.service.get(api.cloud.member, id);
  assert.deepEqual([vcpus, memory_mib, disk_gib], [1, 512, 2]);
});

test('what can not be is refused, and the server is what it was', async () => {
  const id = await active();
  const disk = 'Server disk was unable to be resized because:';
  const cases: [string, string][] = [
    [flavor.small, 'When resizing, instances must change flavor!'],
    [flavor.diskless, `${disk} Resize to zero disk flavor is not allowed.`],
    [flavor.shrunk, `${disk} it has 2 GiB and can not become smaller.`],
    [
      flavor.huge,
      `No valid host was found. The host of instance ${id} has no room for the flavor, and no other can take it over yet. What would help: use a flavor with fewer vCPUs or delete a server.`,
    ],
    ['none', 'Flavor none could not be found.'],
  ];
  await limit('vcpus', 1000);
  for (const [flavorRef, message] of cases) {
    const { status, body } = await act(id, { resize: { flavorRef } });
    assert.deepEqual([status, body.badRequest?.message], [400, message]);
  }
  assert.deepEqual(await shown(id), ['ACTIVE', flavor.small, 'active']);
});

test('of many resizes at once as many are accepted as the quota allows', async () => {
  await sql`delete from quota where project_id = ${api.cloud.projectId}`.execute(api.cloud.database.query);
  const ids = [await active(), await active(), await active()];
  const { rows } = await sql<{ used: number }>`select sum(vcpus)::integer as used from server`.execute(
    api.cloud.database.query,
  );
  await limit('vcpus', rows[0]!.used + 2);
  const answers = await Promise.all(ids.map((id) => act(id, { resize: { flavorRef: flavor.large } })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 202, 403]);
});

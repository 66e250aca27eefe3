/** What a client sees of images and backups of a server; in Nova's words, at Nova's versions. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostId, ServerId } from '../../../../contract/ids.ts';
import { type ComputeApi, computeApi } from '../testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost();
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}

const act = (id: string, body: object, version = 1) =>
  api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body, version });

test('createImage tells the image by its header, since 2.45 by its body; the server shows that it is at work', async () => {
  const id = await active();
  const old = await act(id, { createImage: { name: '小屋 🏔', metadata: { a: 'b', image_type: 'mine' } } });
  assert.equal(old.status, 202);
  const [, imageId] = /\/image\/v2\/images\/([0-9a-f-]{36})$/.exec(String(old.headers.location)) ?? [];
  const image = await api.cloud.images.show(api.cloud.member, imageId!);
  assert.deepEqual([image.name, image.owner_properties.a, image.owner_properties.image_type], ['小屋 🏔', 'b', 'mine']);
  const { server } = (await api.call(api.cloud.member, 'GET', `/servers/${id}`)).body;
  assert.deepEqual([server.status, server['OS-EXT-STS:task_state']], ['ACTIVE', 'image_snapshot']);
  const busy = await act(id, { createImage: { name: 'x' } });
  assert.deepEqual(
    [busy.status, busy.body.conflictingRequest.message],
    [409, `Cannot 'createImage' instance ${id} while it is in task_state image_snapshot`],
  );
  await api.cloud.obey(host);
  const { status, body, headers } = await act(id, { createImage: { name: 'x' } }, 45);
  assert.deepEqual([status, headers.location], [202, undefined]);
  assert.match(body.image_id, /^[0-9a-f-]{36}$/);
});

test('createBackup asks for type and rotation, and names no image that goes at once', async () => {
  const id = await active();
  for (const wish of [{ name: 'x' }, { name: 'x', backup_type: 'daily', rotation: -1 }]) {
    assert.equal((await act(id, { createBackup: wish })).status, 400);
  }
  const kept = await act(id, { createBackup: { name: 'x', backup_type: 'daily', rotation: '1' } });
  assert.deepEqual([kept.status, typeof kept.headers.location], [202, 'string']);
  await api.cloud.obey(host);
  const going = await act(id, { createBackup: { name: 'x', backup_type: 'daily', rotation: 0 } });
  assert.deepEqual([going.status, going.headers.location], [202, undefined]);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const bob = callers.bob.projectId!;

test('an image is offered, seen, accepted and taken back', async () => {
  const id = await api.create('alice', {}, Buffer.from('bytes'));
  const added = await api.call(`alice POST /images/${id}/members`, { member: bob.replaceAll('-', '') });
  assert.equal(added.status, 200);
  const { created_at, updated_at, ...member } = added.body;
  assert.match(created_at, /Z$/);
  assert.match(updated_at, /Z$/);
  assert.deepEqual(member, { member_id: bob, image_id: id, status: 'pending', schema: '/v2/schemas/member' });
  assert.equal((await api.call(`alice POST /images/${id}/members`, { member: bob })).status, 409);

  assert.equal((await api.call(`bob GET /images/${id}`)).status, 200, 'who it is offered to may look at it');
  assert.equal((await api.call(`bob GET /images/${id}/file`)).status, 200);
  assert.equal((await api.call(`bob DELETE /images/${id}`)).status, 403);
  const listed = async () =>
    (await api.call('bob GET /images')).body.images.some((image: { id: string }) => image.id === id);
  assert.equal(await listed(), false, 'but it is not in the list before it is accepted');

  assert.equal(
    (await api.call(`alice PUT /images/${id}/members/${bob}`, { status: 'accepted' })).status,
    403,
    'the owner does not answer',
  );
  for (const status of ['accepted', 'rejected', 'pending', 'accepted']) {
    const answer = await api.call(`bob PUT /images/${id}/members/${bob}`, { status });
    assert.deepEqual([answer.status, answer.body.status], [200, status]);
  }
  assert.equal(await listed(), true);
  assert.equal((await api.call(`bob GET /images/${id}/members/${bob}`)).body.status, 'accepted');

  assert.equal(
    (await api.call(`bob DELETE /images/${id}/members/${bob}`)).status,
    403,
    'the member does not take itself out',
  );
  assert.equal((await api.call(`alice DELETE /images/${id}/members/${bob}`)).status, 204);
  assert.equal((await api.call(`alice DELETE /images/${id}/members/${bob}`)).status, 404);
  assert.equal((await api.call(`bob GET /images/${id}`)).status, 404);
});

test('the owner sees all members, a member only itself', async () => {
  const id = await api.create('alice');
  const other = newId();
  await api.call(`alice POST /images/${id}/members`, { member: bob });
  await api.call(`alice POST /images/${id}/members`, { member: other });
  const members = async (who: string) =>
    (await api.call(`${who} GET /images/${id}/members`)).body.members.map(
      (member: { member_id: string }) => member.member_id,
    );
  assert.deepEqual((await members('alice')).sort(), [bob, other].sort());
  assert.deepEqual(await members('bob'), [bob]);
  assert.equal((await api.call(`alice GET /images/${id}/members/${other}`)).status, 200);
  assert.equal((await api.call(`bob GET /images/${id}/members/${other}`)).status, 404);
  assert.equal((await api.call(`bob PUT /images/${id}/members/${other}`, { status: 'accepted' })).status, 404);
  assert.equal(
    (await api.call(`bob POST /images/${id}/members`, { member: newId() })).status,
    403,
    'a member shares no further',
  );
});

test('only shared images have members, and a member is a project', async () => {
  const id = await api.create('alice', { visibility: 'private' });
  assert.equal((await api.call(`alice POST /images/${id}/members`, { member: bob })).status, 403);
  assert.equal((await api.call(`alice GET /images/${id}/members`)).status, 403);
  assert.equal((await api.call(`alice GET /images/${id}/members/${bob}`)).status, 404);
  const shared = await api.create('alice');
  for (const body of [{}, { member: '' }, { member: 5 }, { member: 'x' }, [], 'null', { member: 'nul \0' }]) {
    const answer = await api.call(`alice POST /images/${shared}/members`, body, { 'content-type': 'application/json' });
    assert.equal(answer.status, 400, JSON.stringify(body));
  }
  await api.call(`alice POST /images/${shared}/members`, { member: bob });
  for (const body of [{}, { status: 'perhaps' }, { status: 5 }]) {
    assert.equal((await api.call(`bob PUT /images/${shared}/members/${bob}`, body)).status, 400);
  }
  for (const method of ['GET', 'DELETE']) {
    assert.equal((await api.call(`alice ${method} /images/${shared}/members/no-uuid`)).status, 404);
  }
});

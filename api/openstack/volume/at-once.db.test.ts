/** Two requests at the same moment, of which each is right alone: one of them is refused, and as if it had come later. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
before(() => testPool(api.db.database));

const call = (method: string, path: string, body?: unknown, caller = admin) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version: 'latest' });
const newType = async () => (await call('POST', '/types', { volume_type: { name: newId() } })).body.volume_type.id;
const newGroupType = async () =>
  (await call('POST', '/group_types', { group_type: { name: newId() } })).body.group_type.id;

/** Whichever of them is sent first. @returns the statuses in the order of the requests */
async function atOnce(round: number, ...requests: (() => ReturnType<typeof call>)[]): Promise<number[]> {
  const turned = round % 2 === 0 ? requests : requests.toReversed();
  const answers = await Promise.all(turned.map((request) => request()));
  const statuses = answers.map(({ status }) => status);
  return round % 2 === 0 ? statuses : statuses.toReversed();
}
const rounds = 4;

/** The host does what it is told, and the controllers look at that. */
async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(api.db.database.query);
  await lookAtIncomplete(api.db.database);
}

test('a type that is deleted while a volume goes over to it is not found, or is in use', async () => {
  for (let round = 0; round < rounds; round++) {
    const type = await newType();
    const { volume } = (await call('POST', '/volumes', { volume: { size: 1 } }, member)).body;
    await obey();
    const retype = { 'os-retype': { new_type: type, migration_policy: 'never' } };
    const statuses = await atOnce(
      round,
      () => call('POST', `/volumes/${volume.id}/action`, retype, member),
      () => call('DELETE', `/types/${type}`),
    );
    // Retype finds what its body names to be wrong, not missing.
    assert.ok(['400 202', '202 400'].includes(statuses.join(' ')), statuses.join(' '));
  }
});

test('a type of groups is deleted when no group has it, and none is made of it then', async () => {
  const type = await newType();
  for (let round = 0; round < rounds; round++) {
    const group_type = await newGroupType();
    const group = { group: { group_type, volume_types: [type] } };
    const statuses = await atOnce(
      round,
      () => call('POST', '/groups', group, member),
      () => call('DELETE', `/group_types/${group_type}`),
    );
    assert.ok(['404 202', '202 400'].includes(statuses.join(' ')), statuses.join(' '));
  }
  const group_type = await newGroupType();
  assert.equal((await call('POST', '/groups', { group: { group_type, volume_types: [type] } }, member)).status, 202);
  const refused = await call('DELETE', `/group_types/${group_type}`);
  assert.deepEqual([refused.status, refused.body.badRequest?.message], [400, 'Target group type is still in use.']);
});

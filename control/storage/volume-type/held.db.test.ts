/** A volume is as its type says when the volume is made, and a type is changed only while no volume has it: of two at once the second sees the first. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { betweenReadAndWrite } from '../../kit/database/test-between.ts';
import { testDatabase } from '../../kit/database/testing.ts';
import { volumeCloud } from '../volume/testing.ts';
import { VolumeTypeService } from './service.ts';

const own = await testDatabase();
const between = await betweenReadAndWrite(own);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const cloud = await volumeCloud(own.database);
const types = new VolumeTypeService({ database: own.database });
const small = { 'provisioning:max_vol_size': '1' };

const newType = (name: string) =>
  types.create(cloud.admin, { name, description: '', public: true, extraSpecs: {} }).then(({ id }) => id);

test('a volume that is made while its type is being changed is as the type is then', async () => {
  const type = await newType('changing');
  const outcomes = await between.run(
    'volume_type',
    () => types.editExtraSpecs(cloud.admin, type, () => small),
    () => cloud.volumes.create(cloud.member, cloud.wish({ type, sizeGib: 2 })),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a volume that gets a type while that is being changed is as the type is then', async () => {
  const type = await newType('changing too');
  const { id } = await cloud.made({ sizeGib: 2 });
  const outcomes = await between.run(
    'volume_type',
    () => types.editExtraSpecs(cloud.admin, type, () => small),
    () => cloud.volumes.retype(cloud.member, id, { type, policy: 'never' }),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a type is not changed under a volume that is being made', async () => {
  const type = await newType('taken');
  const outcomes = await between.run(
    'volume',
    () => cloud.volumes.create(cloud.member, cloud.wish({ type, sizeGib: 2 })),
    () => types.editExtraSpecs(cloud.admin, type, () => small),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

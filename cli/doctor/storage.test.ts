import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkStorage } from './storage.ts';

type Health = Parameters<typeof checkStorage>[0];
type Pool = NonNullable<Health['facts']['pools']>[number];

const layers = { count: 0, encrypted: 0, busy: [], quarantined: [], unclaimed: [] } as unknown as Health['layers'];
const pool = (given: Partial<Pool>) => {
  const pools = [{ name: 'quick', tier: 'flash', totalBytes: 2 ** 30, freeBytes: 2 ** 28, problem: null, ...given }];
  return checkStorage({ facts: { pools } as unknown as Health['facts'], layers })[0]!;
};

test('a full pool is told with what is left and how room is made, not that its device is away', () => {
  const { status, detail, cure } = pool({ problem: 'it is full' });
  assert.equal(status, 'problem');
  assert.match(detail, /it is full \(flash, 0\.3 GiB of 1\.0 GiB free\).* stand still/);
  assert.match(cure, /delete volumes.* go on by themselves/);
  assert.doesNotMatch(cure, /device|bothy\.conf/);
});

test('a pool whose place is gone is mended where it was declared: by API, or in the settings', () => {
  const gone = { problem: 'there is no directory /srv/quick' };
  assert.match(pool({ ...gone, declared: true }).cure, /mount .* by API: PUT or DELETE \/native\/v1\/storage-pools/);
  assert.match(pool(gone).cure, /mount .* storage_pools in bothy\.conf/);
});

test('an object disk that can not be used is told with why, and one with damaged files with how many', () => {
  const disk = { name: 'a', path: '/srv/a', totalBytes: 2 ** 40, freeBytes: 2 ** 39, problem: null };
  const check = (given: object) =>
    checkStorage({ facts: { objectDisks: [{ ...disk, ...given }] } as unknown as Health['facts'], layers }).filter(
      ({ check: name }) => name.startsWith('object disk'),
    );
  assert.deepEqual(
    check({}).map(({ status }) => status),
    ['ok'],
  );
  assert.match(check({ problem: 'it is full' })[0]!.detail, /nothing is written there: it is full/);
  const [, contents] = check({ faults: 3 });
  assert.equal(contents!.status, 'problem');
  assert.match(contents!.detail, /3 files/);
});

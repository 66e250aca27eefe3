import assert from 'node:assert/strict';
import { test } from 'node:test';
import { qosLimits } from './limits.ts';

const none = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
const of = (specs: Record<string, string>, sizeGib = 10) => qosLimits({ consumer: 'front-end', specs }, sizeGib);

test('front-end specs limit a disk, those of a back end and none do not', () => {
  assert.deepEqual(of({ total_iops_sec: '100', read_bytes_sec: '1048576' }), { ...none, iops: 100, bps_rd: 1048576 });
  assert.deepEqual(qosLimits({ consumer: 'both', specs: { write_iops_sec: '5' } }, 1), { ...none, iops_wr: 5 });
  assert.equal(qosLimits({ consumer: 'back-end', specs: { total_iops_sec: '100' } }, 1), undefined);
  assert.equal(qosLimits(null, 1), undefined);
  assert.equal(of({ color: 'red', total_iops_sec: '0' }), undefined);
});

test('a limit per GiB grows with the volume between its least and its most, and counts instead of a fixed one', () => {
  const specs = {
    total_iops_sec_per_gb: '30',
    total_iops_sec_per_gb_min: '100',
    total_iops_sec_max: '1000',
    total_iops_sec: '7',
  };
  assert.deepEqual(
    [1, 10, 100].map((size) => of(specs, size)?.iops),
    [100, 300, 1000],
  );
});

test('a total counts where one direction is limited too: QEMU takes no both', () => {
  assert.deepEqual(of({ total_bytes_sec: '9', read_bytes_sec: '5', write_iops_sec: '3' }), {
    ...none,
    bps: 9,
    iops_wr: 3,
  });
});

test('a burst is what may pass after a quiet time; alone, or below its rate, it is the rate', () => {
  assert.deepEqual(
    of({ total_iops_sec: '100', total_iops_sec_max: '500', write_bytes_sec: '7', write_bytes_sec_max: '9' }),
    {
      ...none,
      ...{ iops: 100, iops_max: 500, bps_wr: 7, bps_wr_max: 9 },
    },
  );
  assert.deepEqual(of({ read_iops_sec_max: '500' }), { ...none, iops_rd: 500 });
  assert.deepEqual(of({ read_iops_sec: '500', read_iops_sec_max: '100' }), { ...none, iops_rd: 100 });
  assert.deepEqual(of({ total_iops_sec_max: '500', read_iops_sec: '3' }), { ...none, iops: 500 }, 'a total counts');
  assert.equal(of({ total_iops_sec_max: '0' }), undefined);
});

test('a size of operations counts where their rate is limited, else QEMU takes none', () => {
  assert.deepEqual(of({ write_iops_sec: '3', size_iops_sec: '4096' }), { ...none, iops_wr: 3, iops_size: 4096 });
  assert.deepEqual(of({ total_bytes_sec: '3', size_iops_sec: '4096' }), { ...none, bps: 3 });
  assert.equal(of({ size_iops_sec: '4096' }), undefined);
});

test('no limit is larger than what QEMU counts to', () => {
  assert.equal(of({ total_bytes_sec_per_gb: '999999999999999' }, 100)?.bps, 1e15);
});

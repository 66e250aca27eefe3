import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import { applyVolumes, type KnownAttachment } from './observed.ts';

const row = (over: Partial<KnownAttachment> = {}): KnownAttachment => ({
  ...{ id: 'attachment', volume_id: 'volume', desired_presence: 'present', server_generation: 5, observed_state: null },
  ...{ observed_layer_id: null, observed_size_bytes: null, observed_full: false, attached: false },
  ...{ observed_copy_id: null, observed_copy: null, ...over },
});
const applied = (
  row: KnownAttachment,
  report: Parameters<typeof applyVolumes>[1],
  generation = 5,
  state: Parameters<typeof applyVolumes>[2]['state'] = 'running',
) => applyVolumes([row], report, { generation, state });
const has = { id: 'volume' as VolumeId, layerId: 'layer' as LayerId, sizeBytes: 7, state: 'attached' } as const;
const roomy = { observed_full: false, fills: false, holds: false, observed_copy_id: null, observed_copy: null };
const seen = { observed_state: 'attached', observed_layer_id: 'layer', observed_size_bytes: 7 } as const;

test('a volume is attached once its guest has it, whatever generation the host has served', () => {
  const [change] = applied(row(), { generation: 4, state: 'building', volumes: [has] });
  assert.deepEqual(change, { id: 'attachment', gone: false, attached: true, ...seen, ...roomy });
});

test('what its host says of its second copy is news, until it says nothing of it', () => {
  const copy = { volumeId: 'volume' as VolumeId, id: 'copy' as LayerId, state: 'ready', error: null } as const;
  const known = row({ attached: true, ...seen });
  const [ready] = applied(known, { generation: 5, state: 'running', volumes: [has], copies: [copy] });
  assert.deepEqual([ready?.observed_copy_id, ready?.observed_copy?.state], ['copy', 'ready']);
  const told = row({
    attached: true,
    ...seen,
    observed_copy_id: 'copy',
    observed_copy: { state: 'ready', error: null },
  });
  assert.deepEqual(applied(told, { generation: 5, state: 'running', volumes: [has], copies: [copy] }), []);
  const [none] = applied(told, { generation: 5, state: 'running', volumes: [has] });
  assert.deepEqual([none?.observed_copy_id, none?.observed_copy], [null, null]);
});

test('that a guest stands still for want of room is news once, and that it goes on', () => {
  const known = row({ attached: true, ...seen });
  const full = { ...has, full: true };
  const [first] = applied(known, { generation: 5, state: 'building', volumes: [full] });
  assert.deepEqual([first?.observed_full, first?.fills], [true, true]);
  assert.deepEqual(
    applied({ ...known, observed_full: true }, { generation: 5, state: 'building', volumes: [full] }),
    [],
  );
  const [last] = applied({ ...known, observed_full: true }, { generation: 5, state: 'running', volumes: [has] });
  assert.deepEqual([last?.observed_full, last?.fills], [false, false]);
});

test('a guest that is off has its volumes as soon as its host has heard of them', () => {
  assert.deepEqual(applied(row(), { generation: 4, state: 'stopped' }), []);
  assert.equal(applied(row(), { generation: 5, state: 'stopped' })[0]?.attached, true);
  assert.deepEqual(applied(row(), { generation: 5, state: 'running', volumes: [] }), []);
});

test('a volume is free when the host that was told so says that nobody has it, and not before', () => {
  const leaving = row({ desired_presence: 'absent', attached: true, ...seen });
  const gone = (report: Parameters<typeof applyVolumes>[1]) => applied(leaving, report).some((change) => change.gone);
  assert.equal(gone({ generation: 4, state: 'running', volumes: [] }), false, 'it may plug it yet');
  assert.equal(gone({ generation: 5, state: 'running', volumes: [has] }), false);
  assert.equal(gone({ generation: 5, state: 'running', volumes: [{ ...has, state: 'releasing' }] }), false);
  assert.equal(gone({ generation: 5, state: 'running', volumes: [] }), true);
  assert.equal(gone({ generation: 6, state: 'stopped' }), true);
});

test('that a guest does not let go of a volume is news once its host waits no longer, and once', () => {
  const leaving = row({ desired_presence: 'absent', attached: true, ...seen, observed_state: 'releasing' });
  const volumes: Parameters<typeof applied>[1]['volumes'] = [{ ...has, state: 'releasing' }];
  const report = { generation: 5, state: 'running' as const, volumes };
  const holds = (...asked: Parameters<typeof applied>) => applied(...asked).map((change) => change.holds);
  assert.deepEqual(holds(leaving, { ...report, state: 'building' }, 5, 'building'), [], 'its host still waits');
  assert.deepEqual(holds(leaving, { ...report, generation: 4 }, 4), [], 'it has not heard of it');
  assert.deepEqual(holds(leaving, report, 5, 'building'), [true]);
  assert.deepEqual(holds(leaving, report, 4, 'running'), [true], 'of what was between it said nothing');
  assert.deepEqual(holds(leaving, report, 5, 'running'), []);
  assert.deepEqual(holds(leaving, { ...report, state: 'suspended' }, 5, 'building'), [], 'no guest was asked');
  assert.deepEqual(holds({ ...leaving, desired_presence: 'present' }, report, 5, 'building'), []);
});

test('what is known already changes nothing', () => {
  const known = row({ attached: true, ...seen });
  assert.deepEqual(applied(known, { generation: 5, state: 'running', volumes: [has] }), []);
});

test('a host that has heard of what the attachment shall be is news once, though its guest has what it had', () => {
  const known = row({ attached: true, ...seen });
  const report = { generation: 5, state: 'running' as const, volumes: [has] };
  assert.equal(applied(known, { ...report, generation: 4 }, 3).length, 0);
  assert.deepEqual(applied(known, report, 4), [{ id: 'attachment', gone: false, attached: true, ...seen, ...roomy }]);
  assert.equal(applied(known, { ...report, generation: 6 }, 5).length, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObservedLayer } from '../../../contract/host/index.ts';
import { type BackupId, type ImageId, type LayerId, newId } from '../../../contract/ids.ts';
import { applyReport, type ReportedLayer } from './apply-report.ts';

const [id, hostId, below] = [newId<LayerId>(), newId(), newId()];
const row = (over: Partial<ReportedLayer> = {}): ReportedLayer => ({
  ...{ id, host_id: hostId, epoch: 1, generation: 3, parent_id: null, former_parent_id: null },
  desired_presence: 'present',
  ...{ desired_source: null, desired_captures: [], desired_backups: [], observed_epoch: 1, observed_generation: 2 },
  ...{ observed_state: 'ready', observed_size_bytes: 100, observed_allocated_bytes: 10, observed_step: null },
  ...{
    sinks: false,
    observed_full: false,
    observed_written: null,
    observed_error: null,
    observed_captures: [],
    observed_backups: [],
  },
  observed_export: null,
  observed_receiver: null,
  ...over,
});
const report = (over: Partial<ObservedLayer> = {}): ObservedLayer => ({
  ...{ id, epoch: 1, generation: 3, state: 'ready', sizeBytes: 100, allocatedBytes: 10, step: null, error: null },
  ...over,
});
const recorded = (before: ReportedLayer, said: ObservedLayer) => {
  const outcome = applyReport(before, hostId, said);
  assert.equal(outcome.kind, 'recorded');
  return outcome as typeof outcome & { kind: 'recorded' };
};

for (const [reason, over, from] of [
  ['not the owner', {}, newId()],
  ['other epoch', { epoch: 2 }, hostId],
  ['older generation', { generation: 1 }, hostId],
  ['generation from the future', { generation: 4 }, hostId],
] as const) {
  test(`a word that does not count changes nothing: ${reason}`, () => {
    assert.deepEqual(applyReport(row(), from, report(over)), { kind: 'ignored', reason });
  });
}

test('what is said again is no change; how far it is and how much it takes wakes nobody', () => {
  const known = row({ observed_generation: 3 });
  assert.equal(applyReport(known, hostId, report()).kind, 'unchanged');
  assert.equal(recorded(known, report({ allocatedBytes: 11, step: 'copying, 3 of 4' })).news, false);
  assert.equal(recorded(known, report({ sizeBytes: 200 })).news, true);
  assert.equal(recorded(row(), report()).news, true);
});

test('that its host has begun wakes nobody, what has come of it or is in the way does', () => {
  const made = row({ observed_state: 'none', observed_generation: 0, observed_size_bytes: 0 });
  const begun = report({ state: 'building', sizeBytes: 0, step: 'making the layer' });
  assert.equal(recorded(made, begun).news, false);
  assert.equal(recorded(made, { ...begun, error: { code: 'pool_gone', message: 'x' } }).news, true);
  assert.equal(recorded(row(), report({ state: 'building', sizeBytes: 200 })).news, true);
  assert.equal(recorded(made, report()).news, true);
});

test('a long text of a host is cut where no character is halved: the database would not take its half', () => {
  const message = `${'x'.repeat(498)}🏔 and more`;
  const { observed_error, observed_step } = recorded(
    row(),
    report({ error: { code: 'io', message }, step: message }),
  ).patch;
  for (const text of [observed_error?.message, observed_step]) {
    assert.deepEqual([text?.isWellFormed(), text?.length, text?.at(-1)], [true, 500, '…']);
  }
});

test('a layer that shall not be is gone with its host’s word, of whichever generation', () => {
  const absent = row({ desired_presence: 'absent' });
  assert.equal(applyReport(absent, hostId, report({ state: 'absent', generation: 1 })).kind, 'gone');
  assert.equal(applyReport(absent, newId(), report({ state: 'absent' })).kind, 'ignored');
  assert.equal(applyReport(absent, hostId, report({ state: 'absent', generation: 9 })).kind, 'ignored');
  assert.equal(recorded(row(), report({ state: 'absent' })).patch.observed_state, 'absent', 'one that is lost is told');
});

test('once the file builds on what it shall, what it built on before is left, and its backup needed no more', () => {
  const source = { backup_id: newId(), name: 'a', sha256: null };
  const moving = row({ former_parent_id: below, desired_source: source });
  const building = recorded(moving, report({ state: 'building' })).patch;
  assert.deepEqual([building.former_parent_id, building.desired_source], [below, source]);
  const older = recorded(moving, report({ generation: 2, sizeBytes: 1 })).patch;
  assert.equal(older.former_parent_id, below, 'ready as of an older document says nothing of this one');
  const done = recorded(moving, report()).patch;
  assert.deepEqual([done.former_parent_id, done.desired_source, done.generation], [null, null, 3]);
});

test('a layer that its host could not make to build on another builds on what it did, and has not failed at anything', () => {
  const moving = row({ parent_id: newId(), former_parent_id: below });
  const error = { code: 'no_space', message: 'the pool is full' };
  const { patch } = recorded(moving, report({ state: 'failed', error }));
  assert.deepEqual([patch.parent_id, patch.former_parent_id, patch.generation], [below, null, 4]);
  assert.equal(patch.observed_generation, 3, 'nothing of the new generation is known yet');
  const going = recorded({ ...moving, desired_presence: 'absent' }, report({ state: 'failed', error })).patch;
  assert.equal(going.former_parent_id, below);
});

test('outcomes of what is wanted are kept until somebody takes note; of what is not wanted nobody hears', () => {
  const [imageId, other, backupId] = [newId<ImageId>(), newId<ImageId>(), newId<BackupId>()];
  const wanting = row({
    observed_generation: 3,
    desired_captures: [{ image_id: imageId, format: 'raw' }],
    desired_backups: [{ id: backupId, name: 'b', parent_name: null }],
  });
  const result = { sizeBytes: 5, virtualSizeBytes: 10 };
  const error = { code: 'internal', message: 'x'.repeat(600) };
  const said = report({
    captures: [imageId, other].map((each) => ({ imageId: each, result, error: null })),
    backups: [{ id: backupId, result: null, error }],
  });
  const { patch, news } = recorded(wanting, said);
  assert.equal(news, true);
  assert.deepEqual(patch.observed_captures, [{ image_id: imageId, result, error: null }]);
  assert.equal(patch.observed_backups[0]!.error!.message.length, 500);
  const after = { ...wanting, observed_captures: patch.observed_captures, observed_backups: patch.observed_backups };
  assert.equal(applyReport(after, hostId, report()).kind, 'unchanged');
});

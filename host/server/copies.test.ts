import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { type LayerId, newId, type VolumeId } from '../../contract/ids.ts';
import {
  type CopyJob,
  copiesToLeave,
  copyToDrop,
  forgetMirrors,
  judgeCopy,
  type ObservedCopy,
  observedCopies,
  stallMs,
} from './copies.ts';
import type { ServerRecord, VolumeRecord } from './record.ts';

const volumeId = newId<VolumeId>();
const copyId = newId<LayerId>();
const job = (over: Partial<CopyJob> = {}): CopyJob => ({
  ...{ status: 'ready', offset: 4096, len: 4096, 'io-status': 'ok' },
  ...over,
});
const record = (copy?: { id: LayerId }): VolumeRecord => ({
  ...{ id: volumeId, slot: 0, readOnly: false, layerId: newId<LayerId>(), sizeBytes: 1, tops: [], limits: null },
  ...{ plugged: true, ...(copy && { copy: { ...copy, address: '::1', port: 1 } }) },
});
const server = (...volumes: VolumeRecord[]) => ({ volumes }) as unknown as ServerRecord;
const wanted = (copy?: { id: LayerId; inSync: boolean }) =>
  ({
    volumes: [{ id: volumeId, ...(copy && { copy: { ...copy, address: '::1', port: 1, key: '' } }) }],
  }) as unknown as DesiredServer;

test('a mirror that is equal is ready, also with a write in flight, for as long as that may take', () => {
  assert.equal(judgeCopy(job(), undefined, 0).verdict.state, 'ready');
  const { verdict, progress } = judgeCopy(job({ len: 8192 }), undefined, 1000);
  assert.equal(verdict.state, 'ready');
  assert.equal(judgeCopy(job({ len: 8192 }), progress, 999 + stallMs.ready).verdict.state, 'ready');
  const stalled = judgeCopy(job({ len: 8192 }), progress, 1000 + stallMs.ready).verdict;
  assert.deepEqual([stalled.state, stalled.error?.code], ['lost', 'copy_stalled']);
});

test('one that comes further is not stalled, and one without writes never is', () => {
  const first = judgeCopy(job({ len: 8192 }), undefined, 0).progress;
  assert.equal(judgeCopy(job({ offset: 8192, len: 9000 }), first, stallMs.ready).verdict.state, 'ready');
  assert.equal(judgeCopy(job(), { offset: 4096, atMs: 0 }, 100 * stallMs.ready).verdict.state, 'ready');
});

test('a mirror that had an error, has ended or is gone can not be vouched for', () => {
  for (const each of [job({ 'io-status': 'nospace' }), job({ status: 'concluded' }), job({ error: 'EIO' }), undefined])
    assert.deepEqual(judgeCopy(each, undefined, 0).verdict.error?.code, 'copy_failed');
});

test('a QEMU that begins leaves each copy that may be in sync first', () => {
  assert.deepEqual(copiesToLeave(wanted({ id: copyId, inSync: true }), undefined), [copyId]);
  // Control may have written down by now what this host said of it.
  assert.deepEqual(copiesToLeave(wanted({ id: copyId, inSync: false }), server(record({ id: copyId }))), [copyId]);
  assert.deepEqual(copiesToLeave(wanted({ id: copyId, inSync: false }), server(record())), []);
  assert.deepEqual(copiesToLeave(wanted(), server(record({ id: copyId }))), []);
});

test('a mirror stays until its document names its copy no more', () => {
  const known = record({ id: copyId });
  assert.equal(copyToDrop(wanted({ id: copyId, inSync: true }), [known]), undefined);
  assert.equal(copyToDrop(wanted(), [known]), known);
  assert.equal(copyToDrop(wanted({ id: newId<LayerId>(), inSync: false }), [known]), known);
  assert.equal(copyToDrop({ volumes: [] }, [known]), known);
});

test('what is said of a copy is what was seen of its mirror, and a copy without one that is called in sync is lost', () => {
  const said = (copy: { id: LayerId; inSync: boolean }, known: VolumeRecord, left: LayerId[] = [], guest = true) =>
    observedCopies(wanted(copy), {
      ...{ record: server(known), guest, left: new Set(left) },
      seen: new Map([[volumeId, { state: 'ready', error: null }]]),
    }).map(({ id, state, error }) => [id, state, error?.code ?? null]);
  assert.deepEqual(said({ id: copyId, inSync: true }, record({ id: copyId })), [[copyId, 'ready', null]]);
  assert.deepEqual(said({ id: copyId, inSync: true }, record()), [[copyId, 'lost', 'copy_failed']]);
  assert.deepEqual(said({ id: copyId, inSync: false }, record()), []);
  assert.deepEqual(said({ id: copyId, inSync: true }, record(), [copyId], false), [[copyId, 'lost', null]]);
  assert.deepEqual(said({ id: copyId, inSync: true }, record(), [], false), []);
});

test('that a write is not in a copy is said until the copy is given up, also when the QEMU that said so has ended', () => {
  const lost = { state: 'lost', error: { code: 'copy_failed', message: 'No space left on device' } } as const;
  const other = newId<VolumeId>();
  const known = {
    seen: new Map<VolumeId, Pick<ObservedCopy, 'state' | 'error'>>([
      [volumeId, lost],
      [other, { state: 'ready', error: null }],
    ]),
    progress: new Map([[volumeId, { offset: 1, atMs: 1 }]]),
    left: new Set<LayerId>(),
  };
  forgetMirrors(known);
  assert.deepEqual([[...known.seen.keys()], known.progress.size], [[volumeId], 0]);
  const said = (left: LayerId[], of = copyId) =>
    observedCopies(wanted({ id: copyId, inSync: true }), {
      ...{ record: server(record({ id: of })), guest: false, seen: known.seen, left: new Set(left) },
    });
  assert.deepEqual(said([]), [{ volumeId, id: copyId, ...lost }]);
  assert.deepEqual(said([copyId]), [{ volumeId, id: copyId, ...lost }], 'also where the next QEMU is to begin');
  assert.deepEqual(said([], newId<LayerId>()), [], 'nothing of another copy');
});

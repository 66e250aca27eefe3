/**
 * Second copies of a guest's volumes (`copy` of contract/host/server.ts): what is next for one, what is said of it, and whether it can be vouched for. Pure.
 *
 * One rule holds it all: while the document names a copy that may be in sync, nobody writes to the volume without it. So a QEMU that begins, or goes on after the lease had ended, first asks control to
 * give the copy up (`leave`); a mirror is taken away only when the document names its copy no more (`drop`); and one that can not be vouched for is told as `lost`, while its guest waits.
 */
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../contract/ids.ts';
import type { ServerRecord, VolumeRecord } from './record.ts';

export type ObservedCopy = NonNullable<ObservedServer['copies']>[number];

/** What a QEMU says of the mirror to a copy. */
export interface CopyJob {
  status: string;
  offset: number;
  len: number;
  'io-status': string;
  error?: string;
}

/** How far a mirror had come, and when that was first seen. */
export interface CopyProgress {
  offset: number;
  atMs: number;
}

/** Writes that have not got through for so long do not get through: the guest waits for them. */
export const stallMs = { ready: 8_000, copying: 30_000 };

type Verdict = Pick<ObservedCopy, 'state' | 'error'>;
const lost = (code: 'copy_failed' | 'copy_stalled', message: string): Verdict => ({
  ...{ state: 'lost', error: { code, message } },
});

/**
 * @param job undefined: QEMU has none
 * @returns what is said of it, and what is to be remembered until the next look
 */
export function judgeCopy(
  job: CopyJob | undefined,
  before: CopyProgress | undefined,
  nowMs: number,
): { verdict: Verdict; progress: CopyProgress | undefined } {
  if (!job) return { verdict: lost('copy_failed', 'QEMU writes to it no more'), progress: undefined };
  const progress = before?.offset === job.offset ? before : { offset: job.offset, atMs: nowMs };
  if (job.error !== undefined || job['io-status'] !== 'ok' || job.status === 'concluded' || job.status === 'aborting') {
    const why = job.error ?? (job['io-status'] === 'nospace' ? 'No space left on device' : 'Input/output error');
    return { verdict: lost('copy_failed', `QEMU could not write to it: ${why}`), progress };
  }
  const ready = job.status === 'ready' || job.status === 'standby';
  const waits = job.len > job.offset || !ready;
  const limitMs = ready ? stallMs.ready : stallMs.copying;
  // What QEMU counts as to be done is in flight: the guest is told of none of it before it is there.
  if (!waits) return { verdict: { state: 'ready', error: null }, progress: { offset: job.offset, atMs: nowMs } };
  if (nowMs - progress.atMs >= limitMs) {
    const message = `what was written has not got there for ${Math.round(limitMs / 1000)} s`;
    return { verdict: lost('copy_stalled', message), progress };
  }
  return { verdict: { state: ready ? 'ready' : 'copying', error: null }, progress };
}

/** So often it is asked whether what a guest writes reaches second copies: nobody tells how mirrors fare. */
export const watchCopiesMs = 1000;
export const hasCopies = (record: ServerRecord | undefined): boolean =>
  record?.volumes?.some(({ copy }) => copy) === true;

type Wanted = Pick<DesiredServer, 'volumes'>;

/** Copies that control has to give up before a QEMU begins, or goes on, without anybody having looked after them. */
export function copiesToLeave({ volumes = [] }: Wanted, record: ServerRecord | undefined): LayerId[] {
  return volumes.flatMap(({ id, copy }) => {
    const known = record?.volumes?.find((volume) => volume.id === id)?.copy;
    return copy && (copy.inSync || known?.id === copy.id) ? [copy.id] : [];
  });
}

/** One whose document names its copy no more, or another one. */
export function copyToDrop({ volumes = [] }: Wanted, records: readonly VolumeRecord[]): VolumeRecord | undefined {
  return records.find(({ id, copy }) => copy && volumes.find((volume) => volume.id === id)?.copy?.id !== copy.id);
}

/** What this process knows of them. */
export interface KnownCopies {
  /** What was seen of mirrors last, and how far each had come. */
  seen: Map<VolumeId, Verdict>;
  progress: Map<VolumeId, CopyProgress>;
  /** Those that control was asked to give up. */
  left: Set<LayerId>;
}

/** Their QEMU has ended. That a copy can not be vouched for stays so, and may not have been said yet: what was not written there is not there. */
export function forgetMirrors({ seen, progress }: KnownCopies): void {
  progress.clear();
  for (const [id, { state }] of seen) if (state !== 'lost') seen.delete(id);
}

interface Known extends Pick<KnownCopies, 'seen' | 'left'> {
  record: ServerRecord | undefined;
  /** QEMU runs. */
  guest: boolean;
}

export function observedCopies({ volumes = [] }: Wanted, { record, guest, seen, left }: Known): ObservedCopy[] {
  return volumes.flatMap(({ id: volumeId, copy }): ObservedCopy[] => {
    if (!copy) return [];
    const say = (verdict: Verdict) => [{ volumeId, id: copy.id, ...verdict }];
    const known = record?.volumes?.find((volume) => volume.id === volumeId);
    const mirrored = known?.copy?.id === copy.id ? (seen.get(volumeId) ?? null) : undefined;
    if (mirrored?.state === 'lost') return say(mirrored);
    if (left.has(copy.id)) return say({ state: 'lost', error: null });
    if (!guest) return [];
    if (mirrored !== undefined) return say(mirrored ?? { state: 'copying', error: null });
    return copy.inSync && known?.plugged ? say(lost('copy_failed', 'QEMU does not write to it')) : [];
  });
}

/** The end of an image that was to be made of a server's disk: by its host's word, or without it. In the caller's transaction. */
import { sql } from 'kysely';
import type { ImageId, ServerId } from '../../../contract/ids.ts';
import { failCapture, finishCapture, rotateBackups } from '../../image/index.ts';
import type { Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import type { CaptureOutcome, ReportFailure } from './apply-report.ts';
import type { ServerCapture } from './states.ts';

/** @returns why there is no image, where there is none */
export async function endCapture(
  tx: Tx,
  serverId: ServerId,
  capture: ServerCapture,
  { result, error }: CaptureOutcome,
): Promise<ReportFailure | null> {
  const id = capture.image_id as ImageId;
  if (!result) {
    await failCapture(tx, id);
    return error ?? { code: 'internal', message: 'The host could not make the image.' };
  }
  const message = await finishCapture(tx, id, serverId, result);
  if (message !== undefined) return { code: 'conflict', message };
  if (capture.kind === 'backup') {
    await rotateBackups(tx, serverId, { backupType: capture.backup_type ?? '', keep: capture.keep ?? 0 });
  }
  return null;
}

/** The image is wanted no more, or has taken too long; the server goes on as it is. False where that has moved. */
export async function giveUpCapture(
  tx: Tx,
  { id, generation }: { id: string; generation: number },
  message: string,
): Promise<boolean> {
  // One that was being shelved is switched on again if it was: its host has to hear of it.
  const { rows } = await sql<{ image_id: ImageId }>`
    with found as (select id, desired_capture, desired_shelve ->> 'power' as power from server
      where id = ${id} and generation = ${generation} and desired_capture is not null for update)
    update server s set desired_capture = null, desired_shelve = null, desired_power = coalesce(found.power, s.desired_power),
      generation = s.generation + (found.power is not null and found.power <> s.desired_power)::integer, updated_at = now()
    from found where s.id = found.id
    returning found.desired_capture ->> 'image_id' as image_id`.execute(tx);
  if (!rows[0]) return false;
  await failCapture(tx, rows[0].image_id);
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message });
  return true;
}

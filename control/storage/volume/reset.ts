/**
 * Administrators: declare a status, or take that back. Nothing is written that is not so: what is declared is kept as somebody's word
 * (`fault.status`), shown and heeded until another one takes it back; `available` and `in-use` do that, and have the cloud try again what
 * failed. What is shown then is what is.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { endExport } from '../export/index.ts';
import { type ActDependencies, done, onLockedVolume } from './act.ts';
import { type VolumeStatus, volumeStatuses } from './statuses.ts';
import { changeVolume } from './store.ts';
import { faultOf, type ListedVolume, migrationStatus } from './volume.ts';

export interface ResetWish {
  status: string | null;
  attachStatus: string | null;
  /** What came of its last move; `none`: nothing any more. */
  migrationStatus: string | null;
}

/** @throws CloudError `forbidden`, `not_found`; `invalid` for a status that nobody may declare */
export async function resetVolume(deps: ActDependencies, caller: Caller, id: string, wish: ResetWish): Promise<void> {
  await onLockedVolume(deps, caller, id, 'reset a volume’s status', async (tx, volume) => {
    requireAdmin(caller, 'reset a volume’s status');
    const outcome = wish.migrationStatus === null ? undefined : outcomeOf(volume, wish.migrationStatus);
    requireAttachStatus(volume, wish.attachStatus);
    if (outcome !== undefined) await changeVolume(tx, id, { moveOutcome: outcome });
    // Nobody has it, says the administrator: what another machine reserved is free. What a server has its host says.
    if (wish.attachStatus === 'detached') {
      await endExport(tx, volume);
      await sql`delete from volume_attachment a where volume_id = ${id} and server_id is null
        and not exists (select from volume_export x where x.attachment_id = a.id)`.execute(tx);
    }
    const status = wish.status && declared(id, wish.status);
    if (!status) return;
    const truth = status === 'available' || status === 'in-use';
    // Nobody has it; or no pool took it, and there is nothing that could be tried again.
    if ((status === 'in-use' && !volume.attachment) || (truth && volume.layer_id === null)) {
      throw new CloudError('invalid', 'volume_reset_unserved', { id, status });
    }
    const message = `An administrator reset the volume’s status to ${status}.`;
    const fault = truth ? null : faultOf('reset', message, volume.generation, { status });
    await changeVolume(tx, id, { fault });
    // Its host tries again what it gave up.
    if (truth && volume.layer_id !== null) {
      await sql`update volume_layer set generation = generation + 1, updated_at = now()
        where id = ${volume.layer_id} and observed_state = 'failed'`.execute(tx);
    }
    await done(tx, actorOf(caller), volume, 'resetStatus');
    await enqueue(tx, 'volume', id);
  });
}

/** That one has it, where nobody has, would be a lie. @throws CloudError `invalid` */
function requireAttachStatus({ id, attachment }: ListedVolume, status: string | null): void {
  if (status === null || status === 'detached' || (status === 'attached' && attachment)) return;
  throw new CloudError('invalid', 'volume_reset_unserved', { id, status });
}

/** Of one that moves, or would have to, nothing else is said. @throws CloudError `invalid` */
function outcomeOf(volume: ListedVolume, status: string): 'success' | 'error' | null {
  const known = { none: null, success: 'success', error: 'error' } as const;
  if (migrationStatus(volume) !== 'migrating' && Object.hasOwn(known, status))
    return known[status as keyof typeof known];
  throw new CloudError('invalid', 'volume_reset_unserved', { id: volume.id, status });
}

/** Cinder refuses these too: they would be lies, or the beginning of something. */
const refused: ReadonlySet<string> = new Set(['deleting', 'error_deleting', 'detaching']);

function declared(id: string, text: string): VolumeStatus {
  const status = volumeStatuses.find((each) => each === text);
  if (status !== undefined && !refused.has(status)) return status;
  throw new CloudError('invalid', 'volume_reset_unserved', { id, status: text });
}

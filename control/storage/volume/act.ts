/** What all changes of a volume that is there have in common: rights, lock, transaction, operation. */
import type { Logger } from 'pino';
import { actorOf, type Caller, isAdmin, requireProjectMember } from '../../kit/caller.ts';
import type { Actor, Database, Tx } from '../../kit/database/database.ts';
import { beginOperation, recordOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import type { VolumeImages } from './create.ts';
import { lockVolume, reachOf } from './store.ts';
import type { ListedVolume } from './volume.ts';

export interface ActDependencies {
  database: Database;
  images: VolumeImages;
  log: Logger;
}

/** Locks the row, checks rights, works. Hidden volumes are not found; visible ones may be forbidden. */
export function onLockedVolume<T>(
  { database }: Pick<ActDependencies, 'database'>,
  caller: Caller,
  id: string,
  doing: string,
  work: (tx: Tx, volume: ListedVolume) => Promise<T>,
): Promise<T> {
  return database.transaction(actorOf(caller), async (tx) => {
    const volume = await lockVolume(tx, reachOf(caller), id);
    if (!isAdmin(caller)) requireProjectMember(caller, doing);
    return work(tx, volume);
  });
}

/** How long its host may take until the volume shows why it did not. */
const deadlineMs = 10 * 60_000;

/** Something is under way from now on: its operation, and a look at its deadline at the latest. */
export async function begin(
  tx: Tx,
  actor: Actor,
  volume: Pick<ListedVolume, 'id' | 'project_id' | 'host_id'>,
  { verb, generation, waitingFor, limitMs = deadlineMs }: Begun,
): Promise<void> {
  const { id, project_id: projectId, host_id: host } = volume;
  await Promise.all([
    beginOperation(tx, actor, {
      ...{ projectId, resourceType: 'volume', resourceId: id, verb, generation, waitingFor, deadlineMs: limitMs },
      owner: host === null ? 'control' : `host ${host}`,
    }),
    enqueue(tx, 'volume', id, { afterMs: limitMs }),
    enqueue(tx, 'volume', id),
  ]);
}

interface Begun {
  verb: string;
  generation: number;
  waitingFor: string;
  limitMs?: number;
}

/** Something was done at once. */
export const done = (
  tx: Tx,
  actor: Actor,
  volume: Pick<ListedVolume, 'id' | 'project_id' | 'generation'>,
  verb: string,
) =>
  recordOperation(tx, actor, {
    ...{ projectId: volume.project_id, resourceType: 'volume', resourceId: volume.id, verb },
    generation: volume.generation,
  });

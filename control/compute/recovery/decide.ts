/** What becomes of a server that a host has in quarantine, by what the database says of it. Pure. */
import type { DesiredServer } from '../../../contract/host/index.ts';

/** The server's row, where there is one. */
export interface KnownServer {
  host_id: string | null;
  epoch: number;
  generation: number;
  desired_presence: 'present' | 'absent';
  /** Its host has served the newest document. */
  served: boolean;
}

export type Fate =
  /** The row is older than the host's document: it is raised above it. */
  | { fate: 'raise'; presence: 'present' | 'absent' }
  /** There is no row: it is made again. */
  | { fate: 'remake' }
  /** The database says that it is absent here. */
  | { fate: 'end' }
  /** Decided already, and the host has not heard of it yet. */
  | { fate: 'wait' }
  | { fate: 'leave'; reason: string };

export function decideFate(
  { hostId, document, way }: { hostId: string; document: DesiredServer | null; way: 'arriving' | 'left' | null },
  known: KnownServer | undefined,
  /** The absence that this host must hear of, where there is one. */
  absence: { epoch: number; generation: number } | undefined,
): Fate {
  if (!document) {
    if (known?.host_id === hostId) return { fate: 'wait' };
    return { fate: 'leave', reason: 'the host has a disk of it and no document: it can only be discarded' };
  }
  if (way === 'arriving') return fateOfPart(hostId, known);
  if (way === 'left' && (!known || known.host_id === hostId)) {
    // Nobody else may run it, and this host will not: it may have gone on there.
    return {
      fate: 'leave',
      reason: 'all of it had gone to another host, which is not connected or has removed it since',
    };
  }
  if (!known) {
    if (absence) return isAhead(absence, document) ? { fate: 'wait' } : { fate: 'end' };
    return document.presence === 'absent' ? { fate: 'end' } : { fate: 'remake' };
  }
  if (known.host_id === hostId) {
    if (!isAhead(document, known)) return { fate: 'wait' };
    const absent = document.presence === 'absent' || known.desired_presence === 'absent';
    return { fate: 'raise', presence: absent ? 'absent' : 'present' };
  }
  if (document.presence === 'absent') return { fate: 'end' };
  // An epoch has one owner in one history: where two hosts have the same one, ours is of the history that was lost, and was there first.
  if (document.epoch < known.epoch && known.host_id !== null) {
    if (way === 'left') return { fate: known.served ? 'end' : 'wait' };
    const reason = `host ${known.host_id} owns it under epoch ${known.epoch}: this is a copy of epoch ${document.epoch}`;
    return { fate: 'leave', reason };
  }
  return { fate: 'raise', presence: known.desired_presence };
}

/**
 * What came in part is nobody's server. It goes once its owner has it whole by its newest document, which calls the way off: until then the part may become the whole
 * any moment.
 */
function fateOfPart(hostId: string, known: KnownServer | undefined): Fate {
  if (known && known.host_id !== null && known.host_id !== hostId) return { fate: known.served ? 'end' : 'wait' };
  return { fate: 'leave', reason: 'it came here only in part: where it came from must be taken up first' };
}

type Version = { epoch: number; generation: number };
const isAhead = (a: Version, b: Version): boolean =>
  a.epoch > b.epoch || (a.epoch === b.epoch && a.generation > b.generation);

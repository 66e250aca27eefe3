/** What a host says of a server whose document it can't read. Pure. */
import type { DesiredServer, ObservedServer, Unreadable } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';

/**
 * Under the document's own epoch and generation, else under those that are known of the server; undefined where neither is:
 * then there is nothing that control could record. The words are for the server's owner: which field, never what is in it.
 */
export function misreadServer(
  id: ServerId,
  unreadable: Unreadable,
  observed: ObservedServer | undefined,
  known: DesiredServer | undefined,
): ObservedServer | undefined {
  const epoch = unreadable.epoch ?? known?.epoch;
  const generation = unreadable.generation ?? known?.generation;
  if (epoch === undefined || generation === undefined) return observed;
  return {
    id,
    epoch,
    generation,
    state: 'failed',
    rebootCount: observed?.rebootCount ?? 0,
    rescueCount: observed?.rescueCount ?? 0,
    rootCount: observed?.rootCount ?? 0,
    step: null,
    error: {
      code: 'unreadable',
      message: `The host cannot carry out this description of the server: ${unreadable.reason}`.slice(0, 1000),
    },
    startedAt: observed?.startedAt ?? null,
  };
}

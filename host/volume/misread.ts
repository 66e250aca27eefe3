/** What a host says of a layer whose document it can't read. Pure. */
import type { DesiredLayer, ObservedLayer, Unreadable } from '../../contract/host/index.ts';
import type { LayerId } from '../../contract/ids.ts';

/** As ../server/misread.ts: under the document's own epoch and generation, else under those that are known. */
export function misreadLayer(
  id: LayerId,
  unreadable: Unreadable,
  observed: ObservedLayer | undefined,
  known: DesiredLayer | undefined,
): ObservedLayer | undefined {
  const epoch = unreadable.epoch ?? known?.epoch;
  const generation = unreadable.generation ?? known?.generation;
  if (epoch === undefined || generation === undefined) return observed;
  const message = `The host cannot carry out this description of the layer: ${unreadable.reason}`.slice(0, 1000);
  return {
    ...{ id, epoch, generation, state: 'failed' },
    sizeBytes: observed?.sizeBytes ?? 0,
    allocatedBytes: observed?.allocatedBytes ?? 0,
    ...{ step: null, error: { code: 'unreadable', message } },
  };
}

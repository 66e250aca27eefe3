/**
 * What becomes of layers that a host has in quarantine, by what the database says of them, and what of them is a volume's top. Pure.
 *
 * Layers that have to do with each other, because one builds on the other or a volume or its snapshots are of both, are decided together.
 */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';

/** As a host holds it. */
export interface HeldLayer {
  layer_id: LayerId;
  document: DesiredLayer;
}

/** The layer's row, where there is one. */
export interface KnownLayer {
  host_id: string;
  epoch: number;
  generation: number;
  desired_presence: 'present' | 'absent';
}

export type LayerFate =
  /** The row is older than the host's document: it follows it, above its generation. */
  | { fate: 'raise' }
  /** There is no row: it is made again. */
  | { fate: 'remake' }
  /**
   * It shall be absent, and the host has not heard of it; or it went since the database was copied: then the host is asked anew, and says that it
   * has erased it.
   */
  | { fate: 'end' }
  /** Decided already, and the host has not heard of it yet. */
  | { fate: 'wait' }
  | { fate: 'leave'; reason: string };

export function layerFate(hostId: string, document: DesiredLayer, known: KnownLayer | undefined): LayerFate {
  if (!known) return { fate: document.presence === 'absent' ? 'wait' : 'remake' };
  if (known.host_id !== hostId) return { fate: 'leave', reason: `host ${known.host_id} owns it: this is a copy` };
  const { epoch, generation } = document;
  const behind = known.epoch < epoch || (known.epoch === epoch && known.generation <= generation);
  if (!behind) return { fate: 'wait' };
  return { fate: known.desired_presence === 'absent' || document.presence === 'absent' ? 'end' : 'raise' };
}

/** Those that have to do with each other, each group with what others build on first. */
export function groupsOf<Held extends HeldLayer>(layers: readonly Held[]): Held[][] {
  const groupOf = new Map<string, Held[]>();
  const join = (key: string, group: Held[]): Held[] => {
    const other = groupOf.get(key);
    if (!other || other === group) {
      groupOf.set(key, group);
      return group;
    }
    const [large, small] = other.length > group.length ? [other, group] : [group, other];
    for (const held of small) for (const each of linksOf(held)) groupOf.set(each, large);
    groupOf.set(key, large);
    large.push(...small);
    return large;
  };
  for (const held of layers) {
    let group = [held];
    for (const key of linksOf(held)) group = join(key, group);
  }
  return [...new Set(layers.map(({ layer_id }) => groupOf.get(layer_id)!))].map(lowestFirst);
}

function linksOf({ layer_id, document: { volumeId, parentId, record } }: HeldLayer): string[] {
  const volumes = [volumeId, record?.volume?.id, ...(record?.snapshots ?? []).map((snapshot) => snapshot.volumeId)];
  return [layer_id, ...(parentId ? [parentId] : []), ...volumes.flatMap((id) => (id ? [`volume ${id}`] : []))];
}

/** A host whose layers build on themselves has none of ours: those are left out. */
function lowestFirst<Held extends HeldLayer>(group: readonly Held[]): Held[] {
  const byId = new Map(group.map((held) => [held.layer_id, held]));
  const children = new Map<LayerId, Held[]>();
  const next: Held[] = [];
  for (const held of group) {
    const { parentId } = held.document;
    if (parentId === null || !byId.has(parentId)) next.push(held);
    else children.set(parentId, [...(children.get(parentId) ?? []), held]);
  }
  for (const { layer_id } of next) next.push(...(children.get(layer_id) ?? []));
  return next;
}

export interface Top<Held extends HeldLayer> {
  held: Held;
  volumeId: VolumeId;
}

/**
 * The layers that are tops of volumes: of one volume the one that builds on all others that say so, for what covered it may have come here
 * before the word that it is covered. Documents of an older control do not say it: there it is who may still be written to.
 */
export function topsOf<Held extends HeldLayer>(group: readonly Held[]): Top<Held>[] {
  const builtOn = new Set(group.map(({ document }) => document.parentId));
  const tops = new Map<VolumeId, Held>();
  for (const held of group) {
    const { document } = held;
    const { record, readOnly, volumeId } = document;
    if (readOnly) continue;
    const said = record?.volume?.id;
    if (said !== undefined) tops.set(said, held);
    else if (!builtOn.has(held.layer_id) && !record && !tops.has(volumeId)) tops.set(volumeId, held);
  }
  return [...tops].map(([volumeId, held]) => ({ held, volumeId }));
}

/** Those that something is known to be of: the tops, what is a snapshot, and all below. Of others people have to find out what they are for. */
export function neededOf<Held extends HeldLayer>(group: readonly Held[], tops: readonly Top<Held>[]): Set<LayerId> {
  const snapshots = group.filter(({ document }) => document.record?.snapshots?.length);
  const needed = new Set<LayerId>();
  for (const held of [...tops.map((top) => top.held), ...snapshots]) {
    for (const { layer_id } of [held, ...below(group, held)]) needed.add(layer_id);
  }
  return needed;
}

/** All below it that the host holds too, the nearest first. */
export function below<Held extends HeldLayer>(group: readonly Held[], top: Held): Held[] {
  const byId = new Map(group.map((held) => [held.layer_id, held]));
  const chain: Held[] = [];
  for (let next = top.document.parentId; next !== null; ) {
    const held = byId.get(next);
    if (!held || chain.includes(held)) break;
    chain.push(held);
    next = held.document.parentId;
  }
  return chain;
}

/** Of those that shall be erased the ones on which no other builds that stays. */
export function erasable<Held extends HeldLayer>(all: readonly Held[], unwanted: ReadonlySet<LayerId>): Held[] {
  const needed = new Set<LayerId>();
  for (const held of all) {
    if (unwanted.has(held.layer_id)) continue;
    for (const { layer_id } of below(all, held)) needed.add(layer_id);
  }
  return all.filter(({ layer_id }) => unwanted.has(layer_id) && !needed.has(layer_id));
}

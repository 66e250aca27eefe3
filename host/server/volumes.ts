/**
 * What is to be done next to a guest's volumes while it runs. A volume that shall go is asked for until the guest lets go of it: one that
 * was booting did not hear, and asking again hurts nobody. After a while the server is as it shall be all the same; the report says what
 * is still held, and a reset or the next start ends it. A volume whose top is another by now is switched to it where the new one builds
 * on the present one; any other comes with the next start. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DesiredServer, DesiredVolume, ObservedServer } from '../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../contract/ids.ts';
import { volumeDeviceId } from '../guest/volumes.ts';
import { copyToDrop } from './copies.ts';
import type { DiskLimits, ServerRecord, VolumeRecord } from './record.ts';

export type VolumeStep =
  | { do: 'plug-volume'; volume: DesiredVolume }
  /** Asks the guest to let go of it, also again. */
  | { do: 'unplug-volume'; volume: VolumeRecord }
  | { do: 'await-volume'; ms: number }
  /** It has let go of it. */
  | { do: 'close-volume'; volume: VolumeRecord }
  /** All in one moment. */
  | { do: 'switch-volumes'; switches: readonly VolumeSwitch[] }
  | { do: 'grow-volume'; volume: DesiredVolume }
  | { do: 'limit-volume'; volume: DesiredVolume }
  /** All that the guest writes to it goes to its second copy, too, from now on. */
  | { do: 'begin-copy'; volume: DesiredVolume }
  /** It is written to without. */
  | { do: 'drop-copy'; volume: VolumeRecord }
  | { do: 'await-layer'; layerId: LayerId; why: string };

/** A volume whose top shall be this layer, which builds on its present one. */
export interface VolumeSwitch {
  volume: DesiredVolume;
  layerId: LayerId;
}

/** Of a layer that a guest shall open: what it builds on, or why it can't be opened yet. */
export type LayerFacts = { lower: readonly LayerId[] } | { problem: string };

export interface VolumeFacts {
  volumes: readonly VolumeRecord[];
  /** Devices of the machine; undefined: not known now. */
  devices: ReadonlySet<string> | undefined;
  /** The machine has a bus into which volumes are plugged. */
  hot: boolean;
  /** Of those that are not open yet. */
  layers: ReadonlyMap<LayerId, LayerFacts>;
  /** Of those, and of what they build on: which come in one moment with others of this guest. */
  moments: ReadonlyMap<LayerId, string | undefined>;
  /** When each was last asked for, by this process. */
  asked: ReadonlyMap<VolumeId, number>;
  /** Those whose disk is gone and whose files are open all the same: when that was last seen, by this process. */
  kept: ReadonlyMap<VolumeId, number>;
  now: number;
  unplugTimeoutMs: number;
  unplugRepeatMs: number;
}

/** Limits that a volume has, of its type or else of the flavor. */
export const limitsOf = ({ hardware }: DesiredServer, { limits }: Pick<DesiredVolume, 'limits'>): DiskLimits | null =>
  limits ?? hardware?.diskLimits ?? null;

/** The volume of the document that this one of the guest is; undefined: it shall go. */
const wantedAs = ({ volumes = [] }: DesiredServer, record: VolumeRecord): DesiredVolume | undefined =>
  volumes.find(({ id, slot, readOnly }) => id === record.id && slot === record.slot && readOnly === record.readOnly);

export function volumeStep(desired: DesiredServer, facts: VolumeFacts): VolumeStep | undefined {
  const dropped = copyToDrop(desired, facts.volumes);
  if (dropped) return { do: 'drop-copy', volume: dropped };
  for (const record of facts.volumes) {
    const step = leaving(desired, record, facts);
    if (step) return step;
  }
  const coming = facts.volumes.filter(({ askedAt }) => askedAt === undefined);
  let waits: VolumeStep | undefined;
  for (const volume of desired.volumes ?? []) {
    const record = coming.find(({ id }) => id === volume.id);
    const step = record?.plugged ? changing(desired, volume, record, facts) : arriving(volume, record, facts);
    if (step?.do === 'await-layer') waits ??= step;
    else if (step) return step;
  }
  return waits ?? awaiting(facts);
}

function leaving(desired: DesiredServer, record: VolumeRecord, facts: VolumeFacts): VolumeStep | undefined {
  const { devices, asked, kept, now, unplugRepeatMs } = facts;
  if (record.askedAt === undefined) {
    return wantedAs(desired, record) ? undefined : { do: 'unplug-volume', volume: record };
  }
  if (!devices) return undefined;
  // A clock that was set back makes nobody wait longer.
  const due = (last = 0) => last > now || now - last >= unplugRepeatMs;
  if (!devices.has(volumeDeviceId(record.id)))
    return due(kept.get(record.id)) ? { do: 'close-volume', volume: record } : undefined;
  return due(asked.get(record.id)) ? { do: 'unplug-volume', volume: record } : undefined;
}

function awaiting({ volumes, asked, now, unplugTimeoutMs, unplugRepeatMs }: VolumeFacts): VolumeStep | undefined {
  for (const { id, askedAt } of volumes) {
    if (askedAt === undefined) continue;
    const left = Math.min(unplugTimeoutMs, askedAt + unplugTimeoutMs - now);
    const again = (asked.get(id) ?? 0) + unplugRepeatMs - now;
    if (left > 0) return { do: 'await-volume', ms: Math.max(1, Math.min(left, again)) };
  }
  return undefined;
}

const layerAwaited = (layerId: LayerId, facts: LayerFacts | undefined): VolumeStep | undefined => {
  if (facts && !('problem' in facts)) return undefined;
  return { do: 'await-layer', layerId, why: facts?.problem ?? 'it has not been looked at' };
};

function arriving(
  volume: DesiredVolume,
  record: VolumeRecord | undefined,
  { volumes, hot, layers }: VolumeFacts,
): VolumeStep | undefined {
  const taken = volumes.some((other) => other !== record && (other.slot === volume.slot || other.id === volume.id));
  if (!hot || taken) return undefined;
  return layerAwaited(volume.layerId, layers.get(volume.layerId)) ?? { do: 'plug-volume', volume };
}

function changing(
  desired: DesiredServer,
  volume: DesiredVolume,
  record: VolumeRecord,
  facts: VolumeFacts,
): VolumeStep | undefined {
  if (volume.layerId !== record.layerId) {
    const found = facts.layers.get(volume.layerId);
    const waits = layerAwaited(volume.layerId, found);
    if (waits) return waits;
    const [layerId] = wayUp(volume, record, found);
    if (layerId === undefined) return undefined;
    const moment = facts.moments.get(layerId);
    if (moment !== undefined) return switchedTogether(desired, moment, facts);
    return { do: 'switch-volumes', switches: [{ volume, layerId }] };
  }
  if (volume.sizeBytes > record.sizeBytes) return { do: 'grow-volume', volume };
  if (!isDeepStrictEqual(limitsOf(desired, volume), record.limits)) return { do: 'limit-volume', volume };
  const begins = volume.copy && !volume.copy.inSync && !record.copy && !record.readOnly;
  return begins ? { do: 'begin-copy', volume } : undefined;
}

/**
 * All that get a layer of the moment, as soon as it is the next one of each of them. It has to be known of each whether it gets one, so all
 * layers that the guest waits for have to be here; one that goes is written to until it has gone, so that comes first.
 */
function switchedTogether(desired: DesiredServer, moment: string, facts: VolumeFacts): VolumeStep | undefined {
  const { volumes, layers, moments } = facts;
  if (volumes.some(({ askedAt }) => askedAt !== undefined)) return undefined;
  const switches: VolumeSwitch[] = [];
  for (const volume of desired.volumes ?? []) {
    const record = volumes.find(({ id, plugged }) => plugged && id === volume.id);
    if (!record || record.layerId === volume.layerId) continue;
    const found = layers.get(volume.layerId);
    const waits = layerAwaited(volume.layerId, found);
    if (waits) return waits;
    const way = wayUp(volume, record, found);
    const at = way.findIndex((id) => moments.get(id) === moment);
    // It has another layer to get first, which is its own step.
    if (at > 0) return undefined;
    if (at === 0) switches.push({ volume, layerId: way[0]! });
  }
  return { do: 'switch-volumes', switches };
}

/** From the layer after the present top to the one that the top shall be; none where that one does not build on it. */
function wayUp(volume: DesiredVolume, record: VolumeRecord, found: LayerFacts | undefined): LayerId[] {
  const chain = found && 'lower' in found ? [volume.layerId, ...found.lower] : [];
  return chain.slice(0, Math.max(0, chain.indexOf(record.layerId))).reverse();
}

/** What waits for the next start of a guest that runs, in words; null: nothing. */
export function awaitsNextStart(desired: DesiredServer, { volumes, hot, layers, kept }: VolumeFacts): string | null {
  for (const id of kept.keys())
    return `volume ${id} is free when the guest ends: its disk is gone, but the guest’s QEMU keeps its file open`;
  const held = volumes.find(({ askedAt }) => askedAt !== undefined);
  if (held)
    return `volume ${held.id} is free when the guest lets go of it, is reset or ends: it was asked to and has not`;
  const here = new Map(volumes.map((record) => [record.id, record]));
  for (const volume of desired.volumes ?? []) {
    const record = here.get(volume.id);
    if (!record && !hot)
      return `volume ${volume.id} comes with the next start of the guest, whose machine takes none while it runs`;
    if (!record) return `volume ${volume.id} comes as soon as the guest lets go of the one in its place`;
    if (record.layerId !== volume.layerId && wayUp(volume, record, layers.get(volume.layerId)).length === 0)
      return `volume ${volume.id} has other contents with the next start of the guest`;
  }
  return null;
}

/**
 * What its guest has open, for the report. One on its way in is not had yet; one that shall go is held until nothing of it is open, also
 * by a guest that is suspended: its memory knows the disk, and goes on with no other.
 */
export function observedVolumes(
  desired: DesiredServer,
  { volumes = [], memory }: ServerRecord,
  { guest, full }: { guest: boolean; full: ReadonlySet<VolumeId> },
): NonNullable<ObservedServer['volumes']> {
  return volumes.flatMap((record) => {
    const stays = record.askedAt === undefined && wantedAs(desired, record) !== undefined;
    const had = guest ? !stays || record.plugged : !stays && memory !== null;
    const { id, layerId, sizeBytes } = record;
    const state = stays ? 'attached' : 'releasing';
    return had ? [{ id, layerId, sizeBytes, state, ...(full.has(id) && { full: true }) } as const] : [];
  });
}

/** A volume as a guest is to have it at its start. */
export type VolumeToOpen = Omit<DesiredVolume, 'attachmentId' | 'tag' | 'device' | 'copy'>;

/** A guest that goes on with its memory has the volumes that this knows, also those that shall go; others come when it runs. */
export function volumesToOpen(desired: DesiredServer, record: ServerRecord | undefined): VolumeToOpen[] {
  if (!record?.memory) return desired.volumes ?? [];
  return (record.volumes ?? []).map((known) => {
    const { id, slot, readOnly, layerId, sizeBytes, limits } = known;
    const unwanted = { id, slot, readOnly, layerId, sizeBytes, bootIndex: null, ...(limits && { limits }) };
    return wantedAs(desired, known) ?? unwanted;
  });
}

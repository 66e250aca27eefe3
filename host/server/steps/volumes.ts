/**
 * Steps of volumes that come, change and go while the guest runs; which is next: ../volumes.ts. The record has a volume from before the
 * first of its nodes is opened until the last is closed, so nothing of it is ever open and forgotten; each step finds what another life
 * of this process has done of it.
 */
import type { DesiredServer } from '../../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import { heldStill } from '../../disk/save-disk.ts';
import { throttledDevice, volumeDevice, volumeDeviceId } from '../../guest/volumes.ts';
import { HostFault } from '../../host-error.ts';
import {
  cacheNode,
  forgetKeys,
  keysIn,
  keysOf,
  type LayerChain,
  layerFileNode,
  layerNode,
  limitOf,
  readNodes,
  readSlots,
  secretObjects,
  throttleGroup,
  throttleNodesOf,
} from '../../volume/index.ts';
import type { DiskLimits, VolumeRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { topNode, volumeNode } from '../volume-nodes.ts';
import { limitsOf, type VolumeSwitch, type VolumeToOpen } from '../volumes.ts';
import { devicesOf, done } from './cards.ts';
import type { StepFunction } from './step.ts';

const noLimits: DiskLimits = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
/** A layer's coming wakes the task; this is for the case that it does not. */
const awaitLayerMs = 1000;
/** QEMU lets go of a disk's nodes a moment after it said that the disk is gone. */
const closingMs = 50;

export const newVolume = (desired: DesiredServer, volume: VolumeToOpen, plugged: boolean): VolumeRecord => ({
  ...{
    id: volume.id,
    slot: volume.slot,
    readOnly: volume.readOnly,
    layerId: volume.layerId,
    sizeBytes: volume.sizeBytes,
  },
  ...{ tops: [volume.layerId], limits: limitsOf(desired, volume), plugged },
});

const recordOf = (task: ServerTask, id: VolumeId): VolumeRecord | undefined =>
  task.record?.volumes?.find((volume) => volume.id === id);

/** Changes what is known of one volume, or adds it. */
export async function note(
  task: ServerTask,
  id: VolumeId,
  changes: Partial<VolumeRecord> | VolumeRecord,
): Promise<void> {
  const before = task.record?.volumes ?? [];
  const known = before.find((volume) => volume.id === id);
  const volumes = known
    ? before.map((volume) => (volume === known ? { ...volume, ...changes } : volume))
    : [...before, changes as VolumeRecord];
  await task.save({ volumes });
}

/** All nodes of the machine; each with whether it is only read. */
async function nodesOf(task: ServerTask): Promise<ReadonlyMap<string, boolean>> {
  interface Node {
    'node-name': string;
    ro: boolean;
  }
  const nodes = await task.guest!.execute<Node[]>('query-named-block-nodes', { flat: true });
  return new Map(nodes.map((node) => [node['node-name'], node.ro]));
}

/** What a disk of the machine is now. */
async function insertedOf(task: ServerTask, id: VolumeId): Promise<{ node: string; sizeBytes: number } | undefined> {
  interface Block {
    qdev?: string;
    inserted?: { 'node-name': string; image: { 'virtual-size': number } };
  }
  const blocks = await task.guest!.execute<Block[]>('query-block');
  const inserted = blocks.find(({ qdev }) => qdev?.includes(volumeDeviceId(id)))?.inserted;
  return inserted && { node: inserted['node-name'], sizeBytes: inserted.image['virtual-size'] };
}

/**
 * Within the layer's lock, with its files such that the guest can open them, by the names that it does.
 * @param written what the guest writes to until then
 */
export async function withLayer<T>(
  task: ServerTask,
  { id, layerId }: Pick<VolumeRecord, 'id' | 'layerId'>,
  act: (chain: LayerChain) => Promise<T>,
  written?: LayerId,
): Promise<T> {
  const { layers } = task.context;
  return layers.lock(layerId, async () => {
    // A machine outside may have had the volume before, and its session has not ended yet.
    if (layers.open.writersOf(layerId).some(({ serverId }) => serverId !== task.id))
      throw new HostFault('layer_not_ready', 'somebody else still has the volume');
    const chain = await layers.openable(layerId);
    return act(await layers.prepareFor(task.user, chain, { volumeId: id, written }));
  });
}

/** What its QEMU needs to open the chain: by its monitor, and nowhere else. */
async function tellSecrets(task: ServerTask, chain: LayerChain): Promise<void> {
  if (keysOf(chain).length === 0) return;
  const here = await keysIn(executeOf(task));
  for (const secret of secretObjects(chain)) if (!here.has(secret.id)) await task.guest!.execute('object-add', secret);
}

const executeOf =
  (task: ServerTask) =>
  <T>(command: string, args?: Record<string, unknown>) =>
    task.guest!.execute<T>(command, args);

const spellingOf = (task: ServerTask, { id, readOnly }: Pick<VolumeRecord, 'id' | 'readOnly'>) =>
  ({ volumeId: id, readOnly, ioUring: task.context.ioUring, user: task.user }) as const;

export const spelled = (task: ServerTask, chain: LayerChain, volume: Pick<VolumeRecord, 'id' | 'readOnly'>) =>
  volumeNode(chain, spellingOf(task, volume));

/** What the cache may ask of the pool below it. One that is left of another life may say another number, and is used by nobody. */
async function limitCache(task: ServerTask, chain: LayerChain, id: VolumeId): Promise<void> {
  const limit = limitOf(chain, id);
  if (!limit || (await nodesOf(task)).has(limit.node['node-name'] as string)) return;
  await done(task, 'object-del', { id: limit.id });
  const limits = { 'iops-total': limit.iops };
  await task.guest!.execute('object-add', { 'qom-type': 'throttle-group', id: limit.id, limits });
  await task.guest!.execute('blockdev-add', limit.node);
}

export const plugVolume: StepFunction<'plug-volume'> = async ({ task, desired }, { volume }) => {
  const { context } = task;
  const { id, layerId } = volume;
  task.say(`attaching volume ${id}`);
  await note(task, id, newVolume(desired, volume, false));
  await context.step('record-volume');
  task.tellOpen({ id, layerId });
  const sizeBytes = await withLayer(task, volume, async (chain) => {
    const node = await spelled(task, chain, volume);
    await limitCache(task, chain, id);
    await tellSecrets(task, chain);
    if (!(await nodesOf(task)).has(layerNode(id, layerId))) await task.guest!.execute('blockdev-add', node);
    await context.step('add-node');
    if (!(await devicesOf(task)).has(volumeDeviceId(id)))
      await task.guest!.execute('device_add', volumeDevice(desired.hardware?.diskBus, { ...volume, node }));
    return chain.top.sizeBytes;
  });
  await context.step('add-disk');
  await watchCache(task, volume);
  await throttle(task, desired, volume);
  await note(task, id, { plugged: true, sizeBytes });
  return undefined;
};

/** That it is asked again is no news. */
export const unplugVolume: StepFunction<'unplug-volume'> = async ({ task }, { volume: { id, askedAt } }) => {
  if (askedAt === undefined) task.say(`waiting for the guest to let go of volume ${id}`);
  task.askedFor.set(id, Date.now());
  await done(task, 'device_del', { id: volumeDeviceId(id) });
  await task.context.step('ask-for-disk');
  if (askedAt === undefined) await note(task, id, { askedAt: Date.now() });
  return undefined;
};

/** QEMU's word that it is gone wakes the task. */
export const awaitVolume: StepFunction<'await-volume'> = async (_work, { ms }) => ms;

export const closeVolume: StepFunction<'close-volume'> = async ({ task }, { volume }) =>
  (await closed(task, volume)) || task.keptOpen.has(volume.id) ? undefined : closingMs;

/**
 * Its device is gone: now its nodes, tops last to first, for each builds on the one before it, and then the files. False: QEMU has not let go of
 * them yet.
 */
async function closed(task: ServerTask, { id, layerId, tops }: VolumeRecord): Promise<boolean> {
  const { layers } = task.context;
  // The cache's node is on all of them.
  await done(task, 'blockdev-del', { 'node-name': cacheNode(id) });
  const nodesBelow = (layerId: LayerId) => readSlots.map((slot) => readNodes(id, layerId, slot).copy);
  const names = [...tops.flatMap((layerId) => [...nodesBelow(layerId), layerNode(id, layerId)]), cacheNode(id)];
  for (const name of names.toReversed()) await done(task, 'blockdev-del', { 'node-name': name });
  const left = await nodesOf(task);
  if (names.some((name) => left.has(name))) return false;
  for (const name of left.keys())
    if (name.startsWith(throttleNodesOf(id))) await done(task, 'blockdev-del', { 'node-name': name });
  // Also of a cache that has ended, or that came under its guest and has no node of its own.
  await done(task, 'object-del', { id: throttleGroup(id) });
  await task.context.step('remove-nodes');
  await forgetKeys(executeOf(task), layers, { serverId: task.id, closed: id });
  if (!(await layers.lock(layerId, () => layers.isLetGo(id, tops)))) {
    if (!task.keptOpen.has(id))
      task.context.log.error(
        { serverId: task.id, volumeId: id },
        'server: QEMU keeps a file open that it says it has closed',
      );
    task.keptOpen.set(id, Date.now());
    return false;
  }
  layers.open.closed({ serverId: task.id, volumeId: id });
  task.askedFor.delete(id);
  task.keptOpen.delete(id);
  await task.save({ volumes: task.record!.volumes!.filter((volume) => volume.id !== id) });
  return true;
}

/** Of a guest that stands still: what its memory is about to know, no volume half on its way in or out. @throws HostFault to be tried again */
export async function settleVolumes(task: ServerTask): Promise<void> {
  const volumes = task.record?.volumes ?? [];
  if (volumes.every(({ plugged, askedAt }) => plugged && askedAt === undefined)) return;
  const devices = await devicesOf(task);
  for (const volume of volumes) {
    const there = devices.has(volumeDeviceId(volume.id));
    if (there && !volume.plugged) await note(task, volume.id, { plugged: true });
    if (!there && !(await closed(task, volume)))
      throw new HostFault('suspend_failed', `QEMU has not let go of volume ${volume.id} yet`);
  }
}

export const awaitLayer: StepFunction<'await-layer'> = async ({ task }, { layerId, why }) => {
  task.say(`waiting for a volume's layer: ${why}`);
  task.awaitedLayer = layerId;
  return awaitLayerMs;
};

/** One layer up, of all of them at once: what were the tops is read only from the moment on that these are. */
export const switchVolumes: StepFunction<'switch-volumes'> = async ({ task, desired }, { switches }) => {
  const { context } = task;
  task.say(`keeping what volume ${switches.map(({ volume }) => volume.id).join(', ')} holds`);
  const covering: (VolumeSwitch & { record: VolumeRecord })[] = [];
  for (const { volume, layerId } of switches) {
    const { id } = volume;
    const record = recordOf(task, id)!;
    // In a cluster the frozen layer is a snapshot of the image that the guest has open, and goes on with.
    if (await isSameImage(task, record, layerId)) {
      task.tellOpen({ id, layerId });
      await note(task, id, { layerId });
      continue;
    }
    if (!record.tops.includes(layerId)) await note(task, id, { tops: [...record.tops, layerId] });
    covering.push({ volume, layerId, record });
  }
  await context.step('record-top');
  const overlays: { node: string; overlay: string }[] = [];
  const cover = async () => {
    const agentSocket = desired.hardware?.guestAgent ? task.paths.agent : undefined;
    const actions = overlays.map((data) => ({ type: 'blockdev-snapshot', data }));
    if (actions.length > 0) {
      await heldStill({ agentSocket, requireQuiesce: false }, () => task.guest!.execute('transaction', { actions }));
      await context.step('cover-top');
    }
    for (const { volume, layerId, record } of covering) {
      task.tellOpen({ id: volume.id, layerId });
      if (!(await context.layers.isCovered(record.layerId)))
        throw new HostFault('volume_kept', `the guest’s QEMU can still write to what volume ${volume.id} held`);
    }
  };
  const within = async ([first, ...others]: typeof covering): Promise<void> => {
    if (!first) return cover();
    const { volume, layerId, record } = first;
    const prepare = async (chain: LayerChain) => {
      const overlay = await overlayIn(task, chain, record, layerId);
      if (overlay) overlays.push(overlay);
      await within(others);
    };
    return withLayer(task, { id: volume.id, layerId }, prepare, record.layerId);
  };
  await within(covering);
  for (const { volume, layerId, record } of covering) {
    await watchCache(task, { id: volume.id, layerId, readOnly: record.readOnly });
    await note(task, volume.id, { layerId });
  }
  return undefined;
};

/** The layer is a node of QEMU's, and so what it shall cover; undefined where it does. */
async function overlayIn(
  task: ServerTask,
  chain: LayerChain,
  record: VolumeRecord,
  layerId: LayerId,
): Promise<{ node: string; overlay: string } | undefined> {
  const { id } = record;
  const [below, name] = [layerNode(id, record.layerId), layerNode(id, layerId)];
  const [found, nodes] = [await insertedOf(task, id), await nodesOf(task)];
  if (isCovered({ found: found?.node, nodes, below, name, cached: cacheNode(id) })) return undefined;
  if (found?.node !== below && found?.node !== cacheNode(id))
    throw new HostFault('volume_unknown', `QEMU has something else as volume ${id}`);
  const node = { ...(await topNode(chain, spellingOf(task, record))), backing: null };
  await tellSecrets(task, chain);
  if (!nodes.has(name)) await task.guest!.execute('blockdev-add', node);
  await task.context.step('add-top');
  return { node: below, overlay: name };
}

/** The disk is of the layer; or of the cache's node, and the layer below is one that QEMU only reads by now. */
function isCovered(seen: {
  found: string | undefined;
  nodes: ReadonlyMap<string, boolean>;
  below: string;
  name: string;
  cached: string;
}): boolean {
  const { found, nodes, below, name, cached } = seen;
  return found === name || (found === cached && nodes.has(name) && nodes.get(below) !== false);
}

/** Its QEMU says when the generation to which it writes is full: once, and again only if it is asked again. */
export async function watchCache(
  task: ServerTask,
  { id, layerId, readOnly }: Pick<VolumeRecord, 'id' | 'layerId' | 'readOnly'>,
): Promise<void> {
  const cache = task.context.layers.cacheOf(layerId);
  if (!cache || cache.fullBytes === null || cache.role !== 'writes' || readOnly) return;
  const node = layerFileNode(id, layerId);
  await task.guest!.execute('block-set-write-threshold', { 'node-name': node, 'write-threshold': cache.fullBytes });
}

async function isSameImage(task: ServerTask, { layerId: present }: VolumeRecord, layerId: LayerId): Promise<boolean> {
  const { top } = await task.context.layers.chain(layerId);
  return top.within?.includes(present) === true;
}

/** QEMU would shrink it too, without a question. */
export const growVolume: StepFunction<'grow-volume'> = async ({ task }, { volume: { id, layerId, sizeBytes } }) => {
  task.say(`growing volume ${id}`);
  const held = await task.context.layers.lock(layerId, async () => {
    const found = await insertedOf(task, id);
    if (!found || found.sizeBytes > sizeBytes) return found?.sizeBytes ?? sizeBytes;
    // A cache's is above the layer's; an image of a cluster keeps the name that it was opened with.
    const { node } = found;
    await task.context.layers.mayBecome(layerId, sizeBytes);
    await task.guest!.execute('block_resize', { 'node-name': node, size: sizeBytes });
    return sizeBytes;
  });
  await task.context.step('resize-node');
  await note(task, id, { sizeBytes: held });
  return undefined;
};

export const limitVolume: StepFunction<'limit-volume'> = async ({ task, desired }, { volume }) => {
  await throttle(task, desired, volume);
  await note(task, volume.id, { limits: limitsOf(desired, volume) });
  return undefined;
};

/** QEMU forgets it with each end of the device. */
export async function throttle(task: ServerTask, desired: DesiredServer, volume: VolumeToOpen): Promise<void> {
  const limits = limitsOf(desired, volume);
  if (!limits && !recordOf(task, volume.id)?.limits) return;
  const id = throttledDevice(desired.hardware?.diskBus, volumeDeviceId(volume.id));
  await task.guest!.execute('block_set_io_throttle', { id, ...(limits ?? noLimits) });
}

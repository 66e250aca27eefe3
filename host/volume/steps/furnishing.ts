/**
 * What a guest's QEMU has below the generation that its guest writes to, beside layers: the node that keeps a cache from asking its pool for too
 * much (also of a base that came while the guest ran), and the file in which what is read stays (../reads.ts). Every part may be there already. If this
 * process dies QEMU goes on with what it has, and the next look adds what is missing.
 */
import { chown, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { Execute } from '../../../protocols/qmp/index.ts';
import { HostFault } from '../../host-error.ts';
import { type ChainLimit, encryption, type LayerChain, limitOf } from '../chain.ts';
import { sinkJobOf } from '../jobs.ts';
import { luksHeader } from '../luks.ts';
import {
  layerFileNode,
  layerNode,
  type ReadSlot,
  readNodes,
  readSlots,
  readsFileName,
  throttleNode,
} from '../names.ts';
import { buildOn } from '../nodes.ts';
import type { OpenLayer } from '../open-layers.ts';
import { writeOverlay } from '../overlay.ts';
import { addReads, dropReads, lengthOf, namesOf, type ReadFile, readFilesBelow, settleReads } from '../reads.ts';
import type { LayerTask } from '../task.ts';
import { lookAgainMs } from './changing.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import type { StepFunction } from './step.ts';

type Reads = NonNullable<NonNullable<DesiredLayer['cache']>['reads']>;

export const furnish: StepFunction<'furnish'> = async ({ task, desired }) => {
  const { files } = task.context;
  // Whoever plugs it in, or covers it, has the lock until it is open.
  return files.lock(task.id, async () => {
    const [writer] = files.open.writersOf(task.id);
    if (!writer) return undefined;
    const execute: Execute = (command, args) => writer.execute(command, args);
    const chain = await files.chain(task.id);
    const reads = desired.cache?.reads;
    const limited = limitOf(chain, writer.volumeId);
    const itself = { path: chain.top.path, bytes: desired.cache?.fullBytes ?? desired.sizeBytes };
    if (!reads && !limited) {
      task.noteFurnished({ writer, fills: itself, renewed: false });
      return undefined;
    }
    if (!(await namesOf(execute)).has(layerNode(writer.volumeId, task.id))) return lookAgainMs;
    if (await sinks(execute, chain, writer)) {
      task.say('waiting for what a cache holds to be moved down');
      return lookAgainMs;
    }
    return files.lockNodes(writer.volumeId, async () => {
      if (reads && awaitsKeys(task, chain.top.key ? [chain.top.key.id] : [])) return awaitKeyMs;
      if (limited) await limit(execute, chain, writer, limited);
      const path = reads && (await keepReads({ task, desired, reads, execute, chain, writer }));
      const fills = path === undefined ? itself : { path, bytes: reads!.bytes / 2 };
      task.noteFurnished({ writer, fills, renewed: path !== undefined });
      return undefined;
    });
  });
};

/** Meanwhile QEMU has nodes of its own between those that take part. */
async function sinks(execute: Execute, { top, lower }: LayerChain, { volumeId }: OpenLayer): Promise<boolean> {
  const jobs = new Set((await execute<{ id: string }[]>('query-jobs')).map(({ id }) => id));
  return [top, ...lower].some(({ layerId }) => jobs.has(sinkJobOf(volumeId, layerId)));
}

/** Also of a base that a snapshot has put in under a guest that runs. */
async function limit(
  execute: Execute,
  chain: LayerChain,
  { volumeId }: OpenLayer,
  { id, iops, base, node }: ChainLimit,
): Promise<void> {
  const names = await namesOf(execute);
  const name = node['node-name'] as string;
  const groups = await execute<{ name: string }[]>('qom-list', { path: '/objects' });
  if (!groups.some((group) => group.name === id))
    await execute('object-add', { 'qom-type': 'throttle-group', id, limits: { 'iops-total': iops } });
  if (!names.has(name)) {
    const file = layerNode(volumeId, base);
    await execute('blockdev-add', {
      ...{ driver: 'throttle', 'node-name': name, 'throttle-group': id, 'read-only': true, file },
    });
  }
  const above = [chain.top, ...chain.lower].find((_, at) => chain.lower[at]?.layerId === base)!;
  const own = { node: layerNode(volumeId, above.layerId), file: layerFileNode(volumeId, above.layerId) };
  // What is kept of reads came on it, for it was there first.
  if (readFilesBelow(names, volumeId, above.layerId).length === 0)
    await buildOn(execute, { ...own, base: name, keyId: above.key?.id });
}

interface Keeping {
  task: LayerTask;
  desired: DesiredLayer;
  reads: Reads;
  execute: Execute;
  chain: LayerChain;
  writer: OpenLayer;
}

/**
 * @returns the file in which what is read stays from now on
 * @throws HostFault where its pool can't be used: then the guest has none
 */
async function keepReads({ task, desired, reads, execute, chain, writer }: Keeping): Promise<string> {
  const { pools, files, guestGid } = task.context;
  const { volumeId } = writer;
  const generations = [chain.top, ...chain.lower].filter(({ cache }) => cache?.role === 'writes');
  const below = await belowIn(execute, chain, volumeId);
  const covered = generations.map(({ layerId, key }) => ({ volumeId, layerId, keyId: key?.id, below: below(layerId) }));
  for (const each of covered) await settleReads(execute, each);
  const pool = await pools.require(reads.pool, { toMake: true }).catch(async (error) => {
    for (const each of covered) await dropReads(execute, each);
    throw passing(error);
  });
  const gid = guestGid === undefined ? undefined : (await stat(chain.top.path)).gid;
  const directory = await files.links.directory(volumeId, pool, gid);
  const names = await namesOf(execute);
  const present = covered.flatMap(({ layerId }) => readFilesBelow(names, volumeId, layerId));
  const place = (layerId: ReadFile['layerId'], slot: ReadSlot) => join(directory, readsFileName(layerId, slot));
  const [first] = present;
  const top = covered[0]!;
  const bytes = first && (await lengthOf(place(first.layerId, first.slot)));
  // QEMU can change nothing of a file that has gone with its pool, but do without.
  const lost = writer.inTrouble === true || (first && bytes === undefined);
  if (first?.layerId === task.id && !lost && bytes! < reads.bytes / 2) {
    await addReads(execute, top, { slot: first.slot, node: {} });
    return place(task.id, first.slot);
  }
  const dropped: ReadFile[] = [];
  for (const [at, each] of covered.entries()) {
    const butFirst = !lost && at === covered.findIndex(({ layerId }) => layerId === first?.layerId);
    dropped.push(...(await dropReads(execute, each, { butFirst })));
  }
  for (const { layerId, slot } of dropped) await rm(place(layerId, slot), { force: true });
  writer.inTrouble = false;
  const isDropped = dropped.some(({ layerId, slot }) => layerId === task.id && slot === first?.slot);
  const kept = first?.layerId === task.id && !isDropped ? first.slot : undefined;
  const slot = readSlots.find((each) => each !== kept)!;
  const path = place(task.id, slot);
  await makeFile(task, desired, { path, top: chain.top.path });
  const { node, file } = readNodes(volumeId, task.id, slot);
  await addReads(execute, top, {
    slot,
    node: {
      ...{ driver: 'qcow2', 'node-name': node, discard: 'unmap', ...encryption(chain.top) },
      file: { driver: 'file', 'node-name': file, filename: path, discard: 'unmap' },
    },
  });
  await execute('block-set-write-threshold', { 'node-name': file, 'write-threshold': reads.bytes / 2 });
  return path;
}

/** The volume goes on without: nobody gives it up for that. */
const passing = (error: unknown): unknown =>
  error instanceof HostFault && error.permanent ? new HostFault(error.code, error.message, { cause: error }) : error;

/** The node that the layer builds on in this QEMU, for layers of the chain. */
export async function belowIn(
  execute: Execute,
  chain: LayerChain,
  volumeId: OpenLayer['volumeId'],
): Promise<(layerId: ReadFile['layerId']) => string> {
  const names = await namesOf(execute);
  const links = [chain.top, ...chain.lower];
  return (layerId) => {
    const next = links[links.findIndex((link) => link.layerId === layerId) + 1];
    if (!next) throw new HostFault('layer_damaged', 'a generation of a cache builds on no layer');
    const limited = throttleNode(volumeId, next.layerId);
    return names.has(limited) ? limited : layerNode(volumeId, next.layerId);
  };
}

/** An empty one, whose guest may write it as it may the layer's own. */
async function makeFile(
  task: LayerTask,
  { encryption: encrypted }: DesiredLayer,
  { path, top }: { path: string; top: string },
): Promise<void> {
  const { files, guestGid } = task.context;
  const { sizeBytes } = (await files.chain(task.id)).top;
  const luks = encrypted && luksHeader(encrypted, files.keys.of(encrypted.keyId)!);
  await rm(path, { force: true });
  const buildsOn = { kind: 'layer', id: task.id } as const;
  await writeOverlay(path, { sizeBytes, buildsOn, format: 'qcow2', luks }, { durable: false });
  if (guestGid === undefined) return;
  const { uid, gid } = await stat(top);
  await chown(path, uid, gid);
}

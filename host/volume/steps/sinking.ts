/**
 * What generations of a cache hold goes down into the base below them, and what was above them builds on that base. By the guest's own QEMU where
 * one has the volume, which goes on meanwhile; else by a storage daemon.
 *
 * Everything that was in a generation is on the base's disk before anything says that the generation is not needed: dying at any moment leaves a
 * chain that reads as before, and a second sink of the same writes the same.
 */
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import type { Execute } from '../../../protocols/qmp/index.ts';
import { HostFault } from '../../host-error.ts';
import type { LayerChain } from '../chain.ts';
import { wantedBase } from '../decide.ts';
import { type Sinking, sinkJob } from '../jobs.ts';
import { type BuildsOn, baseNode, layerNode, sameBase } from '../names.ts';
import type { OpenLayer } from '../open-layers.ts';
import { dropReads, settleReads } from '../reads.ts';
import type { LayerTask } from '../task.ts';
import type { ToolWork } from '../tools.ts';
import { between, idsOf, lookAgainMs, noted, waitsForOthers } from './changing.ts';
import { belowIn } from './furnishing.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import type { StepFunction } from './step.ts';

type Base = { kind: 'layer'; id: LayerId };

export const sink: StepFunction<'sink'> = async ({ task, desired }, { onto }) => {
  const base = requireLayer(onto);
  const { files, pools } = task.context;
  await pools.require(desired.pool, { toMake: true });
  const wanted = (now: DesiredLayer) => now.sinks === true && sameBase(wantedBase(now), onto);
  return task.whileWanted(wanted, async (signal) => {
    const work = { signal, progress: (part: number) => task.say(`moving what a cache holds down, ${part} %`) };
    task.say('moving what a cache holds down');
    const [open] = files.open.ofVolume(desired.volumeId);
    if (open) return sinkInGuest(task, desired, { open, base, work });
    return files.lock(task.id, async () => {
      // The lock may have been a guest's that opened it.
      if (files.open.ofVolume(desired.volumeId).length > 0) return lookAgainMs;
      const chain = await files.chain(task.id);
      if (await waitsForOthers(task, chain, base)) return lookAgainMs;
      if (awaitsKeys(task, idsOf(chain))) return awaitKeyMs;
      await noted(task, desired, base, () => sinkHere(task, chain, { base, work }));
      return undefined;
    });
  });
};

function requireLayer(onto: BuildsOn): Base {
  if (onto?.kind === 'layer') return onto;
  throw new HostFault('invalid', 'what a cache holds can only go down into a layer', { permanent: true });
}

/** Its guest may have a top by now that is above this one, and goes on writing to that. */
async function sinkInGuest(
  task: LayerTask,
  desired: DesiredLayer,
  { open, base, work }: { open: OpenLayer; base: Base; work: ToolWork },
): Promise<number | undefined> {
  const { files } = task.context;
  const { volumeId } = open;
  const execute: Execute = (command, args) => open.execute(command, args);
  // While a guest that comes or goes holds it the chain is not what its QEMU has.
  const above = await files.lock(open.layerId, () => files.chain(open.layerId));
  const at = [above.top, ...above.lower].findIndex(({ layerId }) => layerId === task.id);
  if (at < 0) {
    task.say('waiting for the guest to have it open');
    return lookAgainMs;
  }
  const chain = await files.chain(task.id);
  if (await waitsForOthers(task, chain, base)) return lookAgainMs;
  const sunk = between(chain, base);
  const keyId = chain.top.key?.id;
  const isBase = desired.cache?.role === 'base';
  await files.lockNodes(volumeId, () => withoutReads(execute, chain, { volumeId, sunk }));
  const names = { volumeId, top: open.layerId, layerId: task.id, sunk, onto: base.id };
  const sinking = { ...names, keyId, isBase, base: openedAs(chain, volumeId, base) };
  const ending = (end: () => Promise<void>) => files.lockNodes(volumeId, end);
  await noted(task, desired, base, () => sinkJob(execute, sinking, work, ending));
  await files.links.closed(volumeId, sunk);
  return undefined;
}

/** What the base builds on, of which nothing sinks any more: the lowest goes first. */
function openedAs({ lower, base: image }: LayerChain, volumeId: VolumeId, { id }: Base): Sinking['base'] {
  const at = lower.findIndex(({ layerId }) => layerId === id);
  const next = lower[at + 1];
  const below = next ? layerNode(volumeId, next.layerId) : image && baseNode(volumeId);
  return { base: below, keyId: lower[at]!.key?.id };
}

/** What is kept of reads below what sinks would sink too; and of what was added above it one is in force. */
async function withoutReads(
  execute: Execute,
  chain: LayerChain,
  { volumeId, sunk }: { volumeId: VolumeId; sunk: readonly LayerId[] },
): Promise<void> {
  const below = await belowIn(execute, chain, volumeId);
  for (const { layerId, key } of [chain.top, ...chain.lower]) {
    const covered = { volumeId, layerId, keyId: key?.id, below: sunk.includes(layerId) ? below(layerId) : '' };
    if (layerId === chain.top.layerId || sunk.includes(layerId)) await settleReads(execute, covered);
    // The files themselves go with a sweep: QEMU may have them open a moment longer.
    if (sunk.includes(layerId)) await dropReads(execute, covered);
  }
}

async function sinkHere(
  task: LayerTask,
  chain: LayerChain,
  { base, work }: { base: Base; work: ToolWork },
): Promise<void> {
  const { files, tools } = task.context;
  const below = chain.lower.find(({ layerId }) => layerId === base.id)!;
  const written = [chain.top.path, below.path];
  for (const path of written) await files.takeBack(path);
  await tools.sink(chain, base.id, work);
  for (const path of written) await files.takeBack(path);
}

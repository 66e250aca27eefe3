/** Steps that change what the file of a layer builds on, and how large it is; its content stays. */
import { constants, copyFile, rename, rm } from 'node:fs/promises';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { LayerId } from '../../../contract/ids.ts';
import type { Execute } from '../../../protocols/qmp/index.ts';
import { syncFile } from '../../files.ts';
import { HostFault } from '../../host-error.ts';
import { headerAt, keysOf, type LayerChain } from '../chain.ts';
import { basesOf, wantedBase } from '../decide.ts';
import { streamJob } from '../jobs.ts';
import { type BuildsOn, sameBase } from '../names.ts';
import { closeNodes } from '../nodes.ts';
import { forgetKeys } from '../secrets.ts';
import type { LayerTask } from '../task.ts';
import type { ToolWork } from '../tools.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import type { StepFunction } from './step.ts';

/** Who writes to it lets it go soon, or changes it itself. */
export const lookAgainMs = 500;

/**
 * A layer that a guest writes to its own QEMU changes. One that nobody has open is changed in its place; one that nobody writes to any more
 * is replaced by a changed copy, for guests may read it: they go on with the file that they have open.
 */
export const rebase: StepFunction<'rebase'> = async ({ task, desired }, { onto }) => {
  const { files, pools } = task.context;
  await pools.require(desired.pool, { toMake: true });
  const wanted = (now: DesiredLayer) => sameBase(wantedBase(now), onto);
  const [writer] = files.open.writersOf(task.id);
  return task.whileWanted(wanted, async (signal) => {
    const work = { signal, progress: (part: number) => task.say(`moving what it builds on into it, ${part} %`) };
    task.say('moving what it builds on into it');
    if (writer) {
      const chain = await files.chain(task.id);
      if (await waitsForOthers(task, chain, onto)) return lookAgainMs;
      const { volumeId } = writer;
      const execute: Execute = (command, args) => writer.execute(command, args);
      const stream = async () => {
        await streamJob(execute, { volumeId, layerId: task.id, onto }, work);
        // What it builds on may be erased next, and QEMU has only written that it needs that no more.
        if (task.context.durable) await syncFile((await task.path(desired))!);
      };
      await noted(task, desired, onto, stream);
      await closeNodes(execute, volumeId, between(chain, onto));
      await files.links.closed(volumeId, between(chain, onto));
      if (keysOf(chain).length > 0) await forgetKeys(execute, files, writer);
      return undefined;
    }
    return files.lock(task.id, async () => {
      // The lock may have been a guest's that opened it.
      if (files.open.writersOf(task.id).length > 0) return lookAgainMs;
      const chain = await files.chain(task.id);
      if (await waitsForOthers(task, chain, onto)) return lookAgainMs;
      if (awaitsKeys(task, idsOf(chain))) return awaitKeyMs;
      const act = desired.readOnly ? replace : change;
      await noted(task, desired, onto, () => act(task, chain, onto, work));
      return undefined;
    });
  });
};

export const idsOf = (chain: LayerChain) => keysOf(chain).map(({ id }) => id);

/** While the work is under way, and if this process dies in it also later, the file may say either: it changes with the last of the content. */
export async function noted(
  task: LayerTask,
  desired: DesiredLayer,
  onto: BuildsOn,
  work: () => Promise<void>,
): Promise<void> {
  const { ledger } = task.context;
  const before = basesOf(desired, ledger);
  const both = before.some((base) => sameBase(base, onto)) ? before : [...before, onto];
  await ledger.mayBuildOn(task.id, both);
  await work();
  const header = await headerAt((await task.path(desired))!, both);
  if (!header) return;
  if (!sameBase(header.buildsOn, onto))
    throw new HostFault('job_failed', 'QEMU ended its work on a layer, whose file does not say so');
  await ledger.mayBuildOn(task.id, [onto]);
}

/** Nearest first: each builds on the next one. */
export function between({ lower }: LayerChain, onto: BuildsOn): LayerId[] {
  const ids = lower.map(({ layerId }) => layerId);
  return onto?.kind === 'layer' ? ids.slice(0, ids.indexOf(onto.id)) : ids;
}

/** What lies between has to be there, and final: a guest may just be leaving it. */
export async function waitsForOthers(task: LayerTask, { lower, base }: LayerChain, onto: BuildsOn): Promise<boolean> {
  const { files } = task.context;
  const at = onto?.kind === 'layer' ? lower.findIndex(({ layerId }) => layerId === onto.id) : lower.length;
  const isBelow = onto?.kind === 'image' ? base?.imageId === onto.id : at >= 0;
  if (!isBelow) {
    throw new HostFault('invalid', 'a layer can only be made to build on what lies below it already', {
      permanent: true,
    });
  }
  if (lower.slice(0, at + 1).some(({ layerId }) => files.open.writersOf(layerId).length > 0)) {
    task.say('waiting for the guest to write no more to what it builds on');
    return true;
  }
  for (const { path, cache } of lower) if (!cache) await files.seal(path);
  return false;
}

async function change(task: LayerTask, chain: LayerChain, onto: BuildsOn, work: ToolWork): Promise<void> {
  // What was made of it may have left it open to readers alone.
  await task.context.files.takeBack(chain.top.path);
  await task.context.tools.stream(chain, onto, work);
  await task.context.files.takeBack(chain.top.path);
  if (task.context.durable) await syncFile(chain.top.path);
}

async function replace(task: LayerTask, chain: LayerChain, onto: BuildsOn, work: ToolWork): Promise<void> {
  const { tools, files, durable } = task.context;
  const { path } = chain.top;
  const beside = `${path}.rebased`;
  try {
    // Where the file system can, both share their blocks.
    await copyFile(path, beside, constants.COPYFILE_FICLONE);
    await files.takeBack(beside);
    await tools.stream({ ...chain, top: { ...chain.top, path: beside } }, onto, work);
    await files.seal(beside);
    if (durable) await syncFile(beside);
    await task.context.step('rebase-copy');
    work.signal.throwIfAborted();
    await rename(beside, path);
    files.changed(task.id);
  } finally {
    if (!task.closed) await rm(beside, { force: true });
  }
}

export const grow: StepFunction<'grow'> = async ({ task, desired }) => {
  const { files, tools, durable } = task.context;
  task.say('growing the layer');
  return files.lock(task.id, async () => {
    if (files.open.writersOf(task.id).length > 0) return lookAgainMs;
    const chain = await files.chain(task.id);
    // Never smaller: QEMU would cut off what is beyond without asking.
    if (chain.top.sizeBytes >= desired.sizeBytes) return undefined;
    if (awaitsKeys(task, idsOf(chain))) return awaitKeyMs;
    for (const { path, cache } of chain.lower) if (!cache) await files.seal(path);
    await task.context.ledger.mayBecome(task.id, desired.sizeBytes);
    await files.takeBack(chain.top.path);
    await tools.grow(chain, desired.sizeBytes);
    await files.takeBack(chain.top.path);
    if (durable) await syncFile(chain.top.path);
    files.changed(task.id);
    return undefined;
  });
};

/** The end of a layer: its files, then what is remembered of it. */
import { rm } from 'node:fs/promises';
import type { StepFunction } from './step.ts';

/** Also what a step that ended in its middle left beside it. */
export const leftovers = ['.new', '.restored', '.rebased', '.image', '.copied'] as const;

export const remove: StepFunction<'remove'> = async ({ task, desired }) => {
  const { files, ledger, outcomes } = task.context;
  await ledger.erase(task.id, desired.epoch);
  await task.context.step('note-erased');
  await files.links.closed(desired.volumeId, [task.id]);
  const path = await task.path(desired);
  if (path !== undefined) {
    await files.lock(task.id, async () => {
      await rm(path, { force: true });
      for (const suffix of leftovers) await rm(`${path}${suffix}`, { force: true });
    });
  }
  if (outcomes.of(task.id)) await outcomes.forget(task.id);
  return undefined;
};

/** Steps of a layer that is the second copy of a volume whose guest runs on another host (../receive). */
import { HostFault } from '../../host-error.ts';
import { idsOf, lookAgainMs } from './changing.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import type { StepFunction } from './step.ts';

export const receiveWrites: StepFunction<'receive-writes'> = async ({ task, desired }) => {
  const { files, receivers } = task.context;
  const { receives } = desired;
  if (!receives) return undefined;
  return files.lock(task.id, async () => {
    if (files.open.writersOf(task.id).length > 0) return lookAgainMs;
    const chain = await files.openable(task.id);
    if ([chain.top, ...chain.lower].some(({ remote, cache }) => remote || cache))
      throw new HostFault('invalid', 'a second copy is a file, and of no cache', { permanent: true });
    if (awaitsKeys(task, idsOf(chain))) return awaitKeyMs;
    await receivers.start(desired, receives.key, chain);
    return undefined;
  });
};

export const endReceiving: StepFunction<'end-receiving'> = async ({ task }) => {
  await task.context.receivers.end(task.id);
  return undefined;
};

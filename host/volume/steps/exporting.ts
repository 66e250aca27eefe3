/** Steps that give the top of a volume to a machine outside, and take it from it (../export). */
import { HostFault } from '../../host-error.ts';
import { keysOf } from '../chain.ts';
import { noPortal } from '../export/exports.ts';
import { lookAgainMs } from './changing.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import type { StepFunction } from './step.ts';

export const exportIt: StepFunction<'export'> = async ({ task, desired }) => {
  const { files, exports } = task.context;
  const wanted = desired.export;
  if (!wanted) return undefined;
  if (!exports.portal) throw noPortal();
  task.say('exporting the volume');
  return files.lock(task.id, async () => {
    if (files.open.ofVolume(desired.volumeId).length > 0) return lookAgainMs;
    const chain = await files.chain(task.id);
    if ([chain.top, ...chain.lower].some(({ remote, cache }) => remote || cache)) {
      throw new HostFault('export_refused', 'a volume of a cluster, or with a cache, is exported to nobody', {
        permanent: true,
      });
    }
    if (awaitsKeys(task, [...keysOf(chain).map(({ id }) => id), wanted.secretId])) return awaitKeyMs;
    await exports.start({ ...desired, export: wanted }, chain, files.keys.of(wanted.secretId)!);
    return undefined;
  });
};

export const limitExport: StepFunction<'limit-export'> = async ({ task, desired }) => {
  await task.context.exports.limit(task.id, desired.export?.limits);
  return undefined;
};

export const endExport: StepFunction<'end-export'> = async ({ task }) => {
  task.say('waiting for the export of the volume to end');
  await task.context.exports.end(task.id);
  return undefined;
};

/** A layer that is a copy of another host's: its file comes beside its place, says what it builds on here, and is put in place when it is whole. */
import { rm } from 'node:fs/promises';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import { syncFile } from '../../files.ts';
import { wantedBase } from '../decide.ts';
import { nameBase } from '../header.ts';
import { awaitDigestMs, imageFor, putInPlace } from './making.ts';
import type { StepFunction } from './step.ts';

export const copy: StepFunction<'copy'> = async ({ task, desired }) => {
  const { pools, copies, files, durable } = task.context;
  await pools.require(desired.pool, { toMake: true });
  const base = wantedBase(desired);
  if (base?.kind === 'image' && (await imageFor(task, desired.image!, desired)) === undefined) return awaitDigestMs;
  const path = (await task.path(desired))!;
  const from = desired.copyOf!;
  const beside = `${path}.copied`;
  const wanted = ({ copyOf }: DesiredLayer) => copyOf?.layerId === from.layerId;
  try {
    task.say('copying from another host');
    let saidAtMs = 0;
    const progress = (received: number, total: number) => {
      if (performance.now() - saidAtMs < sayEveryMs) return;
      saidAtMs = performance.now();
      // Control throws a round of a replica away that comes no further, counts what has yet to come as taken, and tells how far a volume is on its way.
      task.say(`copying from another host, ${mebibytes(received)} of ${mebibytes(total)} MiB`, received);
    };
    const { sizeBytes } = desired;
    await task.whileWanted(wanted, (signal) => copies.take(from, { to: beside, sizeBytes }, { signal, progress }));
    await nameBase(beside, base, desired);
    await files.takeBack(beside);
    if (durable) await syncFile(beside);
    await task.context.step('copy-layer');
    await putInPlace(task, { beside, path, base });
  } catch (error) {
    if (!task.closed) await rm(beside, { force: true });
    throw error;
  }
  return undefined;
};

const sayEveryMs = 1000;
const mebibytes = (bytes: number) => Math.floor(bytes / 2 ** 20);

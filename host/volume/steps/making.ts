/** Steps that make the file of a layer: beside its place, then renamed, then noted. */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DesiredImage, DesiredLayer } from '../../../contract/host/index.ts';
import type { VolumeKeyId } from '../../../contract/ids.ts';
import { syncFile } from '../../files.ts';
import { HostFault } from '../../host-error.ts';
import { wantedBase } from '../decide.ts';
import { luksHeader } from '../luks.ts';
import { type BuildsOn, sameBase } from '../names.ts';
import { writeOverlay } from '../overlay.ts';
import type { LayerTask } from '../task.ts';
import { keyOf, linksOf, sealInto } from './sealing.ts';
import type { StepFunction } from './step.ts';

/** An empty one: what it builds on is a name in its header, and costs nothing. */
export const make: StepFunction<'make'> = async ({ task, desired }) => {
  await task.context.pools.require(desired.pool, { toMake: true });
  const path = (await task.path(desired))!;
  const { encryption } = desired;
  if (encryption && awaitsKeys(task, [encryption.keyId])) return awaitKeyMs;
  // An encrypted one is made on its image, which is then moved into it.
  const base: BuildsOn = encryption && desired.image ? { kind: 'image', id: desired.image.id } : wantedBase(desired);
  const format = base?.kind === 'image' ? await imageFor(task, desired.image!, desired) : 'qcow2';
  if (format === undefined) return awaitDigestMs;
  // As a rule it is made before anybody could read that.
  const slow = setTimeout(() => task.say('making the layer'), slowMs);
  try {
    const beside = `${path}.new`;
    const { sizeBytes } = desired;
    const luks = encryption && luksHeader(encryption, task.context.files.keys.of(encryption.keyId)!);
    // What it may build on is noted meanwhile: it is the layer's file only once it is in its place.
    await Promise.all([
      writeOverlay(beside, { sizeBytes, buildsOn: base, format, luks }, task.context),
      task.context.ledger.mayBuildOn(task.id, [base]),
    ]);
    await putInPlace(task, { beside, path, base });
  } finally {
    clearTimeout(slow);
  }
  return undefined;
};

const slowMs = 500;

export const awaitKeyMs = 500;

/** They are not here yet: that is said, and they are asked for. @throws HostFault `key_lost` */
export function awaitsKeys(task: LayerTask, ids: readonly VolumeKeyId[]): boolean {
  const awaited = task.context.files.keys.missing(ids);
  if (awaited !== undefined) task.say(awaited);
  return awaited !== undefined;
}

/** The file is the layer's, and that is noted. */
export async function putInPlace(
  task: LayerTask,
  { beside, path, base }: { beside: string; path: string; base: BuildsOn },
): Promise<void> {
  const { context, id } = task;
  await context.ledger.mayBuildOn(id, [base]);
  await rename(beside, path);
  await context.step('place-layer');
  if (context.durable) await context.sync.ask(dirname(path));
  await context.ledger.made(id);
  context.files.changed(id);
}

/** The document that has it wakes the task; this is for the case that the image comes here otherwise. */
export const awaitDigestMs = 30_000;

/** The format in which guests read the image, once it is here; undefined where it can't be verified yet. */
export async function imageFor(
  task: LayerTask,
  image: DesiredImage,
  { sizeBytes, imageEncryption }: DesiredLayer,
): Promise<'raw' | 'qcow2' | undefined> {
  const { images, fetcher } = task.context;
  if (image.sha256 === null && !images.facts(image.id)) {
    task.say('waiting for the digest of the image');
    return undefined;
  }
  let base = images.base(image.id);
  if (!base) {
    task.say('fetching the image');
    const timer = setInterval(() => task.say(fetcher.progress(image) ?? 'fetching the image'), 1000);
    const wanted = (desired: DesiredLayer) => sameBase(wantedBase(desired), { kind: 'image', id: image.id });
    try {
      await task.whileWanted(wanted, (signal) => fetcher.ensure(image, signal));
    } finally {
      clearInterval(timer);
    }
    base = images.base(image.id)!;
  }
  const { virtualSizeBytes, encrypted = false } = images.facts(image.id)!;
  if (encrypted !== (imageEncryption !== undefined)) {
    const message = encrypted ? 'the image is encrypted, and its key is gone' : 'the image is not encrypted';
    throw new HostFault('image_refused', message, { permanent: true });
  }
  if (virtualSizeBytes === null) throw new HostFault('image_refused', 'the image is no disk', { permanent: true });
  if (virtualSizeBytes > sizeBytes) {
    const message = `the volume of ${sizeBytes} bytes is smaller than the image, which needs ${virtualSizeBytes}`;
    throw new HostFault('disk_too_small', message, { permanent: true });
  }
  return base.format;
}

/** It is here again; the layer's file says in which format it reads it. */
export const fetch: StepFunction<'fetch'> = async ({ task, desired }) =>
  (await imageFor(task, desired.image!, desired)) === undefined ? awaitDigestMs : undefined;

/** What a backup holds, as a layer that stands for itself. */
export const restore: StepFunction<'restore'> = async ({ task, desired }) => {
  const { pools, backups, tools, files, durable } = task.context;
  await pools.require(desired.pool, { toMake: true });
  const path = (await task.path(desired))!;
  const { name, sha256, backupId, encrypted = false } = desired.source!;
  const { encryption, sizeBytes } = desired;
  if (encrypted && !encryption)
    throw new HostFault('encrypted', 'an encrypted backup is not restored in the clear', { permanent: true });
  if (encryption && awaitsKeys(task, [encryption.keyId])) return awaitKeyMs;
  task.say('verifying the backup');
  const beside = `${path}.restored`;
  const wanted = (now: DesiredLayer) => now.source?.backupId === backupId;
  try {
    await task.whileWanted(wanted, async (signal) => {
      const chain = await backups.chain(name, sha256, signal);
      const work = { signal, progress: (part: number) => task.say(`restoring the backup, ${part} %`) };
      task.say('restoring the backup');
      if (encryption) {
        const [top, ...lower] = linksOf(chain, { sizeBytes, key: encrypted ? keyOf(task, encryption) : undefined });
        return sealInto(task, { to: beside, encryption, sizeBytes, below: { top: top!, lower, base: null } }, work);
      }
      const file = await open(beside, 'w', 0o600);
      await file.close();
      await tools.restore(chain, beside, work);
    });
    await files.takeBack(beside);
    if (durable) await syncFile(beside);
    await task.context.step('copy-backup');
    await putInPlace(task, { beside, path, base: null });
  } finally {
    if (!task.closed) await rm(beside, { force: true });
  }
  return undefined;
};

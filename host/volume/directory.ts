/** Layers as qcow2 files in a directory. Owns nothing; what is done to them is in steps/. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { DesiredLayer } from '../../contract/host/index.ts';
import { isNoEntry } from '../files.ts';
import { HostFault } from '../host-error.ts';
import type { LayerChain } from './chain.ts';
import { basesOf, isShared, largestOf } from './decide.ts';
import { type LayerHeader, readHeader } from './header.ts';
import type { LayerKind } from './kind.ts';
import { requireSize } from './layer-files.ts';
import { writeOverlay } from './overlay.ts';
import { grow, rebase } from './steps/changing.ts';
import { copy } from './steps/copying.ts';
import { fetch, make, restore } from './steps/making.ts';
import { takeOver } from './steps/managing.ts';
import { remove } from './steps/removing.ts';
import { sink } from './steps/sinking.ts';
import type { LayerTask, SeenLayer } from './task.ts';
import { isWritten } from './written.ts';

export const directoryLayers: LayerKind = {
  look,
  steps: {
    make,
    restore,
    'take-over': takeOver,
    copy,
    fetch,
    rebase,
    sink,
    grow,
    async seal({ task, desired }) {
      return takenFrom(task, desired, (path) => task.context.files.seal(path));
    },
    async 'take-back'({ task, desired }) {
      return takenFrom(task, desired, (path) => task.context.files.takeBack(path));
    },
    remove,
  },
  whileStill,
  readsImages: true,
};

/** From a guest that had it open. */
async function takenFrom(
  task: LayerTask,
  desired: DesiredLayer,
  take: (path: string) => Promise<void>,
): Promise<undefined> {
  const { files } = task.context;
  const path = (await task.path(desired))!;
  await files.lock(task.id, async () => {
    // The lock may have been a guest's that opened it.
    if (files.open.writersOf(task.id).length === 0) await take(path);
  });
}

async function look(task: LayerTask, desired: DesiredLayer): Promise<SeenLayer | undefined> {
  const path = await task.path(desired);
  return path === undefined ? undefined : lookAt(task, path, desired);
}

async function lookAt(task: LayerTask, path: string, desired: DesiredLayer): Promise<SeenLayer | undefined> {
  const { ledger, guestGid } = task.context;
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
  try {
    // What shall go may be damaged.
    const reading: LayerHeader | Promise<LayerHeader> =
      desired.presence === 'absent'
        ? { sizeBytes: 0, buildsOn: null }
        : readHeader(file, basesOf(desired, ledger), desired.encryption !== undefined);
    const [{ uid, gid, mode, blocks }, header] = await Promise.all([file.stat(), reading]);
    // A base is as large as what sank into it.
    if (desired.presence === 'present' && !desired.readOnly && desired.cache?.role !== 'base')
      requireSize(header, largestOf(desired, ledger));
    const owner =
      guestGid === undefined ? (isShared(desired) ? 'group' : 'root') : ownerOf({ uid, gid, mode }, guestGid);
    const written = desired.watched === true && desired.presence === 'present' ? await isWritten(file) : undefined;
    return { ...header, allocatedBytes: blocks * 512, owner, ...(written !== undefined && { written }) };
  } finally {
    await file.close();
  }
}

function ownerOf(file: { uid: number; gid: number; mode: number }, guestGid: number): 'group' | 'root' | 'guest' {
  if (file.uid !== 0) return 'guest';
  const shared = file.gid === guestGid && (file.mode & 0o777) === 0o440;
  if (shared) return 'group';
  return file.gid === 0 && (file.mode & 0o077) === 0 ? 'root' : 'guest';
}

async function whileStill<T>(
  task: LayerTask,
  desired: DesiredLayer,
  work: (chain: LayerChain) => Promise<T>,
): Promise<T> {
  const { files } = task.context;
  return files.lock(task.id, async () => {
    if (files.open.writersOf(task.id).length > 0) throw new HostFault('layer_not_ready', 'a guest writes to the layer');
    const chain = await files.chain(task.id);
    // Its guest's QEMU may have written any size into its file: what is made of it would take as much, of space and of time.
    if (chain.top.sizeBytes > desired.sizeBytes)
      throw new HostFault('layer_damaged', 'the file of the layer is larger than the layer', { permanent: true });
    for (const { path } of [chain.top, ...chain.lower]) await files.seal(path);
    if (chain.top.sizeBytes >= desired.sizeBytes) return work(chain);
    const path = `${chain.top.path}.image`;
    try {
      // Larger than what it builds on: zeros beyond its end.
      const { sizeBytes } = desired;
      await rm(path, { force: true });
      await writeOverlay(
        path,
        { sizeBytes, buildsOn: { kind: 'layer', id: task.id }, format: 'qcow2' },
        { durable: false },
      );
      await files.seal(path);
      const top = { layerId: task.id, path, sizeBytes: desired.sizeBytes };
      return await work({ ...chain, top, lower: [chain.top, ...chain.lower] });
    } finally {
      if (!task.closed) await rm(path, { force: true });
    }
  });
}

/**
 * Files of layers that pass between hosts, as they are: given to a host that the layer's document names, and taken whole from one. Owns nothing: what was
 * taken in part is the caller's to remove, and is taken again from its beginning.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { type DesiredLayer, hostPaths } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import type { OpenSource } from '../image/fetch.ts';
import { isShared, wantedBase } from './decide.ts';
import { readHeader } from './header.ts';
import type { LayerFiles } from './layer-files.ts';
import { sameBase } from './names.ts';

/** More would take the disk from guests. */
const atATime = 2;

/** Tables and what QEMU has left unused come on top of the content; a file that its guest's QEMU has blown up is not taken. */
const largestFileOf = (sizeBytes: number): number => 2 * sizeBytes + 64 * 2 ** 20;

export interface CopyWork {
  signal: AbortSignal;
  progress(receivedBytes: number, totalBytes: number): void;
}

export class LayerCopies {
  readonly #open: OpenSource;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(open: OpenSource) {
    this.#open = open;
  }

  /**
   * The bytes of another host's layer, of that host alone, in a file of this name; runs of zeros are holes.
   * @param sizeBytes as a guest sees the layer
   * @throws HostFault `layer_unreachable`, `layer_damaged`
   */
  async take(
    { layerId, host, hostId }: NonNullable<DesiredLayer['copyOf']>,
    { to, sizeBytes }: { to: string; sizeBytes: number },
    work: CopyWork,
  ): Promise<void> {
    if (this.#running >= atATime) await new Promise<void>((go) => this.#waiting.push(go));
    this.#running++;
    try {
      work.signal.throwIfAborted();
      const { body } = await this.#open(`${host}${hostPaths.layer(layerId)}`, 0, work.signal, hostId).catch((cause) => {
        const message = `layer ${layerId} can not be copied from ${host}: ${cause.message}`;
        throw new HostFault('layer_unreachable', message, { cause });
      });
      const total = Number(body.headers['content-length']);
      if (!(total <= largestFileOf(sizeBytes))) {
        body.destroy();
        throw new HostFault('layer_damaged', `the file of layer ${layerId} is larger than it may be`);
      }
      const file = await open(to, 'w', 0o600);
      try {
        await writeSparse(file, body as AsyncIterable<Buffer>, total, work);
      } finally {
        await file.close();
      }
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

const zeros = Buffer.alloc(64 * 1024);
const isZero = (bytes: Buffer): boolean =>
  bytes.length <= zeros.length ? bytes.equals(zeros.subarray(0, bytes.length)) : bytes.every((byte) => byte === 0);

async function writeSparse(
  file: FileHandle,
  body: AsyncIterable<Buffer>,
  total: number,
  { progress }: CopyWork,
): Promise<void> {
  let position = 0;
  for await (const chunk of body) {
    if (!isZero(chunk)) await file.write(chunk, 0, chunk.length, position);
    position += chunk.length;
    progress(position, total);
  }
  if (position !== total)
    throw new HostFault('layer_unreachable', `the source ended after ${position} of ${total} bytes`);
  await file.truncate(total);
}

/**
 * The file of a layer, for a host that takes a copy of it: what replaces it afterwards is not seen by who has it open. Within `files.lock` of the layer.
 * @throws HostFault `not_found` where that host may not have it, `conflict` as long as it is not final
 */
export async function openForCopy(
  desired: DesiredLayer | undefined,
  path: string | undefined,
  { hostId, files }: { hostId: HostId | undefined; files: LayerFiles },
): Promise<FileHandle> {
  const mayRead = hostId !== undefined && desired?.presence === 'present' && desired.copiedBy?.includes(hostId);
  if (!mayRead) throw new HostFault('not_found', 'there is no such layer for this host');
  const { id } = desired;
  if (!isShared(desired)) throw new HostFault('conflict', `layer ${id} is still written to`);
  if (!files.open.complete || files.open.writersOf(id).length > 0)
    throw new HostFault('conflict', `a guest may still write to layer ${id}`);
  if (path === undefined) throw new HostFault('conflict', `layer ${id} is no file`);
  await files.seal(path);
  const file = await open(path, 'r');
  try {
    const base = wantedBase(desired);
    const { buildsOn } = await readHeader(file, [base, ...files.basesOf(id)], desired.encryption !== undefined);
    if (!sameBase(buildsOn, base)) throw new HostFault('conflict', `layer ${id} is being moved`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

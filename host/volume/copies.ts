/**
 * Files of layers that pass between hosts, as they are: given to a host that the layer's document names, and taken whole from one. Owns nothing: what was
 * taken in part is the caller's to remove, and is taken again from its beginning.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { type DesiredLayer, hostPaths } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import type { OpenSource } from '../image/fetch.ts';
import { CopyTurns } from './copy-turns.ts';
import { isShared, wantedBase } from './decide.ts';
import { readHeader } from './header.ts';
import type { LayerFiles } from './layer-files.ts';
import { sameBase } from './names.ts';

/** More would take the disk from guests. Of rounds of replicas, which are small and shall not be late, of replicas that are copied whole, and of all else. */
const atATime = 2;

/** What comes slower, over so long, takes the turn of others: it is tried again later. */
const slowest = { bytesPerSecond: 2 ** 20, overMs: 60_000 };

/** Tables and what QEMU has left unused come on top of the content; a file that its guest's QEMU has blown up is not taken. */
const largestFileOf = (sizeBytes: number): number => 2 * sizeBytes + 64 * 2 ** 20;

/** A file, and the layer's size as a guest sees it. */
interface CopyTarget {
  to: string;
  sizeBytes: number;
}

export interface CopyWork {
  signal: AbortSignal;
  progress(receivedBytes: number, totalBytes: number): void;
}

export class LayerCopies {
  readonly #open: OpenSource;
  readonly #now: () => number;
  readonly #turns = { rounds: new CopyTurns(atATime), whole: new CopyTurns(atATime), others: new CopyTurns(atATime) };

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(open: OpenSource, now: () => number = () => performance.now()) {
    this.#open = open;
    this.#now = now;
  }

  /**
   * The bytes of another host's layer, of that host alone, in a file of this name; runs of zeros are holes.
   * @throws HostFault `layer_unreachable`, `layer_damaged`; the signal's reason, also while it waits for its turn
   */
  take(copy: NonNullable<DesiredLayer['copyOf']>, into: CopyTarget, work: CopyWork): Promise<void> {
    const { rounds, whole, others } = this.#turns;
    const turns = copy.replica ? (copy.whole ? whole : rounds) : others;
    return turns.take(work.signal, () => this.#take(copy, into, work));
  }

  async #take(
    { layerId, host, hostId }: NonNullable<DesiredLayer['copyOf']>,
    { to, sizeBytes }: CopyTarget,
    work: CopyWork,
  ): Promise<void> {
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
      await writeSparse(file, fastEnough(body, this.#now), total, work);
    } finally {
      await file.close();
    }
  }
}

/** @throws HostFault `layer_unreachable` where it is not */
async function* fastEnough(body: AsyncIterable<Buffer>, now: () => number): AsyncIterable<Buffer> {
  let [sinceMs, bytes] = [now(), 0];
  for await (const chunk of body) {
    yield chunk;
    bytes += chunk.length;
    const ms = now() - sinceMs;
    if (ms < slowest.overMs) continue;
    if (bytes < (slowest.bytesPerSecond * ms) / 1000)
      throw new HostFault('layer_unreachable', `the source gave ${bytes} bytes in ${Math.round(ms / 1000)} s`);
    [sinceMs, bytes] = [now(), 0];
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

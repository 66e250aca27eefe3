/**
 * Content between images of the cluster and files of this host: images that are copied in, backups that are restored, layers of other pools;
 * and back, for images and backups to be made. Files are what the programs behind walls know, so nothing but our own raw bytes passes
 * between them and the cluster. Owns `<data>/rbd-work`, which is emptied at each start.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageId, LayerId } from '../../../contract/ids.ts';
import type { LayerChain } from '../chain.ts';
import type { LayerContext } from '../context.ts';
import { writeOverlay } from '../overlay.ts';
import type { ToolWork } from '../tools.ts';
import { exists, longMs, noEntry, type RbdClient, unless } from './client.ts';

const mebibyte = 2 ** 20;
/** As `rbd` takes a size; it has no smaller unit that all its versions know. */
export const sizeOf = (bytes: number): string => `${Math.ceil(bytes / mebibyte)}M`;

export class RbdWork {
  readonly #directory: string;

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, 'rbd-work');
  }

  /** What another life of this process left is nobody's. */
  async open(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** Runs work with the name of a file that is not there yet, and is not there afterwards. */
  async withFile<T>(work: (path: string) => Promise<T>): Promise<T> {
    const path = join(this.#directory, randomUUID());
    try {
      return await work(path);
    } finally {
      await rm(path, { force: true });
    }
  }

  /** Makes an image of the cluster of what the chain holds. */
  async putIn(
    { tools, files }: Pick<LayerContext, 'tools' | 'files'>,
    client: RbdClient,
    { chain, to }: { chain: LayerChain; to: string },
    work: ToolWork,
  ): Promise<void> {
    await this.withFile(async (path) => {
      await (await open(path, 'wx', 0o600)).close();
      await tools.convert(chain, path, 'raw', work);
      await files.takeBack(path);
      await anew(client, to, () => client.rbd(['import', path, client.spec(to)], { timeoutMs: longMs, ...work }));
    });
  }

  /** Runs work with what an image or a snapshot of it holds, as a chain of files, so large. */
  async withChain<T>(
    { files }: Pick<LayerContext, 'files'>,
    client: RbdClient,
    { from, layerId, sizeBytes }: { from: string; layerId: LayerId; sizeBytes: number },
    { signal, act }: { signal?: AbortSignal; act: (chain: LayerChain) => Promise<T> },
  ): Promise<T> {
    return this.withFile(async (raw) =>
      this.withFile(async (top) => {
        await client.rbd(['export', from, raw], { timeoutMs: longMs, ...(signal && { signal }) });
        const imageId = layerId as string as ImageId;
        await writeOverlay(
          top,
          { sizeBytes, buildsOn: { kind: 'image', id: imageId }, format: 'raw' },
          { durable: false },
        );
        for (const path of [raw, top]) await files.seal(path);
        return act({ top: { layerId, path: top, sizeBytes }, lower: [], base: { path: raw, format: 'raw', imageId } });
      }),
    );
  }
}

/** Makes an image that nobody has noted: what has its name is what an earlier try, or its end, left. */
export async function anew(client: RbdClient, image: string, make: () => Promise<unknown>): Promise<void> {
  const spec = client.spec(image);
  if ((await make().then(() => true, unless(exists))) === true) return;
  await client.rbd(['rm', spec], { timeoutMs: longMs }).catch(unless(noEntry));
  await make();
}

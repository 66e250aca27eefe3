/**
 * Servers whose disks this host has erased because a document said so, with the epoch of each. A document that wants such a server
 * again under the same epoch comes from a database that is older than its deletion: an empty disk made in silence would pass for
 * the one that is gone. Owns `<data>/erased`, a line for each; the newest ten thousand are remembered.
 */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import { isServerId } from './record.ts';

const remembered = 10_000;

export class ErasedServers {
  readonly #path: string;
  readonly #epochs = new Map<ServerId, number>();

  constructor(dataDirectory: string) {
    this.#path = join(dataDirectory, 'erased');
  }

  async open(): Promise<void> {
    const text = (await readIfThere(this.#path))?.toString('utf8') ?? '';
    const lines = text.split('\n').filter((line) => line !== '');
    for (const line of lines.slice(-remembered)) {
      const [name = '', epoch = ''] = line.split(' ');
      const id = isServerId(name);
      if (id && /^\d{1,15}$/.test(epoch)) this.#epochs.set(id, Number(epoch));
    }
    if (lines.length <= 2 * remembered) return;
    await writeWhole(this.#path, [...this.#epochs].map(([id, epoch]) => `${id} ${epoch}\n`).join(''));
  }

  /** The last epoch under which the server's disk was erased here. */
  epochOf(id: ServerId): number | undefined {
    return this.#epochs.get(id);
  }

  /** Before the disk goes. */
  async add(id: ServerId, epoch: number): Promise<void> {
    if (this.#epochs.get(id) === epoch) return;
    await appendFile(this.#path, `${id} ${epoch}\n`, { mode: 0o600 });
    this.#epochs.set(id, epoch);
  }
}

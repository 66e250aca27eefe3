/**
 * Which layers this host has made and on what, and which it has erased and under which epoch. A layer that was made and whose file is gone is a
 * loss to be told, never an empty one in its place; and a document that wants one that was erased comes from a database that is older than that.
 *
 * A guest may write whatever it likes into the file of its layer, also as whose it builds on another tenant's. So what a file may say that it
 * builds on is kept here: one thing, and two while it is being made to build on another, of which the file says which it is. And it may say
 * any size: so the one that this host grew it to is kept.
 *
 * Owns `<data>/layers`, a line for each act, written again without what is over at each start. A line `+ <id>` comes after the file, so that
 * a crash between leaves a file that is found and noted; `- <id> <epoch>` comes before the file goes, `= <id> <base>...` and
 * `~ <id> <bytes>` before it can say so.
 */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { LayerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';
import { Together } from '../together.ts';
import { type BuildsOn, backingName, parseBackingName } from './names.ts';

/** Erased ones that are remembered. */
const remembered = 100_000;
const nothing = 'nothing';

const basesLine = (id: LayerId, bases: readonly BuildsOn[]): string =>
  `= ${id} ${bases.map((base) => (base ? backingName(base) : nothing)).join(' ')}\n`;

const sizeLine = (id: LayerId, sizeBytes: number): string => `~ ${id} ${sizeBytes}\n`;

export class LayerLedger {
  readonly #path: string;
  readonly #made = new Set<LayerId>();
  readonly #erased = new Map<LayerId, number>();
  readonly #bases = new Map<LayerId, readonly BuildsOn[]>();
  readonly #sizes = new Map<LayerId, number>();
  readonly #lines = new Together<string>((lines) => appendFile(this.#path, lines.join(''), { mode: 0o600 }));

  constructor(dataDirectory: string) {
    this.#path = join(dataDirectory, 'layers');
  }

  async open(): Promise<void> {
    const text = (await readIfThere(this.#path))?.toString('utf8') ?? '';
    for (const line of text.split('\n')) {
      const [sign, name = '', epoch = '', ...more] = line.split(' ');
      const id = parseId<LayerId>(name);
      if (id && sign === '+') this.#made.add(id);
      const bases = id && sign === '=' ? basesIn([epoch, ...more]) : [];
      if (id && bases.length > 0) this.#bases.set(id, bases);
      if (id && sign === '~' && /^\d{1,16}$/.test(epoch))
        this.#sizes.set(id, Math.max(this.#sizes.get(id) ?? 0, Number(epoch)));
      if (!id || sign !== '-' || !/^\d{1,15}$/.test(epoch)) continue;
      this.#made.delete(id);
      this.#bases.delete(id);
      this.#sizes.delete(id);
      this.#erased.delete(id);
      this.#erased.set(id, Number(epoch));
    }
    for (const id of [...this.#erased.keys()].slice(0, -remembered)) this.#erased.delete(id);
    if (text === '') return;
    const made = [...this.#made].map((id) => `+ ${id}\n`);
    const erased = [...this.#erased].map(([id, epoch]) => `- ${id} ${epoch}\n`);
    const bases = [...this.#bases].map(([id, known]) => basesLine(id, known));
    const sizes = [...this.#sizes].map(([id, bytes]) => sizeLine(id, bytes));
    // Erased first: one that was made again after that is both.
    await writeWhole(this.#path, [...erased, ...bases, ...sizes, ...made].join(''));
  }

  isMade(id: LayerId): boolean {
    return this.#made.has(id);
  }

  /** All that its file may say that it builds on; undefined: nothing is known, its document's word is all there is. */
  basesOf(id: LayerId): readonly BuildsOn[] | undefined {
    return this.#bases.get(id);
  }

  /** Before its file can say so. */
  async mayBuildOn(id: LayerId, bases: readonly BuildsOn[]): Promise<void> {
    if (isDeepStrictEqual(this.#bases.get(id), bases)) return;
    await this.#lines.ask(basesLine(id, bases));
    this.#bases.set(id, bases);
  }

  /** The largest that this host has made it after its making; undefined: it never did. */
  sizeOf(id: LayerId): number | undefined {
    return this.#sizes.get(id);
  }

  /** Before its file is so large. */
  async mayBecome(id: LayerId, sizeBytes: number): Promise<void> {
    if ((this.#sizes.get(id) ?? 0) >= sizeBytes) return;
    await this.#lines.ask(sizeLine(id, sizeBytes));
    this.#sizes.set(id, sizeBytes);
  }

  /** The last epoch under which it was erased here. */
  erasedEpoch(id: LayerId): number | undefined {
    return this.#erased.get(id);
  }

  /** Its file is there. */
  async made(id: LayerId): Promise<void> {
    if (this.#made.has(id)) return;
    await this.#lines.ask(`+ ${id}\n`);
    this.#made.add(id);
  }

  /** Before its file goes. */
  async erase(id: LayerId, epoch: number): Promise<void> {
    if (!this.#made.has(id) && this.#erased.get(id) === epoch) return;
    await this.#lines.ask(`- ${id} ${epoch}\n`);
    this.#made.delete(id);
    this.#bases.delete(id);
    this.#sizes.delete(id);
    this.#erased.set(id, epoch);
  }
}

/** A word that was cut off by a crash says nothing: its act was not begun. */
const basesIn = (words: readonly string[]): BuildsOn[] =>
  words.flatMap((word) => (word === nothing ? null : (parseBackingName(word) ?? [])));

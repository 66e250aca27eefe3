/**
 * What came of images and backups that were to be made of a layer, good or bad: kept until nobody asks any more, so that control hears of it
 * whatever dies meanwhile. Owns `<data>/layer-outcomes/<id>.json`, each replaced whole.
 */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObservedLayer } from '../../contract/host/index.ts';
import type { LayerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { readIfThere, writeWhole } from '../files.ts';

export interface Outcomes {
  captures: NonNullable<ObservedLayer['captures']>;
  backups: NonNullable<ObservedLayer['backups']>;
}

export class OutcomeStore {
  readonly #directory: string;
  readonly #durable: boolean;
  readonly #known = new Map<LayerId, Outcomes>();

  constructor(options: { dataDirectory: string; durable: boolean }) {
    this.#directory = join(options.dataDirectory, 'layer-outcomes');
    this.#durable = options.durable;
  }

  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory)) {
      const id = name.endsWith('.json') ? parseId<LayerId>(name.slice(0, -5)) : undefined;
      const outcomes = id && readOutcomes(await readIfThere(join(this.#directory, name)));
      if (outcomes) this.#known.set(id, outcomes);
    }
  }

  of(id: LayerId): Outcomes | undefined {
    return this.#known.get(id);
  }

  async save(id: LayerId, outcomes: Outcomes): Promise<void> {
    await writeWhole(this.#path(id), JSON.stringify(outcomes), { durable: this.#durable });
    this.#known.set(id, outcomes);
  }

  async forget(id: LayerId): Promise<void> {
    await rm(this.#path(id), { force: true });
    this.#known.delete(id);
  }

  #path(id: LayerId): string {
    return join(this.#directory, `${id}.json`);
  }
}

/** Of a damaged one nothing is known: what was made of the layer is made once more. */
function readOutcomes(bytes: Buffer | undefined): Outcomes | undefined {
  try {
    const { captures, backups } = JSON.parse(String(bytes)) as Outcomes;
    return Array.isArray(captures) && Array.isArray(backups) ? { captures, backups } : undefined;
  } catch {
    return undefined;
  }
}

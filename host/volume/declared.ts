/**
 * The pools that control has declared, as this host knows them. Owns `<data>/declared-pools.json`: a host whose control is away has them
 * all the same, and one that shall go is known to be leaving before anything of it is undone.
 */
import { join } from 'node:path';
import type { DeclaredPool } from '../../contract/host/index.ts';
import { readIfThere, writeWhole } from '../files.ts';

export interface Declared extends DeclaredPool {
  /** Control names it no more. */
  leaving?: true;
}

export class DeclaredPools {
  readonly #path: string;

  constructor(dataDirectory: string) {
    this.#path = join(dataDirectory, 'declared-pools.json');
  }

  /** @throws where the file is damaged: what is declared is told again with the next stream */
  async load(): Promise<Declared[]> {
    return JSON.parse((await readIfThere(this.#path))?.toString('utf8') ?? '[]') as Declared[];
  }

  async save(pools: readonly Declared[]): Promise<void> {
    await writeWhole(this.#path, JSON.stringify(pools), { durable: true });
  }
}

/**
 * What is declared from now on. One that is missing is leaving, and one whose place is another keeps the old one until nothing lies there:
 * a layer is never looked for where it is not.
 */
export function declaredNext(before: readonly Declared[], wanted: readonly DeclaredPool[]): Declared[] {
  const byName = new Map(wanted.map((pool) => [pool.name, pool]));
  const kept = before.map((pool): Declared => {
    const now = byName.get(pool.name);
    byName.delete(pool.name);
    return now && now.kind === pool.kind && now.source === pool.source ? now : { ...pool, leaving: true };
  });
  return [...kept, ...byName.values()];
}

/** Tags: texts on a resource, of which each is there once. The row's owner changes them; who sees the row sees them. */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { actorOf, type Caller } from './caller.ts';
import type { Database, Tx } from './database/database.ts';
import { type Listing, readRow } from './listing.ts';
import { lockOwn } from './rows.ts';

const maxTags = 50;
const maxLength = 255;

// biome-ignore lint/suspicious/noExplicitAny: only the tags of a row are read
type Tagged = Listing<any>;

/** @throws CloudError `invalid` */
export function checkTags(tags: readonly string[]): string[] {
  for (const tag of tags) {
    if (tag === '' || [...tag].length > maxLength || tag.includes('\0') || tag.includes(',')) {
      throw new CloudError('invalid', 'tag_invalid', { tag: tag.slice(0, 80), maximum: maxLength });
    }
  }
  const unique = [...new Set(tags)];
  if (unique.length > maxTags) throw new CloudError('invalid', 'too_many_tags', { maximum: maxTags });
  return unique;
}

export class TagService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async list(caller: Caller, listing: Tagged, id: string): Promise<string[]> {
    return ((await readRow(this.#database.query, caller, listing, id)) as { tags: string[] }).tags;
  }

  /** @throws CloudError `not_found` */
  async check(caller: Caller, listing: Tagged, id: string, tag: string): Promise<void> {
    if (!(await this.list(caller, listing, id)).includes(tag)) throw tagNotFound(tag);
  }

  replace(caller: Caller, listing: Tagged, id: string, tags: readonly string[]): Promise<string[]> {
    const wanted = checkTags(tags);
    return this.#change(caller, listing, id, () => wanted);
  }

  add(caller: Caller, listing: Tagged, id: string, tag: string): Promise<string[]> {
    return this.#change(caller, listing, id, (now) => checkTags([...now, tag]));
  }

  /** Beside those that are there. */
  addAll(caller: Caller, listing: Tagged, id: string, tags: readonly string[]): Promise<string[]> {
    return this.#change(caller, listing, id, (now) => checkTags([...now, ...tags]));
  }

  remove(caller: Caller, listing: Tagged, id: string, tag: string): Promise<string[]> {
    return this.#change(caller, listing, id, (now) => {
      if (!now.includes(tag)) throw tagNotFound(tag);
      return now.filter((one) => one !== tag);
    });
  }

  #change(caller: Caller, listing: Tagged, id: string, change: (now: string[]) => string[]): Promise<string[]> {
    return this.#database.transaction(actorOf(caller), async (tx: Tx) => {
      const visible = (await readRow(tx, caller, listing, id)) as { id: string; project_id: string; tags: string[] };
      const row = await lockOwn<typeof visible>(tx, caller, listing.noun, id, `update_${listing.noun}s_tags`, {
        maySee: () => visible !== undefined,
      });
      const tags = change(row.tags);
      await sql`update ${sql.table(listing.noun)} set tags = ${tags}::text[], generation = generation + 1, updated_at = now()
        where id = ${id}`.execute(tx);
      return tags;
    });
  }
}

const tagNotFound = (tag: string) => new CloudError('not_found', 'tag_not_found', { tag });

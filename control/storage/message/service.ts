/**
 * Messages: what came to nothing after it was accepted, with the reason. There is no table of them: they are the failed operations of
 * volumes and what is made of them (view `storage_message`), told until somebody takes them away or operations of that age are dropped.
 */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireProjectMember } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { type Listing, type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { containsAny } from '../volume/index.ts';

export interface MessageRow {
  id: string;
  project_id: string | null;
  resource_type: 'volume' | 'volume_snapshot' | 'backup';
  resource_id: string;
  verb: string;
  error_code: string | null;
  error_message: string | null;
  request_id: string | null;
  created_at: Date;
}

/** What a message is about; without a code: whatever the reason. */
export interface MessageKind {
  resource_type: string;
  verb: string;
  error_code?: string;
}

const listing: Listing<MessageRow> = {
  noun: 'storage_message',
  select: sql`t.*`,
  from: sql`storage_message t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    resource_type: { kind: 'text', sortable: true },
    resource_id: { kind: 'uuid', sortable: true },
    request_id: { kind: 'text', sortable: true },
    resource_like: { kind: 'text', matches: containsAny(sql`t.resource_id::text`) },
    request_like: { kind: 'text', matches: containsAny(sql`t.request_id`) },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
    /** Kinds, each as JSON. */
    kind: {
      kind: 'text',
      matches: (values) => sql`exists (select from unnest(${[...values]}::jsonb[]) as k
        where k ->> 'resource_type' = t.resource_type and k ->> 'verb' = t.verb
          and (k ->> 'error_code' is null or k ->> 'error_code' = t.error_code))`,
    },
  },
  visible: (caller) => (isAdmin(caller) ? sql`true` : sql`t.project_id = ${caller.projectId}::uuid`),
};

export class MessageService {
  readonly #database: Database;
  readonly #keepDays: number;

  /** @param options.keepDays how long operations are kept */
  constructor(options: { database: Database; keepDays: number }) {
    this.#database = options.database;
    this.#keepDays = options.keepDays;
  }

  list(caller: Caller, query: ListQuery = {}): Promise<MessageRow[]> {
    return listRows(this.#database.query, caller, listing, query);
  }

  /** @throws CloudError `not_found` */
  async get(caller: Caller, id: string): Promise<MessageRow> {
    if (parseId(id) === undefined) throw notFound('storage_message', id);
    return readRow(this.#database.query, caller, listing, id);
  }

  /** Until then it is told at least. */
  keptUntil({ created_at }: Pick<MessageRow, 'created_at'>): Date {
    return new Date(created_at.getTime() + this.#keepDays * 24 * 3600 * 1000);
  }

  /** It is told no more; the operation stays. @throws CloudError `forbidden`, `not_found` */
  async dismiss(caller: Caller, id: string): Promise<void> {
    if (!isAdmin(caller)) requireProjectMember(caller, 'delete a message');
    const message = await this.get(caller, id);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await sql`update operation set dismissed_at = now() where id = ${message.id} and dismissed_at is null`.execute(
        tx,
      );
    });
  }
}

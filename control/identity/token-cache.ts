/**
 * Verified tokens with what they may do, as last read. Bounded; the least recently used goes first.
 *
 * Never the truth: an entry is dropped when a change says that what it was read from may differ. An entry that was read
 * while such a change came in is not kept, since it may show the state before. Entries also age, so that a change
 * feed that is held back (by a long transaction: its horizon) can't keep a dead token alive for long.
 */

import type { Caller } from '../kit/caller.ts';
import type { Change, ChangeFeed } from '../kit/change-log/changes.ts';
import type { Authorization } from './authorization.ts';
import { catalogueTables } from './catalogue-tables.ts';
import type { Claims } from './token.ts';

export interface TokenEntry {
  claims: Claims;
  authorization: Authorization;
  caller: Caller;
  readAt: number;
  /** When it ends, by the same clock as `readAt`: it was issued by the database's, which may be far from this machine's. */
  endsAt: number;
  /** The token's document as text, made when it is first asked for. */
  document?: string;
}

/** What the cache needs of a change: rows of the change log, from the feed or of this process's own transactions. */
export type IdentityChange = Pick<Change, 'resource_type' | 'resource_id' | 'action' | 'body'>;

/** Tables that decide over tokens; a creation in those of the second list can't concern a token that exists. */
const deciding = new Set([
  'role',
  'role_implication',
  'role_assignment',
  'user_group_member',
  'token_revocation',
  'access_rule',
]);

const decidingUnlessNew = new Set(['user', 'project', 'domain', 'application_credential', 'trust']);

export class TokenCache {
  readonly #entries = new Map<string, TokenEntry>();
  readonly #maximum: number;
  readonly #maxAgeMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #applied = new Set<(changes: readonly IdentityChange[]) => void>();
  #epoch = 0;

  constructor(options: { maximum?: number; maxAgeMs?: number } = {}) {
    this.#maximum = options.maximum ?? 5000;
    this.#maxAgeMs = options.maxAgeMs ?? 5000;
  }

  /** Raised by every change that may matter. Note it before you read; `put` wants it. */
  get epoch(): number {
    return this.#epoch;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(token: string): TokenEntry | undefined {
    const entry = this.#entries.get(token);
    if (!entry) return undefined;
    this.#entries.delete(token);
    if (performance.now() - entry.readAt > this.#maxAgeMs) return undefined;
    this.#entries.set(token, entry);
    return entry;
  }

  /** @param epoch the cache's epoch before the entry was read */
  put(token: string, entry: TokenEntry, epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#entries.delete(token);
    this.#entries.set(token, entry);
    if (this.#entries.size > this.#maximum) this.#entries.delete(this.#entries.keys().next().value!);
  }

  clear(): void {
    this.#epoch += 1;
    this.#entries.clear();
  }

  /** Drops what the feed's changes may concern, and all where the database has another history. Answers how to end that. */
  follow(feed: Pick<ChangeFeed, 'subscribe' | 'onTurn'>): () => void {
    const turn = () => {
      this.clear();
      for (const listener of this.#listeners) listener();
    };
    const ends = [feed.subscribe((changes) => this.apply(changes)), feed.onTurn(turn)];
    return () => {
      for (const end of ends) end();
    };
  }

  /** Drops what these changes may concern. */
  apply(changes: readonly IdentityChange[]): void {
    for (const listener of this.#applied) listener(changes);
    const relevant = changes.filter(
      ({ resource_type, action }) =>
        deciding.has(resource_type) ||
        catalogueTables.has(resource_type) ||
        (decidingUnlessNew.has(resource_type) && action !== 'created'),
    );
    if (relevant.length === 0) return;
    this.#epoch += 1;
    const concerned = concernedBy(relevant);
    for (const [token, entry] of this.#entries) if (concerned(entry)) this.#entries.delete(token);
    for (const listener of this.#listeners) listener();
  }

  /** Called with all changes, before anybody is answered who made one. */
  onApply(listener: (changes: readonly IdentityChange[]) => void): void {
    this.#applied.add(listener);
  }

  /** Called after changes that may have ended someone's rights: whoever serves a long request asks again. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** One test for all of a batch, so that a long batch costs one walk over the entries. */
function concernedBy(changes: readonly IdentityChange[]): (entry: TokenEntry) => boolean {
  const ids = new Set<unknown>();
  for (const { resource_type, resource_id, body } of changes) {
    switch (resource_type) {
      case 'role':
      case 'role_implication':
      // A token's document holds the catalogue.
      case 'service':
      case 'endpoint':
      case 'region':
      case 'endpoint_group':
      case 'project_endpoint':
      case 'project_endpoint_group':
        return () => true;
      case 'role_assignment':
        if (body.user_id === null) return () => true;
        ids.add(body.user_id);
        break;
      case 'user_group_member':
      case 'access_rule':
        ids.add(body.user_id);
        break;
      case 'token_revocation':
        ids.add(body.audit_id);
        break;
      default:
        ids.add(resource_id);
    }
  }
  return ({ claims, authorization: { user, project, domain, trust } }) =>
    ids.has(claims.userId) ||
    ids.has(user.id) ||
    trust?.chain.some((id) => ids.has(id)) ||
    ids.has(claims.auditIds[0]) ||
    ids.has(claims.applicationCredentialId) ||
    ids.has(user.domain.id) ||
    ids.has(project?.id) ||
    ids.has(project?.domain.id) ||
    ids.has(domain?.id);
}

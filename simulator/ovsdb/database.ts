/**
 * One database in memory with the semantics of ovsdb-server: transactions are atomic and run one after the other.
 * Owns its rows. Commit listeners run in the order of commits, before the transaction's answer.
 */
import { type DatabaseSchema, parseSchema, type RawSchema } from '../../protocols/ovsdb/schema.ts';
import { checkResults, type OperationResult, Transaction } from '../../protocols/ovsdb/transaction.ts';
import { type Row, sameValue } from '../../protocols/ovsdb/value.ts';
import { Refusal } from './atom.ts';
import { prepare, References, UniqueIndexes } from './commit.ts';
import { Draft } from './draft.ts';
import { Execution, type WireOperation } from './execute.ts';

export interface Change {
  table: string;
  uuid: string;
  before: Row | undefined;
  after: Row | undefined;
}

interface Waiting {
  operations: WireOperation[];
  answer: (results: unknown[]) => void;
  until: number;
  timer: NodeJS.Timeout | undefined;
}

export class FakeDatabase {
  readonly raw: RawSchema;
  readonly schema: DatabaseSchema;
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #references = new References();
  readonly #unique = new UniqueIndexes();
  readonly #listeners = new Set<(changes: Change[]) => void>();
  #waiting: Waiting[] = [];

  constructor(raw: RawSchema) {
    this.raw = raw;
    this.schema = parseSchema(raw);
    for (const table of this.schema.tables.keys()) this.#tables.set(table, new Map());
  }

  rows(table: string): ReadonlyMap<string, Row> {
    return this.#tables.get(table)!;
  }

  /** Answers a function that ends the subscription. */
  onCommit(listener: (changes: Change[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** For simulators and tests: builds, commits, throws when refused. */
  edit(build: (transaction: Transaction) => void): OperationResult[] {
    const transaction = new Transaction(this.schema);
    build(transaction);
    const operations = transaction.operations as WireOperation[];
    return checkResults(transaction.operations, this.#attempt(operations).results);
  }

  /** Operations and results as on the wire. Resolves later only where a `wait` with a timeout is not yet met. */
  transact(operations: WireOperation[]): Promise<unknown[]> {
    const { results, waitMs } = this.#attempt(operations);
    if (waitMs <= 0) return Promise.resolve(results);
    return new Promise((answer) => {
      const waiting: Waiting = { operations, answer, until: Date.now() + waitMs, timer: undefined };
      if (Number.isFinite(waitMs)) waiting.timer = setTimeout(() => this.#retry(waiting, true), waitMs);
      this.#waiting.push(waiting);
    });
  }

  close(): void {
    for (const waiting of this.#waiting) clearTimeout(waiting.timer);
    this.#waiting = [];
  }

  #retry(waiting: Waiting, last: boolean): void {
    const { results, waitMs } = this.#attempt(waiting.operations);
    if (waitMs > 0 && !last) return;
    clearTimeout(waiting.timer);
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    waiting.answer(results);
  }

  #attempt(operations: WireOperation[]): { results: unknown[]; waitMs: number } {
    const draft = new Draft(this.#tables);
    const execution = new Execution(this.schema, draft);
    const results: unknown[] = [];
    for (const operation of operations) {
      try {
        results.push(execution.run(operation));
      } catch (error) {
        results.push(refused(error));
        while (results.length < operations.length) results.push(null);
        return { results, waitMs: execution.waitMs };
      }
    }
    try {
      prepare(this.schema, draft, this.#references);
      this.#checkCounts(draft);
      this.#unique.check(this.schema, draft);
    } catch (error) {
      return { results: [...results, refused(error)], waitMs: 0 };
    }
    this.#commit(draft);
    return { results, waitMs: 0 };
  }

  #checkCounts(draft: Draft): void {
    for (const table of this.schema.tables.values()) {
      if (table.maxRows === Number.POSITIVE_INFINITY) continue;
      if ([...draft.rows(table.name)].length > table.maxRows) {
        throw new Refusal('constraint violation', `${table.name} may hold ${table.maxRows} rows`);
      }
    }
  }

  #commit(draft: Draft): void {
    const changes: Change[] = [];
    for (const change of draft.touched()) {
      if (!different(change)) continue;
      const table = this.schema.tables.get(change.table)!;
      const rows = this.#tables.get(change.table)!;
      if (change.after) rows.set(change.uuid, change.after);
      else rows.delete(change.uuid);
      this.#references.replace(table, change.before, change.after);
      this.#unique.replace(table, change.before, undefined);
      changes.push(change);
    }
    // After all removals: one transaction may move a unique value from one row to another.
    for (const { table, after } of changes) this.#unique.replace(this.schema.tables.get(table)!, undefined, after);
    if (changes.length === 0) return;
    for (const listener of [...this.#listeners]) listener(changes);
    for (const waiting of [...this.#waiting]) this.#retry(waiting, false);
  }
}

function different({ before, after }: Change): boolean {
  if (!before || !after) return before !== after;
  return Object.keys(after).some((column) => column !== '_version' && !sameValue(before[column]!, after[column]!));
}

function refused(error: unknown): { error: string; details: string } {
  if (error instanceof Refusal) return { error: error.tag, details: error.message };
  throw error;
}

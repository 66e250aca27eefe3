/**
 * Builds the operations of one transaction, typed by the schema, and reads their results.
 *
 * A refused operation is a *successful* call: its element holds `error`, the ones after it are null. A refused commit
 * (constraint, index, reference) is one element more than there were operations. `checkResults` looks at all of them.
 */
import { OvsdbError, TransactionError } from './errors.ts';
import { columnOf, type DatabaseSchema, tableOf } from './schema.ts';
import { type Columns, fromWire, type Row, rowToWire, toWire, type Value, type Wire } from './value.ts';

export type Operation = Readonly<{ op: string; table?: string } & Record<string, Wire>>;
export type ConditionFunction = '==' | '!=' | 'includes' | 'excludes' | '<' | '<=' | '>' | '>=';
export type Condition = readonly [column: string, fn: ConditionFunction, value: Value];
/** A row by UUID, the rows under conditions (all must hold), or all rows (`[]`). */
export type Selector = string | readonly Condition[];
export type Mutator = '+=' | '-=' | '*=' | '/=' | '%=' | 'insert' | 'delete';
export type Mutation = readonly [column: string, mutator: Mutator, value: Value];

export interface OperationResult {
  uuid?: [string, string];
  count?: number;
  rows?: Record<string, Wire>[];
}

export class Transaction {
  readonly operations: Operation[] = [];
  readonly #schema: DatabaseSchema;
  readonly #prefix: string;
  readonly #names = new Map<string, number>();

  /** @param prefix of the names of new rows: letters, digits and _; another one for each of those that are to become one (`include`) */
  constructor(schema: DatabaseSchema, prefix = '') {
    this.#schema = schema;
    this.#prefix = prefix;
  }

  get empty(): boolean {
    return this.operations.length === 0;
  }

  /** Answers a name by which other rows of this transaction may refer to the new row. */
  insert(table: string, columns: Columns): string {
    const name = `${this.#prefix}row${this.#names.size}`;
    this.#names.set(name, this.operations.length);
    this.#add({ op: 'insert', table, 'uuid-name': name, row: rowToWire(tableOf(this.#schema, table), columns) });
    return name;
  }

  update(table: string, selector: Selector, columns: Columns): void {
    const row = rowToWire(tableOf(this.#schema, table), columns);
    this.#add({ op: 'update', table, where: this.#where(table, selector), row });
  }

  mutate(table: string, selector: Selector, mutations: readonly Mutation[]): void {
    const schema = tableOf(this.#schema, table);
    this.#add({
      op: 'mutate',
      table,
      where: this.#where(table, selector),
      mutations: mutations.map(([column, mutator, value]) => {
        const type = columnOf(schema, column);
        // To delete from a map by key alone, the value is a set of keys.
        const keys = type.kind === 'map' && Array.isArray(value);
        return [column, mutator, toWire(keys ? { ...type, kind: 'set', value: undefined } : type, value)];
      }),
    });
  }

  delete(table: string, selector: Selector): void {
    this.#add({ op: 'delete', table, where: this.#where(table, selector) });
  }

  select(table: string, selector: Selector, columns?: readonly string[]): number {
    const where = this.#where(table, selector);
    return this.#add({ op: 'select', table, where, ...(columns ? { columns } : {}) });
  }

  /** Refuses the transaction unless the selected rows are (or are not) exactly `rows`, seen in the given columns. */
  wait(table: string, selector: Selector, until: '==' | '!=', rows: readonly Columns[], columns: readonly string[]) {
    const schema = tableOf(this.#schema, table);
    const wireRows = rows.map((row) => rowToWire(schema, row));
    const where = this.#where(table, selector);
    this.#add({ op: 'wait', table, timeout: 0, where, columns, until, rows: wireRows });
  }

  comment(comment: string): void {
    this.#add({ op: 'comment', comment: comment.toWellFormed() });
  }

  /**
   * What others would do, each with a prefix of its own, is done by this one. What they add to one set, or take from it, is one operation in
   * the end: the server goes through the set for each.
   */
  include(others: Iterable<Transaction>): void {
    const gathered = new Map<string, { operation: Operation; values: Wire[] }>();
    for (const other of others) {
      const names = new Map([...other.#names].map(([name, index]) => [index, name]));
      for (const [index, operation] of other.operations.entries()) {
        const set = setMutation(operation);
        if (set) {
          const held = gathered.get(set.id) ?? { operation, values: [] };
          held.values.push(...set.values);
          gathered.set(set.id, held);
          continue;
        }
        const place = this.#add(operation);
        const name = names.get(index);
        if (name !== undefined) this.#names.set(name, place);
      }
    }
    for (const { operation, values } of gathered.values()) {
      const [[column, mutator]] = operation.mutations as [[string, string]];
      this.#add({ ...operation, mutations: [[column, mutator, ['set', values]]] });
    }
  }

  /** UUID that the server gave to an inserted row. */
  uuidOf(name: string, results: readonly OperationResult[]): string {
    const uuid = results[this.#names.get(name) ?? -1]?.uuid?.[1];
    if (!uuid) throw new OvsdbError('protocol', `OVSDB answered no UUID for inserted row ${name}`);
    return uuid;
  }

  /** Rows that a `select` answered. */
  rowsOf(operation: number, results: readonly OperationResult[]): Row[] {
    const schema = tableOf(this.#schema, String(this.operations[operation]?.table));
    return (results[operation]?.rows ?? []).map((wire) => {
      const row: Record<string, Value> = {};
      for (const [column, value] of Object.entries(wire)) row[column] = fromWire(columnOf(schema, column), value);
      return row as Row;
    });
  }

  #where(table: string, selector: Selector): Wire[] {
    const schema = tableOf(this.#schema, table);
    const conditions = typeof selector === 'string' ? [['_uuid', '==', selector] as const] : selector;
    return conditions.map(([column, fn, value]) => [column, fn, toWire(columnOf(schema, column), value)]);
  }

  #add(operation: Operation): number {
    return this.operations.push(operation) - 1;
  }
}

/** Of an operation that does nothing but add elements to a set of one row, or take them from it: which set, and those. */
function setMutation({ op, table, where, mutations }: Operation): { id: string; values: readonly Wire[] } | undefined {
  if (op !== 'mutate' || (mutations as Wire[]).length !== 1) return undefined;
  const [[of, fn, row], ...more] = where as [[string, string, Wire]];
  const [[column, mutator, value]] = mutations as [[string, string, [string, readonly Wire[]]]];
  if (more.length > 0 || of !== '_uuid' || fn !== '==' || (mutator !== 'insert' && mutator !== 'delete'))
    return undefined;
  if (!Array.isArray(value) || value[0] === 'map') return undefined;
  return { id: JSON.stringify([table, row, column, mutator]), values: value[0] === 'set' ? value[1] : [value] };
}

type Refused = { error?: string; details?: string; syntax?: string } | null;

/** Throws a TransactionError for the first refusal in the answer to `transact`. */
export function checkResults(operations: readonly Operation[], answer: unknown): OperationResult[] {
  if (!Array.isArray(answer)) throw new OvsdbError('protocol', 'OVSDB answered a transaction with no array');
  for (const [index, element] of (answer as Refused[]).entries()) {
    if (!element?.error) continue;
    const operation = operations[index];
    const where = operation ? `operation ${index} (${operation.op} ${operation.table ?? ''})` : 'commit';
    const details = [element.details, element.syntax].filter(Boolean).join(' in ');
    throw new TransactionError(index, where, element.error, details);
  }
  if (answer.length < operations.length) throw new OvsdbError('protocol', 'OVSDB answered too few results');
  return answer as OperationResult[];
}

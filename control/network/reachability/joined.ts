/**
 * A question to the database that several have, each for its own: those who ask in one turn of the event loop share one statement, and each
 * takes of its rows what it asked for. So what reads step by step for one reads as many times for a hundred. Keeps nothing.
 */

/** What is wanted: ids or addresses, in lists by what they are of. */
export type Wanted<List extends string> = Readonly<Record<List, readonly string[]>>;
export type WantedSets<List extends string> = Readonly<Record<List, ReadonlySet<string>>>;

interface Asker<List extends string, Row> {
  wanted: Wanted<List>;
  resolve: (rows: Row[]) => void;
  reject: (error: unknown) => void;
}

export class Joined<List extends string, Row> {
  readonly #load: (wanted: Wanted<List>) => Promise<Row[]>;
  readonly #isWanted: (row: Row, wanted: WantedSets<List>) => boolean;
  #asking: Asker<List, Row>[] = [];

  /** @param isWanted what the statement says of one row */
  constructor(
    load: (wanted: Wanted<List>) => Promise<Row[]>,
    isWanted: (row: Row, wanted: WantedSets<List>) => boolean,
  ) {
    this.#load = load;
    this.#isWanted = isWanted;
  }

  /** The rows are shared: nobody changes them. */
  ask(wanted: Wanted<List>): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#asking.push({ wanted, resolve, reject }) === 1) setImmediate(() => this.#answer());
    });
  }

  async #answer(): Promise<void> {
    const asking = this.#asking;
    this.#asking = [];
    const [first] = asking;
    try {
      if (asking.length === 1) return first!.resolve(await this.#load(first!.wanted));
      const lists = Object.keys(first!.wanted) as List[];
      const rows = await this.#load(
        byList(lists, (list) => [...new Set(asking.flatMap(({ wanted }) => wanted[list]))]),
      );
      for (const { wanted, resolve } of asking) {
        const sets = byList(lists, (list) => new Set(wanted[list]));
        resolve(rows.filter((row) => this.#isWanted(row, sets)));
      }
    } catch (error) {
      for (const { reject } of asking) reject(error);
    }
  }
}

const byList = <List extends string, Value>(lists: readonly List[], value: (list: List) => Value) =>
  Object.fromEntries(lists.map((list) => [list, value(list)])) as Record<List, Value>;

/**
 * What many ask for at once, answered together: so many in one go, in the order in which they came. What comes while as many batches are at work as may
 * be waits for the next one, so whoever asks alone waits for nobody. Who asks again before the answer has one place all the same: the next begins when the first has ended.
 */
import { setImmediate as turn } from 'node:timers/promises';

interface Waiting<Item, Answer> {
  item: Item;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export class Batch<Item, Answer> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #bounds: { most: number; atOnce: number };
  readonly #asker: (item: Item) => unknown;
  #waiting: Waiting<Item, Answer>[] = [];
  /** Whose items are in a batch that is at work. */
  readonly #served = new Set<unknown>();
  #working = 0;

  /**
   * @param work an answer each, in their order; nothing that can't be done twice
   * @param bounds of what is in a batch, and of batches: a slow one holds up no more than its own
   * @param asker whose item it is
   */
  constructor(
    work: (items: readonly Item[]) => Promise<readonly Answer[]>,
    bounds: { most: number; atOnce: number },
    asker: (item: Item) => unknown,
  ) {
    this.#work = work;
    this.#bounds = bounds;
    this.#asker = asker;
  }

  ask(item: Item): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.push({ item, resolve, reject }));
    if (this.#working < this.#bounds.atOnce) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#working++;
    for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
      await this.#answer(batch);
      for (const { item } of batch) this.#served.delete(this.#asker(item));
    }
    this.#working--;
  }

  /** Those who wait the longest, each once, and whom no other batch serves. */
  #next(): Waiting<Item, Answer>[] {
    const next: Waiting<Item, Answer>[] = [];
    this.#waiting = this.#waiting.filter((each) => {
      const asker = this.#asker(each.item);
      if (next.length >= this.#bounds.most || this.#served.has(asker)) return true;
      this.#served.add(asker);
      next.push(each);
      return false;
    });
    return next;
  }

  /** One that can't be answered takes no other with it. */
  async #answer(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#work(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) {
        resolve(answers[index]!);
        // What each does with its answer is work, too: others have their turn between.
        if (index < batch.length - 1) await turn();
      }
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(error);
      else for (const each of batch) await this.#answer([each]);
    }
  }
}

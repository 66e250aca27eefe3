/**
 * What many ask for at once, answered together: so many in one go, in the order in which they came. What comes while as many batches are at work as may
 * be waits for the next one, so whoever asks alone waits for nobody.
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
  readonly #waiting: Waiting<Item, Answer>[] = [];
  #working = 0;

  /**
   * @param work an answer each, in their order; nothing that can't be done twice
   * @param bounds of what is in a batch, and of batches: a slow one holds up no more than its own
   */
  constructor(work: (items: readonly Item[]) => Promise<readonly Answer[]>, bounds: { most: number; atOnce: number }) {
    this.#work = work;
    this.#bounds = bounds;
  }

  ask(item: Item): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.push({ item, resolve, reject }));
    if (this.#working < this.#bounds.atOnce) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#working++;
    while (this.#waiting.length > 0) await this.#answer(this.#waiting.splice(0, this.#bounds.most));
    this.#working--;
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

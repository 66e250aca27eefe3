/**
 * What many want done at once, done together: what comes while as many rounds are under way as may be goes in the next one. Like `kit/batch.ts`, but bounded by bytes too,
 * and a round that fails has failed for all in it: bytes are not sent a second time for that.
 */
interface Waiting<Item, Answer> {
  item: Item;
  bytes: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

export interface GatherBounds {
  most: number;
  bytes: number;
  atOnce: number;
}

export class Gather<Item, Answer> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Answer[]>;
  readonly #bounds: GatherBounds;
  #waiting: Waiting<Item, Answer>[] = [];
  #working = 0;

  /** @param work an answer each, in their order */
  constructor(work: (items: readonly Item[]) => Promise<readonly Answer[]>, bounds: GatherBounds) {
    this.#work = work;
    this.#bounds = bounds;
  }

  ask(item: Item, bytes = 0): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.push({ item, bytes, resolve, reject }));
    if (this.#working < this.#bounds.atOnce) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#working++;
    // What else comes in this turn goes along.
    await Promise.resolve();
    for (let round = this.#next(); round.length > 0; round = this.#next()) {
      try {
        const answers = await this.#work(round.map(({ item }) => item));
        for (const [index, { resolve }] of round.entries()) resolve(answers[index]!);
      } catch (error) {
        for (const { reject } of round) reject(error);
      }
    }
    this.#working--;
  }

  #next(): Waiting<Item, Answer>[] {
    let [count, bytes] = [0, 0];
    for (const each of this.#waiting) {
      if (count > 0 && (count === this.#bounds.most || bytes + each.bytes > this.#bounds.bytes)) break;
      count++;
      bytes += each.bytes;
    }
    return this.#waiting.splice(0, count);
  }
}

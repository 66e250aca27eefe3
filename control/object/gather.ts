/**
 * What many want done at once, done together: what comes while as many rounds are under way as may be goes in the next one. Like `kit/batch.ts`, but bounded by bytes too,
 * and who waits is answered in one turn.
 */
import { setImmediate as turn } from 'node:timers/promises';

interface Waiting<Item, Answer> {
  item: Item;
  bytes: number;
  resolve(answer: Answer | Promise<Answer>): void;
  reject(error: unknown): void;
}

export interface GatherOptions<Item> {
  most: number;
  atOnce: number;
  /** Of a round; none: any. */
  bytes?: number;
  /** Of two with one key the second waits until the first is done. */
  key?: (item: Item) => string;
  /** A round that failed is done again, each by itself: one that can't be done takes no other with it. Only for what may be done twice. */
  again?: boolean;
  /** A round that takes longer no longer counts among those at once: one whose answer does not come holds up no other. */
  patientMs?: number;
}

/** Rounds that take long, at most; each holds what it is about. */
const mostSlow = 8;

export class Gather<Item, Answer> {
  readonly #work: (items: readonly Item[]) => Promise<readonly (Answer | Promise<Answer>)[]>;
  readonly #options: GatherOptions<Item>;
  #waiting: Waiting<Item, Answer>[] = [];
  readonly #busy = new Set<string>();
  #working = 0;
  #slow = 0;

  /** @param work an answer each, in their order; one that takes longer as a promise */
  constructor(
    work: (items: readonly Item[]) => Promise<readonly (Answer | Promise<Answer>)[]>,
    options: GatherOptions<Item>,
  ) {
    this.#work = work;
    this.#options = options;
  }

  ask(item: Item, bytes = 0): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.push({ item, bytes, resolve, reject }));
    if (this.#working < this.#options.atOnce) void this.#run();
    return answer;
  }

  async #run(): Promise<void> {
    this.#working++;
    // What else comes in this turn goes along.
    await turn();
    for (let round = this.#next(); round.length > 0; round = this.#next()) {
      const replaced = this.#watch();
      await this.#answer(round);
      if (this.#options.key) for (const { item } of round) this.#busy.delete(this.#options.key(item));
      if (replaced()) return;
    }
    this.#working--;
  }

  /** @returns whether others go on in this one's place, asked at its end */
  #watch(): () => boolean {
    const { patientMs } = this.#options;
    if (patientMs === undefined) return () => false;
    let replaced = false;
    const timer = setTimeout(() => {
      if (this.#slow === mostSlow) return;
      replaced = true;
      this.#slow++;
      this.#working--;
      if (this.#waiting.length > 0) void this.#run();
    }, patientMs);
    return () => {
      clearTimeout(timer);
      if (replaced) this.#slow--;
      return replaced;
    };
  }

  async #answer(round: readonly Waiting<Item, Answer>[]): Promise<void> {
    try {
      const answers = await this.#work(round.map(({ item }) => item));
      for (const [index, { resolve }] of round.entries()) resolve(answers[index]!);
    } catch (error) {
      if (round.length > 1 && this.#options.again) for (const each of round) await this.#answer([each]);
      else for (const { reject } of round) reject(error);
    }
  }

  #next(): Waiting<Item, Answer>[] {
    const { most, bytes: limit = Number.POSITIVE_INFINITY, key } = this.#options;
    const round: Waiting<Item, Answer>[] = [];
    const left: Waiting<Item, Answer>[] = [];
    let bytes = 0;
    let full = false;
    for (const each of this.#waiting) {
      full ||= round.length > 0 && (round.length === most || bytes + each.bytes > limit);
      const own = key?.(each.item);
      if (full || (own !== undefined && this.#busy.has(own))) {
        left.push(each);
        continue;
      }
      if (own !== undefined) this.#busy.add(own);
      round.push(each);
      bytes += each.bytes;
    }
    this.#waiting = left;
    return round;
  }
}

/** So many at a time and the others in the order in which they came: a crowd that comes at once leaves room for everyone else. */
export class Gate {
  readonly #width: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#width) this.#inside++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      // The place is handed on: whoever comes now stands behind.
      if (next) next();
      else this.#inside--;
    }
  }
}

/** A gate for each key, as long as somebody is at it: nobody waits for those of another. */
export class Gates {
  readonly #width: number;
  readonly #gates = new Map<string, { gate: Gate; here: number }>();

  constructor(width: number) {
    this.#width = width;
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.#gates.get(key) ?? { gate: new Gate(this.#width), here: 0 };
    this.#gates.set(key, known);
    known.here++;
    try {
      return await known.gate.run(work);
    } finally {
      if (--known.here === 0) this.#gates.delete(key);
    }
  }
}

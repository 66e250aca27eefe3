import { inspect } from 'node:util';

/** A value that must not reach a log: prints as stars in templates, JSON and inspect. `reveal()` is easy to search for. */
export class Secret<T = string> {
  readonly #value: T;
  constructor(value: T) {
    this.#value = value;
  }
  reveal(): T {
    return this.#value;
  }
  toString(): string {
    return '***';
  }
  toJSON(): string {
    return '***';
  }
  [inspect.custom](): string {
    return '***';
  }
}

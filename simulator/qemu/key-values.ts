/**
 * QEMU's `key=value,key=value` lists: a comma inside a value is written twice, the first item may leave its key out.
 * Stricter than QEMU in two things, because our own arguments never mean them: a key given twice, and one without a value.
 */
import { refused } from './refusal.ts';

/** One option's words, with the values not yet asked for. */
export class KeyValues {
  readonly #option: string;
  readonly #text: string;
  readonly #values: ReadonlyMap<string, string>;

  constructor(option: string, text: string, implied?: string) {
    this.#option = option;
    this.#text = text;
    this.#values = parse(option, text, implied);
  }

  /** Refuses keys that QEMU does not know, in the words that fit the option. */
  only(known: readonly string[], complaint = (key: string) => `Invalid parameter '${key}'`): this {
    for (const key of this.#values.keys()) if (!known.includes(key)) throw this.refusal(complaint(key));
    return this;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  optional(key: string): string | undefined {
    return this.#values.get(key);
  }

  required(key: string): string {
    const value = this.#values.get(key);
    if (value === undefined || value === '') throw this.refusal(`Parameter '${key}' is missing`);
    return value;
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.required(key);
    if (!(allowed as readonly string[]).includes(value)) {
      throw this.refusal(`Parameter '${key}' does not accept value '${value}'`);
    }
    return value as T;
  }

  /** Absent: the default. */
  flag(key: string, absent: boolean): boolean {
    return this.has(key) ? this.oneOf(key, ['on', 'off']) === 'on' : absent;
  }

  wholeNumber(key: string, limits: { min: number; max: number }): number {
    const text = this.required(key);
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= limits.min && value <= limits.max)) {
      throw this.refusal(`Parameter '${key}' expects a number from ${limits.min} to ${limits.max}, not '${text}'`);
    }
    return value;
  }

  refusal(reason: string): Error {
    return refused(this.#option, this.#text, reason);
  }
}

function parse(option: string, text: string, implied: string | undefined): Map<string, string> {
  const values = new Map<string, string>();
  for (const [index, item] of splitList(text).entries()) {
    const equals = item.indexOf('=');
    const [key, value] =
      equals > 0 ? [item.slice(0, equals), item.slice(equals + 1)] : [index === 0 ? implied : undefined, item];
    if (key === undefined) throw refused(option, text, `Expected '=' after parameter '${item}'`);
    if (values.has(key)) throw refused(option, text, `Parameter '${key}' is given twice`);
    values.set(key, value);
  }
  return values;
}

function splitList(text: string): string[] {
  const items: string[] = [];
  let item = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ',') item += text[at];
    else if (text[at + 1] === ',') {
      item += ',';
      at++;
    } else {
      items.push(item);
      item = '';
    }
  }
  return [...items, item];
}

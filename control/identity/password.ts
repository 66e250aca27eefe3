/**
 * Passwords and secrets of application credentials: argon2id in PHC string form, computed on libuv's threads.
 *
 * Owns the cost and how many computations may run or wait at once, so that a storm of logins neither takes the machine's
 * memory nor starves files and DNS of threads. Keeps no secret.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { CloudError } from '../../contract/errors.ts';
import type { Secret } from '../../contract/secret.ts';

export interface PasswordCost {
  memoryKiB: number;
  passes: number;
  parallelism: number;
}

/** One of OWASP's equivalent minima (Password Storage Cheat Sheet): the one that needs the least memory. */
export const defaultCost: PasswordCost = { memoryKiB: 7168, passes: 5, parallelism: 1 };

/** A longer text is no password: it would only cost time. Keystone's max_password_length. */
export const maxPasswordLength = 4096;

const hashBytes = 32;
const saltBytes = 16;
const compute = promisify(argon2);
const phc = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,128})$/;

interface Parsed extends PasswordCost {
  salt: Buffer;
  hash: Buffer;
}

export class PasswordHasher {
  readonly #cost: PasswordCost;
  readonly #gate: Gate;

  constructor(options: { cost?: PasswordCost; concurrency?: number; maxWaiting?: number } = {}) {
    this.#cost = options.cost ?? defaultCost;
    this.#gate = new Gate(options.concurrency ?? 2, options.maxWaiting ?? 256);
  }

  /** @throws CloudError `unavailable` when too many wait already */
  async hash(password: Secret): Promise<string> {
    const salt = randomBytes(saltBytes);
    const { memoryKiB, passes, parallelism } = this.#cost;
    const hash = await this.#compute(password.reveal(), { ...this.#cost, salt, hash: Buffer.alloc(hashBytes) });
    return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
  }

  /**
   * Is it this password? Where there is none to compare with (no such user, no password) it takes as long and says no,
   * so that the time of the answer does not tell who exists.
   * @throws CloudError `unavailable` when too many wait already
   */
  async verify(password: Secret, stored: string | null | undefined): Promise<boolean> {
    const text = password.reveal();
    const known = stored ? parse(stored) : undefined;
    const against = known ?? { ...this.#cost, salt: Buffer.alloc(saltBytes), hash: Buffer.alloc(hashBytes) };
    const computed = await this.#compute(text.length > maxPasswordLength ? '' : text, against);
    return known !== undefined && text.length <= maxPasswordLength && timingSafeEqual(computed, known.hash);
  }

  /** True when the stored form was made at another cost than today's: hash anew while the password is at hand. */
  outdated(stored: string): boolean {
    const parsed = parse(stored);
    const { memoryKiB, passes, parallelism } = this.#cost;
    return !parsed || parsed.memoryKiB !== memoryKiB || parsed.passes !== passes || parsed.parallelism !== parallelism;
  }

  #compute(text: string, { memoryKiB, passes, parallelism, salt, hash }: Parsed): Promise<Buffer> {
    return this.#gate.run(() =>
      compute('argon2id', {
        message: text,
        nonce: salt,
        parallelism,
        tagLength: hash.length,
        memory: memoryKiB,
        passes,
      }),
    );
  }
}

function parse(stored: string): Parsed | undefined {
  const match = phc.exec(stored);
  if (!match) return undefined;
  const [, memory, passes, parallelism, salt, hash] = match;
  return {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt!, 'base64'),
    hash: Buffer.from(hash!, 'base64'),
  };
}

/** PHC's base64: without padding. */
const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/** At most so many at work, at most so many waiting, first come first served. */
class Gate {
  readonly #limit: number;
  readonly #maxWaiting: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number, maxWaiting: number) {
    this.#limit = limit;
    this.#maxWaiting = maxWaiting;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) {
      if (this.#waiting.length >= this.#maxWaiting) {
        throw new CloudError('unavailable', 'too many logins wait already; try again in a moment');
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      // The place goes to the next in line without becoming free in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

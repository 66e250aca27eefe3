/**
 * Passwords and secrets of application credentials: argon2id in PHC string form, computed on libuv's threads.
 *
 * Owns the cost, and with fair-gate.ts how many computations may run or wait at once, so that a storm of logins neither takes
 * the machine's memory nor starves files, DNS or other people's logins. Keeps no secret.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Secret } from '../../contract/secret.ts';
import { type Asker, FairGate, type GateLimits, keyOf } from './fair-gate.ts';
import { GuessPace } from './guess-pace.ts';

export interface PasswordCost {
  memoryKiB: number;
  passes: number;
  parallelism: number;
}

/** One of OWASP's equivalent minima (Password Storage Cheat Sheet): the one that needs the least memory. */
const defaultCost: PasswordCost = { memoryKiB: 7168, passes: 5, parallelism: 1 };

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
  readonly #gate: FairGate;
  readonly #pace = new GuessPace();

  constructor({ cost = defaultCost, ...limits }: { cost?: PasswordCost } & Partial<GateLimits> = {}) {
    this.#cost = cost;
    this.#gate = new FairGate(limits);
  }

  /** @throws CloudError `unavailable` when too many wait already */
  async hash(password: Secret, asker?: Asker): Promise<string> {
    const salt = randomBytes(saltBytes);
    const { memoryKiB, passes, parallelism } = this.#cost;
    const hash = await this.#compute(asker, password.reveal(), { ...this.#cost, salt, hash: Buffer.alloc(hashBytes) });
    return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
  }

  /**
   * Is it this password? Where there is none to compare with (no such user, no password) it takes as long and says no,
   * so that the time of the answer does not tell who exists.
   * @throws CloudError `unavailable` when too many wait already
   */
  async verify(
    password: Secret,
    stored: string | null | undefined,
    asker?: Asker,
    before: () => void = () => {},
  ): Promise<boolean> {
    const text = password.reveal();
    const known = stored ? parse(stored) : undefined;
    const against = known ?? { ...this.#cost, salt: Buffer.alloc(saltBytes), hash: Buffer.alloc(hashBytes) };
    const computed = await this.#compute(asker, text.length > maxPasswordLength ? '' : text, against, before);
    return known !== undefined && text.length <= maxPasswordLength && timingSafeEqual(computed, known.hash);
  }

  /**
   * `verify` of one who logs in by it: wrong ones are counted, and who has many waits.
   * @throws CloudError `unavailable` also where this name has to wait (guess-pace.ts)
   */
  async prove(password: Secret, stored: string | null | undefined, asker: Asker): Promise<boolean> {
    const name = keyOf(asker);
    this.#pace.check(name);
    // Again when its turn comes: others of the name may have been wrong meanwhile.
    const right = await this.verify(password, stored, asker, () => this.#pace.check(name));
    if (!right) this.#pace.wrong(name);
    else {
      this.#pace.right(name);
      this.#gate.welcome(asker);
    }
    return right;
  }

  /** True when the stored form was made at another cost than today's: hash anew while the password is at hand. */
  outdated(stored: string): boolean {
    const parsed = parse(stored);
    const { memoryKiB, passes, parallelism } = this.#cost;
    return !parsed || parsed.memoryKiB !== memoryKiB || parsed.passes !== passes || parsed.parallelism !== parallelism;
  }

  #compute(
    asker: Asker | undefined,
    text: string,
    { memoryKiB, passes, parallelism, salt, hash }: Parsed,
    before: () => void = () => {},
  ): Promise<Buffer> {
    return this.#gate.run(asker, async () => {
      before();
      return compute('argon2id', {
        message: text,
        nonce: salt,
        parallelism,
        tagLength: hash.length,
        memory: memoryKiB,
        passes,
      });
    });
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

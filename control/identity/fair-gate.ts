/**
 * Who computes a password next. A computation is dear on purpose, so few run at once; this decides among those who wait, so
 * that nobody's flood is another one's outage.
 *
 * One of each address in turn, and of an address one of each user in turn. Whoever has proven a password from an address
 * before waits in a room of their own: a crowd of strangers, from wherever, neither fills it nor stands before them. All of
 * it is about the names that callers gave, known or not, so that waiting tells nobody who exists.
 */
import { isIPv6 } from 'node:net';
import { CloudError } from '../../contract/errors.ts';
import { canonicalIp } from '../kit/address.ts';

export interface Asker {
  /** Of the connection. */
  address: string;
  /** Whom the caller claims to be, as the caller wrote it. */
  user: string;
  /** It is proven already: the computation is for something else. */
  loggedIn?: true;
}

/** Whoever acts with a token, with a share of their own: one's flood of new secrets keeps no administrator from making a user. */
export const loggedIn = (userId: string): Asker => ({ address: `user ${userId}`, user: userId, loggedIn: true });

export interface GateLimits {
  /** Computations at a time. */
  concurrency: number;
  /** Waiting in each of the two rooms. */
  maxWaiting: number;
  maxWaitingPerAddress: number;
  maxWaitingPerUser: number;
}

const defaultLimits: GateLimits = {
  concurrency: 2,
  maxWaiting: 256,
  maxWaitingPerAddress: 64,
  maxWaitingPerUser: 64,
};

/** Askers whose proofs were good; the oldest are forgotten. */
const maxKnown = 10_000;

interface Waiter extends Asker {
  begin(): void;
  refuse(error: CloudError): void;
}

export class FairGate {
  readonly #limits: GateLimits;
  #running = 0;
  readonly #known = new Set<string>();
  /** Those who are known, and everyone else. */
  readonly #rooms = [new Room(), new Room()] as const;
  #turn = 0;

  constructor(limits: Partial<GateLimits> = {}) {
    this.#limits = { ...defaultLimits, ...limits };
  }

  /**
   * Runs the work when its turn has come. Without an asker it is the cloud's own.
   * @throws CloudError `unavailable` when too many wait already
   */
  async run<T>(asker: Asker | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.concurrency) this.#running += 1;
    else await this.#wait(asker);
    try {
      return await work();
    } finally {
      // The place goes to the next in line without becoming free in between.
      const next = this.#next();
      if (next) next.begin();
      else this.#running -= 1;
    }
  }

  /** The asker's proof was good. */
  welcome(asker: Asker): void {
    const key = keyOf(asker);
    this.#known.delete(key);
    this.#known.add(key);
    if (this.#known.size > maxKnown) this.#known.delete(this.#known.values().next().value!);
  }

  #wait(asker: Asker | undefined): Promise<void> {
    const { address, user } = asker
      ? { address: networkOf(asker.address), user: asker.user }
      : { address: '', user: '' };
    const known = !asker || asker.loggedIn === true || this.#known.has(keyOf(asker));
    const room = this.#rooms[known ? 0 : 1];
    if (asker) this.#checkShare(room, address, user);
    if (room.size >= this.#limits.maxWaiting && !room.dismissOf(address)) throw tooMany('everyone');
    return new Promise((begin, refuse) => room.add({ address, user, begin, refuse }));
  }

  #checkShare(room: Room, address: string, user: string): void {
    const { maxWaitingPerAddress, maxWaitingPerUser } = this.#limits;
    const ofUser = this.#rooms[0].ofUser(user) + this.#rooms[1].ofUser(user);
    // A known user is never told to go because of strangers at the same address or of the same name.
    if (room === this.#rooms[0]) {
      if (room.of(address, user) >= maxWaitingPerUser) throw tooMany('user');
    } else if (room.ofAddress(address) >= maxWaitingPerAddress) throw tooMany('address');
    else if (ofUser >= maxWaitingPerUser) throw tooMany('user');
  }

  #next(): Waiter | undefined {
    this.#turn = 1 - this.#turn;
    return this.#rooms[this.#turn]!.take() ?? this.#rooms[1 - this.#turn]!.take();
  }
}

/** Waiters by address and user; the first address, and in it the first user, is next. */
class Room {
  readonly #lines = new Map<string, Map<string, Waiter[]>>();
  readonly #addresses = new Map<string, number>();
  readonly #users = new Map<string, number>();
  size = 0;

  of = (address: string, user: string): number => this.#lines.get(address)?.get(user)?.length ?? 0;
  ofAddress = (address: string): number => this.#addresses.get(address) ?? 0;
  ofUser = (user: string): number => this.#users.get(user) ?? 0;

  add(waiter: Waiter): void {
    const users = this.#lines.get(waiter.address) ?? new Map<string, Waiter[]>();
    this.#lines.set(waiter.address, users);
    users.set(waiter.user, [...(users.get(waiter.user) ?? []), waiter]);
    this.#count(waiter, 1);
  }

  take(): Waiter | undefined {
    const [address, users] = this.#lines.entries().next().value ?? [];
    if (address === undefined || !users) return undefined;
    const [user, line] = users.entries().next().value!;
    this.#lines.delete(address);
    users.delete(user);
    const waiter = line.shift()!;
    if (line.length > 0) users.set(user, line);
    if (users.size > 0) this.#lines.set(address, users);
    this.#count(waiter, -1);
    return waiter;
  }

  /** Makes room for one of this address: the last of the address that has the most goes, if that is more than this one has. */
  dismissOf(address: string): boolean {
    const [most, count] = [...this.#addresses].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    if (count <= this.ofAddress(address) + 1) return false;
    const users = this.#lines.get(most)!;
    const [user, line] = [...users].reduce((a, b) => (b[1].length > a[1].length ? b : a));
    const waiter = line.pop()!;
    if (line.length === 0) users.delete(user);
    if (users.size === 0) this.#lines.delete(most);
    this.#count(waiter, -1);
    waiter.refuse(tooMany('everyone'));
    return true;
  }

  #count({ address, user }: Waiter, by: 1 | -1): void {
    this.size += by;
    for (const [counts, key] of [
      [this.#addresses, address],
      [this.#users, user],
    ] as const) {
      const count = (counts.get(key) ?? 0) + by;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
    }
  }
}

/** Whoever asks, by the network and the name. */
export const keyOf = ({ address, user }: Asker): string => `${networkOf(address)} ${user}`;

/** Who has one IPv6 address has 2^64 of them. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const groups = (canonicalIp(plain) ?? plain).split('::');
  const [head = '', tail] = groups;
  const first = head.split(':').filter(Boolean);
  const last = tail?.split(':').filter(Boolean) ?? [];
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  return [...first, ...Array<string>(zeros).fill('0'), ...last].slice(0, 4).join(':');
}

const tooMany = (whose: 'user' | 'address' | 'everyone'): CloudError =>
  new CloudError('unavailable', 'too_many_logins', { whose, retry_after_seconds: 1 });

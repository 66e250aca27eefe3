/**
 * A user for each guest, and for each volume that a machine outside has: numbers of a range that nobody else on the machine uses, without entries in /etc/passwd. A QEMU that
 * its guest has taken over can do what its user can: nothing to another guest's disk, sockets, memory or card.
 *
 * Owns no file: a server's number is in its record, which is written before the first file or process has it, and goes with
 * the server's directory after its last. So what a new host process finds on the disk is what is given, and a crash on any
 * line leaves a number given to one server or to none. What all guests share is a group that may read images (and /dev/kvm); control's process is in it too.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { ServerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { identifyProcess } from '../../engine/process-identity.ts';
import { serverPaths, serversDirectory } from '../paths.ts';

export interface GuestUser {
  uid: number;
  gid: number;
  /** More groups, e.g. the one that may open /dev/kvm. */
  groups: number[];
}

export interface UidRange {
  first: number;
  count: number;
}

/** What the machine has for guests. */
export interface GuestAccounts {
  /** The user of probe guests, and of guests that a Bothy started which did not know better. */
  uid: number;
  /** The group of all guests: it may read images. */
  gid: number;
  /** A guest's own user and group are one number of it; the first is qemu-img's, when it looks at what tenants brought. */
  uids: UidRange;
}

export const inspectorUid = ({ uids }: GuestAccounts): number => uids.first;
export const isGuestUid = ({ uids }: GuestAccounts, uid: number): boolean =>
  uid > uids.first && uid < uids.first + uids.count;

/** By what is recorded in a data directory. */
export type OtherUsers = (dataDirectory: string) => readonly { uid: number; id: string }[];

export class GuestUsers {
  readonly accounts: GuestAccounts;
  readonly #groups: number[];
  readonly #others: OtherUsers;
  readonly #owners = new Map<number, ServerId | 'unknown'>();
  #next: number;

  /** @param others those that have numbers beside guests */
  constructor(accounts: GuestAccounts, groups: readonly number[] = [], others: OtherUsers = () => []) {
    this.accounts = accounts;
    this.#others = others;
    this.#groups = [...new Set([accounts.gid, ...groups])];
    this.#next = accounts.uids.first + 1;
  }

  /** Learns which numbers are given: by the servers' records, and to processes that no record explains. */
  open(dataDirectory: string): void {
    this.#owners.clear();
    for (const [uid, id] of recordedUids(dataDirectory)) this.#owners.set(uid, id);
    for (const { uid, id } of this.#others(dataDirectory)) this.#owners.set(uid, id as unknown as ServerId);
    // Without a record that can be read, the disk tells whose number it was.
    for (const id of serverIds(dataDirectory)) {
      const uid = ownerOf(serverPaths({ dataDirectory, runDirectory: '' }, id).disk);
      if (uid !== undefined && isGuestUid(this.accounts, uid) && !this.#owners.has(uid)) this.#owners.set(uid, id);
    }
    for (const entry of readdirSync('/proc')) {
      const uid = /^\d+$/.test(entry) ? identifyProcess(Number(entry))?.uid : undefined;
      if (uid !== undefined && isGuestUid(this.accounts, uid) && !this.#owners.has(uid))
        this.#owners.set(uid, 'unknown');
    }
  }

  /**
   * The server's number: the one that its record has, unless that is another server's, else a free one. Not given for good
   * before it is in the record.
   * @throws where all are given
   */
  claim(id: ServerId, recorded: number | null): number {
    if (recorded !== null && (this.#owners.get(recorded) ?? id) === id) {
      this.#owners.set(recorded, id);
      return recorded;
    }
    for (const [uid, owner] of this.#owners) if (owner === id) return uid;
    const { first, count } = this.accounts.uids;
    for (let tried = 1; tried < count; tried++) {
      const uid = this.#next;
      this.#next = uid + 1 < first + count ? uid + 1 : first + 1;
      if (this.#owners.has(uid)) continue;
      this.#owners.set(uid, id);
      return uid;
    }
    throw new Error(`all ${count - 1} users of guests are given`);
  }

  /** Nothing of the server is left on the machine: its number may be another's. */
  release(id: ServerId): void {
    for (const [uid, owner] of this.#owners) if (owner === id) this.#owners.delete(uid);
  }

  user(uid: number): GuestUser {
    return { uid, gid: uid, groups: this.#groups };
  }
}

/** Which server has which number, by their records. */
export function recordedUids(dataDirectory: string): Map<number, ServerId> {
  const found = new Map<number, ServerId>();
  for (const id of serverIds(dataDirectory)) {
    const uid = recordedUid(serverPaths({ dataDirectory, runDirectory: '' }, id).record);
    if (uid !== undefined && !found.has(uid)) found.set(uid, id);
  }
  return found;
}

const serverIds = (dataDirectory: string): ServerId[] =>
  entries(serversDirectory(dataDirectory)).flatMap((name) => parseId<ServerId>(name) ?? []);

const ownerOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.uid;

function recordedUid(path: string): number | undefined {
  try {
    const { uid } = JSON.parse(readFileSync(path, 'utf8')) as { uid?: unknown };
    // A damaged record must not make guests of what root or the system runs.
    return Number.isSafeInteger(uid) && (uid as number) >= 1000 ? (uid as number) : undefined;
  } catch {
    return undefined;
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

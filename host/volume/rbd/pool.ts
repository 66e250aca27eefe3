/**
 * A pool of a Ceph cluster, or a namespace of one, in which this host's layers are images. Owns every image in it; its mark is an empty image
 * whose name says whose it is. One that has images of somebody else, or another one's mark, is refused by name, and nothing in it is touched.
 * A cluster that is away costs a look its deadline.
 */
import { existsSync, readdirSync } from 'node:fs';
import type { HostId } from '../../../contract/ids.ts';
import { asFault } from '../../host-error.ts';
import { exists, RbdClient, type RbdSetting, unless } from './client.ts';
import { RbdLedger } from './ledger.ts';

export interface RbdOwner {
  hostId: HostId;
  /** Null before the first control has said which. */
  cloudId(): string | null;
}

export interface RbdState {
  totalBytes: number;
  freeBytes: number;
  /** Why nothing of it may be touched. */
  refused: string | null;
  /** Why nothing may be made there. */
  closed: string | null;
}

const markPrefix = 'bothy-pool.';
export const layerImage = (id: string): string => `bothy-${id}`;
export const copiedImage = (id: string): string => `image-${id}`;
/** How full it is takes a process that lives for a quarter of a second: not for each layer that is made. */
const freshMs = 10_000;
const reserveBytes = 64 * 2 ** 20;

export class RbdPool {
  readonly client: RbdClient;
  readonly ledger: RbdLedger;
  readonly setting: RbdSetting;
  readonly #owner: RbdOwner;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Names of all images in it, as they were seen last. */
  names: readonly string[] = [];

  constructor(setting: RbdSetting, owner: RbdOwner) {
    this.setting = setting;
    this.#owner = owner;
    this.client = new RbdClient(setting);
    this.ledger = new RbdLedger(this.client);
  }

  /** It was looked at a moment ago, and is ours: as long as it is nobody's it may be so in the next moment. */
  get isFresh(): boolean {
    return this.ledger.isOpen && performance.now() - this.#lookedAt < freshMs;
  }

  async look(): Promise<RbdState> {
    const state = await this.#stateNow();
    this.#lookedAt = state.refused === null ? performance.now() : Number.NEGATIVE_INFINITY;
    return state;
  }

  async #stateNow(): Promise<RbdState> {
    const nothing = { totalBytes: 0, freeBytes: 0, closed: null };
    if (!this.setting.programs && !qemuOpensImages())
      return {
        ...nothing,
        refused: 'QEMU can not open its images on this machine: install the package qemu-block-extra',
      };
    try {
      const level = await this.client.level();
      this.names = (await this.client.list(['ls'])).map(String);
      const refused = await this.#whose();
      return { ...level, refused, closed: level.freeBytes < reserveBytes ? 'it is full' : null };
    } catch (error) {
      return { ...nothing, refused: asFault(error).message };
    }
  }

  /** Null: ours, or nobody's as long as it is not known whose we are. */
  async #whose(): Promise<string | null> {
    const cloud = this.#owner.cloudId();
    const marks = this.names.filter((name) => name.startsWith(markPrefix));
    const ours = marks.find((name) => name.endsWith(`.${this.#owner.hostId}`));
    const foreign = marks.find((name) => name !== ours);
    if (foreign !== undefined) return `it belongs to ${markOf(foreign)}`;
    if (ours !== undefined) {
      const mark = cloud === null ? ours : markName(cloud, this.#owner.hostId);
      if (mark !== ours) return `it belongs to ${markOf(ours)}`;
      await this.ledger.open(ours);
      return null;
    }
    if (this.names.length > 0)
      return `there are images of somebody else in it, such as ${this.names[0]}; a namespace of the pool would be ours`;
    if (cloud === null) return null;
    return this.#mark(markName(cloud, this.#owner.hostId));
  }

  /** Of two hosts that begin in the same moment none has it, or one. */
  async #mark(mark: string): Promise<string | null> {
    const spec = this.client.spec(mark);
    await this.client.rbd(['create', '--size', '1M', spec]).catch(unless(exists));
    this.names = (await this.client.list(['ls'])).map(String);
    const other = this.names.find((name) => name.startsWith(markPrefix) && name !== mark);
    if (other !== undefined) {
      await this.client.rbd(['rm', spec]);
      return `it belongs to ${markOf(other)}`;
    }
    await this.ledger.open(mark);
    return null;
  }
}

const markName = (cloudId: string, hostId: string): string => `${markPrefix}${cloudId}.${hostId}`;

function markOf(name: string): string {
  const [cloud, host] = name.slice(markPrefix.length).split('.');
  return `host ${host} of cloud ${cloud}`;
}

/** Debian has the driver in a package of its own. */
function qemuOpensImages(): boolean {
  const libraries = '/usr/lib';
  return readdirSync(libraries).some((each) => existsSync(`${libraries}/${each}/qemu/block-rbd.so`));
}

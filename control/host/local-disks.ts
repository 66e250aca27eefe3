/** Where the object disks of the host on this machine are, by its own word; asked for when one is read first, and again from time to time. */
import type { ObjectDiskLevel } from '../../contract/host/index.ts';
import type { HostEndpoint } from './answers.ts';

/** Disks come and go when the host's settings change, and it begins anew. */
const staysMs = 60_000;
/** Where the host does not answer, or has no such disk. */
const againMs = 2_000;

export class LocalDisks {
  readonly #ask: (host: HostEndpoint) => Promise<ObjectDiskLevel[]>;
  #paths: ReadonlyMap<string, string> = new Map();
  #hostId = '';
  #until = 0;
  #asking: Promise<void> | undefined;

  constructor(ask: (host: HostEndpoint) => Promise<ObjectDiskLevel[]>) {
    this.#ask = ask;
  }

  /** Without asking. Undefined: not known now. */
  known(hostId: string, disk: string): string | undefined {
    return hostId === this.#hostId && performance.now() < this.#until ? this.#paths.get(disk) : undefined;
  }

  /** Undefined: there is none, or it can't be said. */
  async find(host: HostEndpoint, disk: string): Promise<string | undefined> {
    if (host.id !== this.#hostId || performance.now() >= this.#until) {
      this.#asking ??= this.#learn(host).finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
    return this.known(host.id, disk);
  }

  async #learn(host: HostEndpoint): Promise<void> {
    const disks = await this.#ask(host).catch(() => undefined);
    // A host process that does not answer takes no disk away: what is read is verified by what it is.
    if (disks || host.id !== this.#hostId) this.#paths = new Map(disks?.map(({ name, path }) => [name, path]));
    this.#hostId = host.id;
    this.#until = performance.now() + (disks ? staysMs : againMs);
  }
}

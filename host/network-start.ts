/**
 * The start of this machine's network, tried again until it is there, and its news. Guests that run need nothing from us, so a switch that is
 * down must not keep the host from its other work. Owns two timers.
 */
import type { HostNetworkPort } from './host-network.ts';
import type { HostLogger } from './logger.ts';

const retryMs = 5000;
/** What changes on the switch often changes much of it. */
const changesMs = 1000;

export class NetworkStart {
  readonly #options: { network: HostNetworkPort; log: HostLogger; sweep(options?: { thorough: boolean }): void };
  #started = false;
  #problem: string | null = null;
  #ended = false;
  #retry: NodeJS.Timeout | undefined;
  #changes: NodeJS.Timeout | undefined;

  /** @param options sweep: looks at the machine's networks and ports */
  constructor(options: { network: HostNetworkPort; log: HostLogger; sweep(options?: { thorough: boolean }): void }) {
    this.#options = options;
  }

  get started(): boolean {
    return this.#started;
  }

  /** `problem`: why the last attempt failed; null where none has, or it has started. */
  get state(): { started: boolean; problem: string | null } {
    return { started: this.#started, problem: this.#problem };
  }

  /** Once; resolves after the first attempt. */
  async begin(): Promise<void> {
    const { network, log, sweep } = this.#options;
    try {
      await network.start({ timeoutMs: 30_000 });
      this.#started = true;
      this.#problem = null;
      network.onChange(() => {
        if (this.#changes || this.#ended) return;
        this.#changes = setTimeout(() => {
          this.#changes = undefined;
          sweep();
        }, changesMs).unref();
      });
      sweep({ thorough: true });
    } catch (err) {
      this.#problem = (err as Error).message;
      log.error({ err }, 'the network could not be started, will try again');
      if (!this.#ended) this.#retry = setTimeout(() => void this.begin(), retryMs).unref();
    }
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#changes);
  }
}

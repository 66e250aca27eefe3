/**
 * Keeps the userspace datapath to what the flows say. Its cache holds decisions as megaflows, and where two of them overlap Open vSwitch 3.1.0
 * may write a changed one to the other: the one that was meant goes on with the old action for as long as packets use it, letting in what a rule
 * no longer lets in, or keeping out who tries again and again (findings/ovs-userspace-datapath-changes-another-megaflow-than-it-means.sh).
 * So the cache is emptied whenever flows have changed, which ovs-vswitchd counts. Connections are tracked elsewhere and what megaflows have
 * counted is added to their flows first: nothing is lost but a moment for the packets that come next. The kernel's datapath changes its
 * megaflows by their identifiers and needs none of this.
 */
import { callControl } from '../../engine/ovs-daemon.ts';

/** How long an old decision may last. A look is one question on a unix socket. */
const lookMs = 500;

export interface MegaflowsOptions {
  /** The control socket of ovs-vswitchd. */
  socket: string;
  /** Absent: half a second. */
  lookMs?: number;
}

export class Megaflows {
  readonly #options: MegaflowsOptions;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Changes of flows that the cache is known to have followed. */
  #followed: string | undefined;

  constructor(options: MegaflowsOptions) {
    this.#options = options;
  }

  /** Idempotent. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), this.#options.lookMs ?? lookMs).unref();
  }

  /** Idempotent; may be started again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  #look(): Promise<void> {
    this.#looking ??= this.#follow()
      // An ovs-vswitchd that is away has no cache either, and counts anew when it is back; its supervisor tells of it.
      .catch(() => {
        this.#followed = undefined;
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #follow(): Promise<void> {
    const { socket } = this.#options;
    // Changes that come after the question are in the next answer.
    const changes = await callControl(socket, 'coverage/read-counter', ['rev_flow_table']);
    if (changes === this.#followed) return;
    await callControl(socket, 'revalidator/purge', []);
    this.#followed = changes;
  }
}

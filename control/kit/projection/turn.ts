/**
 * A share of the event loop: long work asks between its small steps whether its turn is over, and lets others in. The
 * API of the same process answers meanwhile.
 */
import { setImmediate as others } from 'node:timers/promises';

const sliceMs = 4;

export class Turn {
  #since = performance.now();

  get over(): boolean {
    return performance.now() - this.#since > sliceMs;
  }

  /** Lets everyone who waits go first. */
  async rest(): Promise<void> {
    await others();
    this.#since = performance.now();
  }
}

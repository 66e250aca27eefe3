/**
 * The desired state in force, and the file that it is saved in. A message is saved before it is acted on: after a crash the host must not
 * fall back behind what it has done. Owns the store; does nothing to guests or disks.
 */
import type { Unreadable } from '../../contract/host/index.ts';
import type { HostLogger } from '../logger.ts';
import { quarantineNews } from './documents.ts';
import { applyMessage, type DesiredState, emptyState, heldStamps, type StateMessage } from './state.ts';
import type { DesiredStore } from './store.ts';

export class DesiredHolder {
  readonly #store: DesiredStore;
  readonly #log: HostLogger;
  #state: DesiredState | undefined;

  constructor(options: { store: DesiredStore; log: HostLogger }) {
    this.#store = options.store;
    this.#log = options.log;
  }

  get state(): DesiredState | undefined {
    return this.#state;
  }

  get remembers(): DesiredState['remembers'] {
    return this.#state?.remembers ?? null;
  }

  /** For the hello: what need not be told again. */
  get stamps(): ReturnType<typeof heldStamps> | undefined {
    return this.#state && heldStamps(this.#state);
  }

  /** @param cloudId the cloud that this host is known to belong to. @throws where the saved state is another one's */
  async load(cloudId: string | null): Promise<DesiredState | undefined> {
    const { state, damaged } = await this.#store.load();
    if (damaged) this.#log.error({ damaged }, 'the saved desired state is damaged and was put aside');
    if (!state) return undefined;
    if (cloudId !== null && state.cloudId !== cloudId) {
      throw new Error(`the data directory belongs to cloud ${state.cloudId}, not to ${cloudId}`);
    }
    this.#complain([...state.unreadable.values()]);
    this.#state = state;
    return state;
  }

  /** What a message makes of the state, saved. It is in force when it is adopted. */
  async next(message: StateMessage, unreadable: readonly Unreadable[], cloudId: string): Promise<DesiredState> {
    if (!this.#state && message.type !== 'snapshot') throw new Error('a change before the first snapshot');
    const before = this.#state ?? emptyState(cloudId);
    const now = new Date().toISOString();
    const { state, refused } = applyMessage(before, message, unreadable, now);
    this.#complain(unreadable);
    if (refused.length > 0) this.#log.warn({ refused }, 'control sent documents of an older epoch or generation');
    this.#tellQuarantine('servers', quarantineNews(before.quarantined, state.quarantined));
    this.#tellQuarantine('layers', quarantineNews(before.quarantinedLayers, state.quarantinedLayers));
    await this.#store.record({ message, unreadable, now }, state);
    return state;
  }

  adopt(state: DesiredState): void {
    this.#state = state;
  }

  /** The process ends in order. */
  async close(): Promise<void> {
    await this.#store.close(this.#state);
  }

  /** As a dead process would: without a word. */
  abandon(): Promise<void> {
    return this.#store.abandon();
  }

  #complain(unreadable: readonly Unreadable[]): void {
    if (unreadable.length === 0) return;
    const some = unreadable.slice(0, 10).map(({ document: _, ...rest }) => rest);
    const words = 'documents of control cannot be read; what they are about is left as it is';
    this.#log.error({ count: unreadable.length, some }, words);
  }

  #tellQuarantine(what: string, { fresh, lifted }: ReturnType<typeof quarantineNews>): void {
    const words = `${what} that control does not account for are quarantined: kept as they are`;
    if (fresh.length > 0) this.#log.error({ quarantined: fresh }, words);
    if (lifted.length > 0) this.#log.info({ lifted }, `${what} are out of quarantine`);
  }
}

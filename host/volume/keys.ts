/**
 * Keys of encrypted layers, in this process's memory alone: asked for when a layer has to be opened, forgotten with the last layer that has
 * them, and with this process. What runs goes on without them; what has to be opened after a start of this process waits until control has
 * told them again.
 */
import type { ControlMessage } from '../../contract/host/index.ts';
import type { VolumeKeyId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { HostFault } from '../host-error.ts';

type Told = (ControlMessage & { type: 'keys' })['keys'];

export interface LayerKeysOptions {
  /** Asks control; nothing where its stream is not open. */
  ask(ids: VolumeKeyId[]): void;
  /** Something was told: who waits looks again. */
  told(): void;
}

export class LayerKeys {
  readonly #options: LayerKeysOptions;
  readonly #known = new Map<VolumeKeyId, Secret>();
  /** What control has said of keys that it has not; said once, then it is asked again. */
  readonly #problems = new Map<VolumeKeyId, string>();
  readonly #asked = new Set<VolumeKeyId>();
  #asking = false;

  constructor(options: LayerKeysOptions) {
    this.#options = options;
  }

  /** Undefined: not here. */
  of(id: VolumeKeyId): Secret | undefined {
    return this.#known.get(id);
  }

  /**
   * Asks for those that are not here.
   * @returns what is waited for, in words; undefined where all are here
   * @throws HostFault `key_lost` where control has not one either
   */
  missing(ids: readonly VolumeKeyId[]): string | undefined {
    const lacking = ids.filter((id) => !this.#known.has(id));
    for (const id of lacking) {
      const problem = this.#problems.get(id);
      this.#problems.delete(id);
      this.#ask(id);
      if (problem !== undefined)
        throw new HostFault('key_lost', `the key ${id} of an encrypted volume can not be had: ${problem}`);
    }
    return lacking.length > 0 ? 'waiting for control to tell the key of an encrypted volume' : undefined;
  }

  take(keys: Told): void {
    for (const { id, passphrase, problem } of keys) {
      if (passphrase !== null) this.#known.set(id, new Secret(passphrase));
      else this.#problems.set(id, problem ?? 'control does not say why');
    }
    this.#options.told();
  }

  /** No other layer needs any. */
  keepOnly(ids: ReadonlySet<VolumeKeyId>): void {
    for (const known of [this.#known, this.#problems])
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  }

  /** Many tasks ask in one moment. */
  #ask(id: VolumeKeyId): void {
    this.#asked.add(id);
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => {
      this.#asking = false;
      const ids = [...this.#asked];
      this.#asked.clear();
      this.#options.ask(ids);
    });
  }
}

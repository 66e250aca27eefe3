/**
 * Certificates that are renewed while the cloud runs. The supervisor only looks when they are due; making one takes a library
 * that would cost it 30 MiB for life, so a process of its own does it (`bothy renew`). Who speaks with the certificates takes
 * the new files by itself. If anything fails here it is tried again at the next look: a third of a certificate's life is left.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDue } from '../../control/pki/renewal.ts';
import type { Log } from './runner.ts';

export interface RenewalOptions {
  /** Where the certificates lie; the authority's own is not renewed. */
  directory: string;
  /** Makes new ones where they are due. */
  renew(): Promise<void>;
  log: Log;
  lookEveryMs?: number;
}

export class Renewal {
  readonly #options: RenewalOptions;
  #timer: NodeJS.Timeout | undefined;
  #working = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), this.#options.lookEveryMs ?? 600_000).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#working) return;
    const { directory, renew, log } = this.#options;
    this.#working = true;
    try {
      const due = dueCertificates(directory);
      if (due.length === 0) return;
      await renew();
      log('info', 'certificates renewed', { due: due.join(', ') });
    } catch (error) {
      log('error', 'certificates could not be renewed, will try again', { error: (error as Error).message });
    } finally {
      this.#working = false;
    }
  }
}

/** Names of the certificates with a third of their life left, or less. */
function dueCertificates(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.pem') && name !== 'ca.pem');
  return names.filter((name) => isDue(readFileSync(join(directory, name))));
}

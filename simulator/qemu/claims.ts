/**
 * What one QEMU keeps others from: taps, pid files, and disks. QEMU locks images: one writer, or any number of readers.
 * Two guests on one disk, the worst that a host can do, therefore fail here as they do there.
 */
import { unable } from './refusal.ts';

export type Release = () => void;

export interface ClaimsOptions {
  /** Whether the machine has this tap; absent: it has every tap. */
  tapExists?: ((name: string) => boolean) | undefined;
}

export class Claims {
  readonly #tapExists: (name: string) => boolean;
  readonly #taps = new Set<string>();
  readonly #pidFiles = new Set<string>();
  readonly #files = new Map<string, { writers: number; readers: number }>();

  constructor(options: ClaimsOptions = {}) {
    this.#tapExists = options.tapExists ?? (() => true);
  }

  /** @throws QemuRefusal */
  tap(name: string): Release {
    // Without privileges QEMU can open a tap that is there and is its user's, not make one.
    if (!this.#tapExists(name)) throw unable(`could not configure /dev/net/tun (${name}): Operation not permitted`);
    return only(this.#taps, name, () => unable(`could not configure /dev/net/tun (${name}): Device or resource busy`));
  }

  /** @throws QemuRefusal */
  pidFile(path: string): Release {
    const reason = 'cannot create PID file: Cannot lock pid file: Resource temporarily unavailable';
    return only(this.#pidFiles, path, () => unable(reason));
  }

  /** @throws QemuRefusal */
  file(path: string, mode: 'read' | 'write'): Release {
    const held = this.#files.get(path) ?? { writers: 0, readers: 0 };
    const busy = held.writers > 0 || (mode === 'write' && held.readers > 0);
    if (busy) {
      const lock = mode === 'write' ? 'Failed to get "write" lock' : 'Failed to get shared "write" lock';
      throw unable(`${lock}\nIs another process using the image [${path}]?`);
    }
    this.#files.set(path, held);
    const count = mode === 'write' ? 'writers' : 'readers';
    held[count]++;
    return () => {
      held[count]--;
      if (held.writers + held.readers === 0) this.#files.delete(path);
    };
  }
}

function only(held: Set<string>, name: string, refusal: () => Error): Release {
  if (held.has(name)) throw refusal();
  held.add(name);
  return () => held.delete(name);
}

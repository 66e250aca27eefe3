/**
 * A certificate, its key and its CA as they lie in files, followed while they change. Owns a timer, nothing on disk.
 *
 * The files are looked at rather than watched: notifications get lost on network file systems and with directories that are
 * replaced, and three small files every few seconds cost nothing. A key and a certificate that are not of one pair are a
 * renewal seen in its middle: the former pair serves until the next look.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Paths of PEM files. */
export interface CredentialFiles {
  certificate: string;
  key: string;
  ca: string;
}

/** PEM texts, as node:tls takes them. */
export interface TlsTexts {
  key: string;
  cert: string;
  ca: string;
}

export class Credentials {
  readonly #files: CredentialFiles;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(texts: TlsTexts) => void>();
  #current: TlsTexts;

  /** @throws where the files cannot be read */
  constructor(files: CredentialFiles, options: { lookEveryMs?: number } = {}) {
    this.#files = files;
    this.#current = readTexts(files);
    this.#timer = setInterval(() => this.#look(), options.lookEveryMs ?? 10_000).unref();
  }

  get current(): TlsTexts {
    return this.#current;
  }

  /** Calls back with each new pair. */
  onChange(listener: (texts: TlsTexts) => void): void {
    this.#listeners.add(listener);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  #look(): void {
    let found: TlsTexts;
    try {
      found = readTexts(this.#files);
      const { key, cert, ca } = this.#current;
      if (found.key === key && found.cert === cert && found.ca === ca) return;
      if (!new X509Certificate(found.cert).checkPrivateKey(createPrivateKey(found.key))) return;
    } catch {
      return; // gone or half there: what we have is still good
    }
    this.#current = found;
    for (const listener of this.#listeners) listener(found);
  }
}

const readTexts = ({ key, certificate, ca }: CredentialFiles): TlsTexts => ({
  key: readFileSync(key, 'utf8'),
  cert: readFileSync(certificate, 'utf8'),
  ca: readFileSync(ca, 'utf8'),
});

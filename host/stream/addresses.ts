/**
 * Where the control processes are: the addresses that this host was configured with, and after them those that control has told. Owns
 * `<data>/controls.json`, so that a host process that starts while the control of its configuration is away finds another. What is
 * told comes over a stream whose other end has proven to be control, and whoever answers at such an address has to prove the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostStreamPath } from '../../contract/host/index.ts';
import { writeWhole } from '../files.ts';
import type { HostLogger } from '../logger.ts';

export const controlsFile = (dataDirectory: string) => join(dataDirectory, 'controls.json');

/** What control told last, e.g. https://192.0.2.7:8443; none where it told nothing, or nothing that can be read. */
export function toldControls(dataDirectory: string): string[] {
  try {
    const { urls } = JSON.parse(readFileSync(controlsFile(dataDirectory), 'utf8')) as { urls?: unknown };
    return Array.isArray(urls) ? urls.filter((url) => typeof url === 'string' && URL.canParse(url)) : [];
  } catch {
    return [];
  }
}

interface Options {
  /** At least one. */
  controlUrls: readonly string[];
  dataDirectory: string;
  log: HostLogger;
}

export class ControlAddresses {
  readonly #options: Options;
  #told: readonly string[];
  /** What is the same control process as an address that is dialled: 127.0.0.1, on its own machine. */
  readonly #aliases = new Set<string>();
  #all: readonly string[] = [];
  #last: string | undefined;
  #saving: Promise<void> = Promise.resolve();

  constructor(options: Options) {
    if (options.controlUrls.length === 0) throw new Error('no control is named');
    this.#options = options;
    this.#told = toldControls(options.dataDirectory);
    this.#list();
  }

  /** The one after the one that was answered last, in turn. */
  next(): string {
    const at = this.#last === undefined ? -1 : this.#all.indexOf(this.#last);
    this.#last = this.#all[(at + 1) % this.#all.length]!;
    return this.#last;
  }

  /** @param urls the first is that of the control process that was dialled last, and says it */
  told(urls: readonly string[]): void {
    const self = urls[0] && streamUrl(urls[0]);
    if (self && this.#last && self !== this.#last) this.#aliases.add(self);
    const known = urls.join() === this.#told.join();
    this.#told = urls;
    this.#list();
    if (known) return;
    const { dataDirectory, log } = this.#options;
    const text = `${JSON.stringify({ urls }, null, 2)}\n`;
    this.#saving = this.#saving
      .then(() => writeWhole(controlsFile(dataDirectory), text, { mode: 0o644 }))
      .catch(
        // Until this process ends it knows them.
        (error) => log.warn({ err: error }, 'the addresses of control could not be saved'),
      );
  }

  #list(): void {
    const told = this.#told.map(streamUrl).filter((url) => !this.#aliases.has(url));
    this.#all = [...new Set([...this.#options.controlUrls.map(streamUrl), ...told])];
  }
}

/** The address may be control's alone, without the stream's path. */
function streamUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.pathname === '/') parsed.pathname = hostStreamPath;
  return parsed.href.replace(/^http/, 'ws');
}

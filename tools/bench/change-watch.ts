/** The native change log of one resource, watched by a client that waits for single ones of it. */
import { readFileSync } from 'node:fs';
import https from 'node:https';
import type { CloudProcesses } from '../../test/support/cloud-processes.ts';

export interface Watched {
  token: string;
  /** As the change log names it. */
  type: string;
  /** What is waited for. */
  holds(resource: Record<string, unknown>): boolean;
}

export class ChangeWatch {
  readonly opened: Promise<void>;
  readonly #watched: Watched;
  readonly #seen = new Set<string>();
  readonly #waiting = new Map<string, () => void>();
  readonly #request: ReturnType<typeof https.get>;

  constructor(cloud: CloudProcesses, watched: Watched) {
    this.#watched = watched;
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    const url = `${cloud.publicUrl}/native/v1/changes?watch=true&types=${watched.type}`;
    const headers = { 'x-auth-token': watched.token };
    let rest = '';
    this.#request = https.get(url, { agent: false, ca: readFileSync(cloud.caFile), headers }, (response) => {
      if (response.statusCode !== 200) return opened.reject(new Error(`the watch: ${response.statusCode}`));
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const events = (rest + text).split('\n\n');
        rest = events.pop()!;
        for (const event of events) this.#event(event);
        opened.resolve();
      });
      response.on('error', () => {});
    });
    this.#request.on('error', opened.reject);
  }

  /** @throws when it has not come about by then */
  async seen(id: string): Promise<void> {
    if (this.#seen.has(id)) return;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`${this.#watched.type} ${id}: not within 30 s`)), 30_000);
    await Promise.race([new Promise<void>((done) => this.#waiting.set(id, done)), late.promise]);
    clearTimeout(timer);
  }

  close(): void {
    this.#request.destroy();
  }

  #event(text: string): void {
    const data = /^data: (.*)$/m.exec(text)?.[1];
    if (data === undefined) return;
    const { id, resource } = JSON.parse(data);
    if (!resource || !this.#watched.holds(resource)) return;
    this.#seen.add(id);
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
  }
}

/** Watches a cloud's change log as a client would: server-sent events, and after each end again from the last id. */
import { readFileSync } from 'node:fs';
import https from 'node:https';

export class ChangeWatcher {
  /** Ids of the changes that came, in order. */
  readonly ids: string[] = [];
  /** How many connections it took. */
  connections = 0;
  readonly #url: string;
  readonly #options: { ca: Buffer; token: string };
  #last: string | undefined;
  #request: ReturnType<typeof https.get> | undefined;
  #closed = false;

  constructor(options: { port: number; caFile: string; token: string }) {
    this.#url = `https://127.0.0.1:${options.port}/native/v1/changes`;
    this.#options = { ca: readFileSync(options.caFile), token: options.token };
  }

  /** Where the next event will be after; undefined before the first word. */
  get position(): string | undefined {
    return this.#last;
  }

  connect(): void {
    if (this.#closed) return;
    const { ca, token } = this.#options;
    const headers: Record<string, string> = { 'x-auth-token': token, accept: 'text/event-stream' };
    if (this.#last !== undefined) headers['last-event-id'] = this.#last;
    let rest = '';
    const again = () => setTimeout(() => this.connect(), 30).unref();
    this.#request = https.get(this.#url, { ca, headers, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        again();
        return;
      }
      this.connections++;
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const events = (rest + text).split('\n\n');
        rest = events.pop()!;
        for (const event of events) this.#event(event);
      });
      response.on('error', () => {});
      response.on('close', again);
    });
    this.#request.on('error', () => again());
  }

  close(): void {
    this.#closed = true;
    this.#request?.destroy();
  }

  #event(text: string): void {
    const id = /^id: (.*)$/m.exec(text)?.[1];
    if (id !== undefined) this.#last = id;
    if (id !== undefined && /^event: change$/m.test(text)) this.ids.push(id);
  }
}

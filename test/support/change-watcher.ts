/** Watches a cloud's change log as a client would: server-sent events, and after each end again from the last id. */
import { readFileSync } from 'node:fs';
import https from 'node:https';

export class ChangeWatcher {
  /** Ids of the changes that came, in order. */
  readonly ids: string[] = [];
  /** How many connections it took. */
  connections = 0;
  readonly #port: () => number;
  readonly #options: { ca: Buffer; token: string };
  #last: string | undefined;
  #request: ReturnType<typeof https.get> | undefined;
  #closed = false;

  /** @param options port: of which control, asked for each connection */
  constructor(options: { port: number | (() => number); caFile: string; token: string }) {
    const { port } = options;
    this.#port = typeof port === 'function' ? port : () => port;
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
    const url = `https://127.0.0.1:${this.#port()}/native/v1/changes`;
    this.#request = https.get(url, { ca, headers, agent: false }, (response) => {
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

  /** Leaves the control that it hears of now, as a client does that hears nothing more of it. */
  leave(): void {
    this.#request?.destroy();
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

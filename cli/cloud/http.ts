/** HTTPS with the cloud's own CA, over a few kept connections: all that a client of the APIs needs from Node.js. */

import type { ReadStream } from 'node:fs';
import { readFileSync, statSync } from 'node:fs';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

export interface HttpRequest {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  file?: { stream: ReadStream; path: string; onProgress?: (sent: number, total: number) => void };
  timeoutMs?: number;
}

export class HttpClient {
  readonly #agent: https.Agent;

  constructor(caFile: string) {
    this.#agent = new https.Agent({ ca: readFileSync(caFile), keepAlive: true, maxSockets: 4 });
  }

  close(): void {
    this.#agent.destroy();
  }

  async request(url: string, options: HttpRequest = {}): Promise<HttpAnswer> {
    const body = options.json === undefined ? undefined : Buffer.from(JSON.stringify(options.json));
    const length = options.file === undefined ? body?.length : statSync(options.file.path).size;
    const headers = {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(length === undefined ? {} : { 'content-length': String(length) }),
      ...options.headers,
    };
    const request = https.request(url, { method: options.method ?? 'GET', headers, agent: this.#agent });
    request.setTimeout(options.timeoutMs ?? 60_000, () => request.destroy(new Error(`no answer from ${url}`)));
    const answered = new Promise<HttpAnswer>((resolve, reject) => {
      request.once('error', reject);
      request.once('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parse(text) });
        });
      });
    });
    if (options.file === undefined) request.end(body);
    else {
      const { stream, onProgress } = options.file;
      let sent = 0;
      stream.on('data', (part) => {
        sent += part.length;
        onProgress?.(sent, length ?? 0);
      });
      // A refusal may come before the last byte; then the answer counts, not the cut connection.
      pipeline(stream, request).catch(() => {});
    }
    return answered;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

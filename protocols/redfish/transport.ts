/**
 * Requests to one service processor, one at a time over one connection. Before the first byte is sent its certificate is looked at: so a password is never
 * told to somebody else. Nothing is followed, and what is read is bounded in time and size. Owns the connection.
 */
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { BmcError, plain } from '../bmc/index.ts';

/** By what it is known: the SHA-256 of its certificate in hexadecimal digits, or the certificate of the authority that signed it, in PEM. */
export type RedfishTrust = { fingerprint256: string } | { ca: string };

export interface TransportOptions {
  /** `https://NAME[:PORT]` */
  url: string;
  trust: RedfishTrust;
  /** For one request and its answer. */
  timeoutMs: number;
}

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  /** Undefined: there is none, or it is no JSON. */
  body: unknown;
}

export interface Wish {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  headers?: Record<string, string>;
  body?: object;
  /** Ends it sooner than the time for one request. */
  signal?: AbortSignal | undefined;
}

const maxBytes = 1_048_576;

export class Transport {
  readonly origin: string;
  readonly #options: TransportOptions;
  readonly #agent: https.Agent;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.origin = new URL(options.url).origin;
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    // Handed out once it is known to whom it leads.
    Object.assign(this.#agent, {
      createConnection: (_: object, done: (error: Error | null, socket?: Duplex) => void) => {
        this.#connect().then(
          (socket) => done(null, socket),
          (error: Error) => done(error),
        );
      },
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** @throws BmcError `unreachable`, `untrusted`, `malformed` */
  async ask(wish: Wish): Promise<Answer> {
    try {
      return await this.#once(wish);
    } catch (error) {
      // A connection that was kept and had ended meanwhile: what only reads may be asked again.
      const ended = (error as NodeJS.ErrnoException).code === 'ECONNRESET' && wish.method === 'GET';
      if (!ended) throw unreachable(error);
    }
    try {
      return await this.#once(wish);
    } catch (error) {
      throw unreachable(error);
    }
  }

  #once({ method, path, headers, body, signal }: Wish): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const patience = AbortSignal.timeout(this.#options.timeoutMs);
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = https.request(this.#options.url, {
        ...{ agent: this.#agent, method, path, signal: signal ? AbortSignal.any([patience, signal]) : patience },
        headers: {
          ...{ accept: 'application/json', 'odata-version': '4.0', 'user-agent': 'bothy', ...headers },
          ...(text !== undefined && {
            'content-type': 'application/json',
            'content-length': String(Buffer.byteLength(text)),
          }),
        },
      });
      request.once('error', reject);
      request.once('response', (answer) => {
        readAll(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: jsonOf(bytes) }),
          reject,
        );
      });
      request.end(text);
    });
  }

  #connect(): Promise<tls.TLSSocket> {
    const { url, trust, timeoutMs } = this.#options;
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        ...{ host, port: Number(port || 443), servername: /^[\d.]+$|:/.test(host) ? '' : host },
        ...('ca' in trust ? { ca: trust.ca } : { rejectUnauthorized: false }),
      });
      const fail = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      const patience = setTimeout(() => fail(new BmcError('unreachable', 'no TLS connection in time')), timeoutMs);
      socket.once('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(patience);
        fail(isOfCertificate(error) ? new BmcError('untrusted', plain(error.message), { cause: error }) : error);
      });
      socket.once('secureConnect', () => {
        clearTimeout(patience);
        const seen = fingerprintOf(socket);
        if ('fingerprint256' in trust && seen !== trust.fingerprint256.toLowerCase())
          fail(new BmcError('untrusted', `its certificate is another one, with the SHA-256 ${seen}`));
        else resolve(socket);
      });
    });
  }
}

const fingerprintOf = (socket: tls.TLSSocket): string =>
  (socket.getPeerCertificate().fingerprint256 ?? '').replaceAll(':', '').toLowerCase();

/** What the certificate is, without believing it: for who shall compare it. @throws BmcError `unreachable` */
export function presentedFingerprint(url: string, timeoutMs: number): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = tls.connect({ host, port: Number(port || 443), rejectUnauthorized: false, servername: '' });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer in time')));
    socket.once('error', (error) => reject(unreachable(error)));
    socket.once('secureConnect', () => {
      resolve(fingerprintOf(socket));
      socket.destroy();
    });
  });
}

const isOfCertificate = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  /CERT|SIGNATURE|ISSUER|SELF_SIGNED|ALTNAME/.test(code);

function unreachable(error: unknown): BmcError {
  if (error instanceof BmcError) return error;
  const { code, name, message } = error as NodeJS.ErrnoException;
  const why = name === 'AbortError' || name === 'TimeoutError' ? 'no answer in time' : (code ?? plain(message, 100));
  return new BmcError('unreachable', why, { cause: error });
}

async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      answer.destroy();
      throw new BmcError('malformed', `an answer of more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

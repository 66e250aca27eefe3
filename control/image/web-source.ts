/**
 * Bytes from the web, fetched for a tenant: by HTTP or HTTPS from public addresses only. Every address is judged where the
 * connection is made, so no name can mean one thing to the check and another to the socket; and every redirect is a new
 * address. Nothing of the answer but its bytes reaches the tenant.
 */
import { lookup as lookUp } from 'node:dns';
import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { http } from '../../contract/node-http.ts';
import { type AddressRules, mayReach } from './address.ts';
import type { ByteSource } from './transfer.ts';

const maxRedirects = 5;
const maxUrlLength = 2000;
const answerMs = 30_000;
const silenceMs = 60_000;

export interface WebRules extends AddressRules {
  /** Beside 80 and 443. */
  ports: readonly number[];
}

/** Read anew for each download: the cloud's own addresses change. */
export type WebRulesNow = () => WebRules | Promise<WebRules>;

export class WebSource {
  readonly #rules: WebRulesNow;

  constructor(options: { rules: WebRulesNow }) {
    this.#rules = options.rules;
  }

  /** @throws Error with a sentence for the image's owner */
  async open(uri: string, signal: AbortSignal): Promise<ByteSource> {
    const rules = await this.#rules();
    let url = uri;
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const target = allowedUrl(url, rules);
      if (typeof target === 'string') throw new Error(target);
      const answer = await get(target, rules, signal);
      const { statusCode = 0, headers } = answer;
      if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
        answer.destroy();
        if (!URL.canParse(headers.location, target.href))
          throw new Error('the source redirects to something that is no URL');
        url = new URL(headers.location, target.href).href;
        continue;
      }
      if (statusCode !== 200) {
        answer.destroy();
        throw new Error(`the source answered ${statusCode}`);
      }
      return { bytes: answer, sizeBytes: sizeOf(answer) };
    }
    throw new Error(`the source redirects more than ${maxRedirects} times`);
  }
}

/** The URL, or why it is none that we go to. */
export function allowedUrl(uri: string, rules: WebRules): URL | string {
  if (uri.length > maxUrlLength || !URL.canParse(uri)) return 'the URI is no URL';
  const url = new URL(uri);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `the scheme ${url.protocol} is not http or https`;
  if (url.username !== '' || url.password !== '') return 'the URI may not carry a user or a password';
  const port = Number(url.port || (url.protocol === 'http:' ? 80 : 443));
  if (![80, 443, ...rules.ports].includes(port)) return `port ${port} is not allowed`;
  const host = hostOf(url);
  // Of a name the addresses are judged when it is looked up.
  if (isIP(host) !== 0 && !mayReach(host, rules)) return notPublic;
  return url;
}

const notPublic = 'the source is not at a public address';
const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1');

function get(url: URL, rules: WebRules, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'http:' ? http : https;
    const asked = request(url.href, {
      agent: false,
      signal,
      timeout: silenceMs,
      lookup: judgedLookup(rules),
      headers: { 'accept-encoding': 'identity', accept: '*/*', 'user-agent': 'bothy' },
    });
    const patience = setTimeout(() => asked.destroy(new Error('the source did not answer in time')), answerMs);
    asked.once('timeout', () => asked.destroy(new Error('the source fell silent')));
    asked.once('response', (answer) => {
      clearTimeout(patience);
      resolve(answer);
    });
    asked.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(patience);
      // What the system says names addresses that are not the tenant's to know.
      const known = cause.code === undefined || signal.aborted;
      reject(known ? cause : new Error(`the source could not be reached: ${inWords(cause.code!)}`, { cause }));
    });
    asked.end();
  });
}

/** What the system's codes mean to who asked for the import; a certificate's say it by themselves. */
const inWords = (code: string): string =>
  ({
    ENOTFOUND: 'there is no such name',
    EAI_AGAIN: 'its name could not be looked up',
    ECONNREFUSED: 'it takes no connections',
    ECONNRESET: 'it ended the connection',
    ETIMEDOUT: 'it did not answer in time',
    EHOSTUNREACH: 'there is no way to it',
    ENETUNREACH: 'there is no way to it',
  })[code] ?? code;

/** Names as the system knows them, less what may not be reached. */
const judgedLookup =
  (rules: AddressRules): LookupFunction =>
  (hostname, options, callback) => {
    lookUp(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0);
      const public_ = found.filter(({ address }) => mayReach(address, rules));
      const [first] = public_;
      if (!first) return callback(new Error(notPublic), '', 0);
      if (options.all) return callback(null, public_);
      callback(null, first.address, first.family);
    });
  };

function sizeOf({ headers }: IncomingMessage): number | undefined {
  const text = headers['content-length'];
  const size = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  return size === 0 ? undefined : size;
}

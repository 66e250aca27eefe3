/** URLs that are good for one thing for a while, because whoever wrote them knew a key of the account or the container. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { Refusal } from '../../boundary/refusal.ts';

export interface TempUrl {
  algorithm: Digest;
  signature: Buffer;
  /** As the signature has it: seconds since 1970, or a time of ISO 8601. */
  expires: string;
  expiresAt: Date;
  /** Good for every object whose name begins so. */
  prefix?: string;
  /** The only addresses that it is good for. */
  ipRange?: string;
  filename?: string;
  inline: boolean;
}

export const digests = ['sha1', 'sha256', 'sha512'] as const;
export type Digest = (typeof digests)[number];
const digestBytes: Readonly<Record<Digest, number>> = { sha1: 20, sha256: 32, sha512: 64 };

export const invalid = (): Refusal => new Refusal('unauthenticated', '401 Unauthorized: Temp URL invalid');

/** Undefined: the request does not come by such a URL. @throws Refusal where it does and can't be judged, or is over */
export function tempUrlOf(query: Readonly<Record<string, unknown>>, now: Date): TempUrl | undefined {
  const one = (name: string) => (typeof query[name] === 'string' ? (query[name] as string) : undefined);
  const [sig, expires] = [one('temp_url_sig'), one('temp_url_expires')];
  if (query.temp_url_sig === undefined && query.temp_url_expires === undefined) return undefined;
  const signature = sig === undefined ? undefined : signatureOf(sig);
  const expiresAt = expires === undefined ? undefined : expiryOf(expires);
  if (!signature || expires === undefined || !expiresAt || expiresAt <= now) throw invalid();
  const [prefix, ipRange, filename] = [one('temp_url_prefix'), one('temp_url_ip_range'), one('filename')];
  return {
    ...signature,
    ...{ expires, expiresAt, inline: query.inline !== undefined },
    ...(prefix !== undefined && { prefix }),
    ...(ipRange !== undefined && { ipRange }),
    ...(filename !== undefined && { filename }),
  };
}

/** Hexadecimal, or `sha256:` and Base64 in either alphabet. */
export function signatureOf(text: string): { algorithm: Digest; signature: Buffer } | undefined {
  const [, named, base64] = /^(sha1|sha256|sha512):([A-Za-z0-9+/_-]+={0,2})$/.exec(text) ?? [];
  const hex = /^(?:[0-9a-f]{2}){20,64}$/i.test(text);
  if (!hex && named === undefined) return undefined;
  const signature = hex ? Buffer.from(text, 'hex') : Buffer.from(base64!, 'base64');
  const algorithm =
    named === undefined ? digests.find((one) => digestBytes[one] === signature.length) : (named as Digest);
  return algorithm && digestBytes[algorithm] === signature.length ? { algorithm, signature } : undefined;
}

/** Whole seconds since 1970, or UTC. Also of form posts. */
export function expiryOf(text: string): Date | undefined {
  if (/^\d{1,11}$/.test(text)) return new Date(Number(text) * 1000);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return undefined;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** By whose right: a URL for GET and PUT also shows what is there. */
const methodsFor: Readonly<Record<string, readonly string[]>> = { HEAD: ['HEAD', 'GET', 'POST', 'PUT'] };

export interface SignedRequest {
  method: string;
  /** `/v1/AUTH_…/container`. */
  containerPath: string;
  object: string;
  address: string;
}

/** Whether somebody who knows one of the keys wrote it for this. */
export function isSigned(url: TempUrl, request: SignedRequest, keys: readonly string[]): boolean {
  if (url.prefix !== undefined && !request.object.startsWith(url.prefix)) return false;
  if (url.ipRange !== undefined && !isWithin(request.address, url.ipRange)) return false;
  const name = url.prefix ?? request.object;
  const methods = methodsFor[request.method] ?? [request.method];
  // Clients sign the path that they know: all of it, or from the version on.
  const paths = ['/object', ''].map((root) => `${root}${request.containerPath}/${name}`);
  return keys.some((key) =>
    methods.some((method) =>
      paths.some((path) => {
        const range = url.ipRange === undefined ? '' : `ip=${url.ipRange}\n`;
        const text = `${range}${method}\n${url.expires}\n${url.prefix === undefined ? '' : 'prefix:'}${path}`;
        return isSignature(url, key, text);
      }),
    ),
  );
}

export const isSignature = (
  { algorithm, signature }: { algorithm: Digest; signature: Buffer },
  key: string,
  text: string,
): boolean => timingSafeEqual(createHmac(algorithm, key).update(text).digest(), signature);

function isWithin(address: string, range: string): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  const [net = '', bits] = range.split('/', 2);
  const family = isIP(net);
  if (family === 0 || isIP(plain) === 0 || !/^\d{0,3}$/.test(bits ?? '')) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const length = bits ? Number(bits) : family === 4 ? 32 : 128;
  if (length > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(net, length, type);
  return list.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
}

/** What a browser does with it: saves it under its name, if nothing else was asked for. */
export function dispositionOf(
  url: Pick<TempUrl, 'inline' | 'filename'>,
  object: string,
  kept: string | undefined,
): string {
  const name = url.filename ?? (url.inline ? undefined : object.replace(/\/+$/, '').split('/').at(-1)!);
  if (kept !== undefined && url.filename === undefined && !url.inline) return kept;
  const how = url.inline ? 'inline' : 'attachment';
  if (name === undefined) return how;
  const plain = name.replace(/[^\x20-\x7e]|["\\]/g, '_');
  const exact = encodeURIComponent(name).replace(
    /['()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${how}; filename="${plain}"; filename*=UTF-8''${exact}`;
}

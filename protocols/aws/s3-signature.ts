/**
 * Version 4 as S3 has it ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference): by header, by query
 * (presigned), of a form's policy, and of the chunks of a body. It differs from other services': the path is escaped once, the hash
 * of the body is what a header says. Pure: knows no user, no clock; the body is somebody else's to hash.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A request as it came: nothing decoded, nothing joined. */
export interface S3Request {
  method: string;
  /** Before the question mark. */
  path: string;
  /** Behind it, without it. */
  query: string;
  /** Names and values in turn, as Node has them. */
  rawHeaders: readonly string[];
}

/** What a request says about its own signature. */
export interface S3Signature {
  form: 'header' | 'query';
  access: string;
  scope: Scope;
  /** As it was signed: `20260131T120000Z`. */
  time: string;
  /** Of a presigned one, in seconds from its time. */
  expires?: number;
  signedHeaders: readonly string[];
  signature: string;
  /** What is signed instead of the body: its SHA-256 in hexadecimal, or `UNSIGNED-PAYLOAD`, `STREAMING-…`. */
  payload: string;
}

export interface Scope {
  date: string;
  region: string;
  service: string;
}

export type Problem =
  /** None: nobody says who it is. */
  | 'none'
  | 'version_2'
  | 'other_algorithm'
  | 'malformed'
  /** The credential's scope is of another service, or is none. */
  | 'scope'
  | 'no_time'
  | 'no_payload_hash'
  /** No seconds of a week. */
  | 'expires'
  | 'host_not_signed';

const sha256 = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex');
export const emptySha256 = sha256('');

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** All values of a header, in their order, by a comma; undefined where there is none. */
export function headerOf({ rawHeaders }: Pick<S3Request, 'rawHeaders'>, name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length !== name.length || rawHeaders[at]!.toLowerCase() !== name) continue;
    found = found === undefined ? rawHeaders[at + 1]! : `${found},${rawHeaders[at + 1]}`;
  }
  return found;
}

/** Names and values of a query, decoded; in their order. @returns undefined where an escape is no text */
export function queryPairs(query: string): [name: string, value: string][] | undefined {
  if (query === '') return [];
  try {
    return query
      .split('&')
      .filter((one) => one !== '')
      .map((one) => {
        const at = one.indexOf('=');
        const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
        return at < 0 ? [decode(one), ''] : [decode(one.slice(0, at)), decode(one.slice(at + 1))];
      });
  } catch {
    return undefined;
  }
}

/** RFC 3986's unreserved characters stay. */
const quote = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

export function signatureOf(request: S3Request): S3Signature | Problem {
  const said = headerOf(request, 'authorization');
  if (said !== undefined) return inHeader(request, said);
  if (!/(^|&)(X-Amz-|AWSAccessKeyId=|Signature=)/i.test(request.query)) return 'none';
  return inQuery(request);
}

function inHeader(request: S3Request, said: string): S3Signature | Problem {
  if (/^AWS\s/.test(said)) return 'version_2';
  if (!said.startsWith('AWS4-HMAC-SHA256')) return said.startsWith('AWS4-') ? 'other_algorithm' : 'malformed';
  const fields = new Map(
    said
      .slice('AWS4-HMAC-SHA256'.length)
      .split(',')
      .map((field) => {
        const at = field.indexOf('=');
        return [field.slice(0, at).trim(), field.slice(at + 1).trim()] as const;
      }),
  );
  const time = headerOf(request, 'x-amz-date') ?? basicTime(headerOf(request, 'date'));
  const payload = headerOf(request, 'x-amz-content-sha256');
  if (payload === undefined) return 'no_payload_hash';
  return whole({
    form: 'header',
    credential: fields.get('Credential'),
    signed: fields.get('SignedHeaders'),
    signature: fields.get('Signature'),
    ...{ time, payload },
  });
}

/** A client may sign with the Date header instead. */
function basicTime(date: string | undefined): string | undefined {
  const at = Date.parse(date ?? '');
  return Number.isNaN(at) ? undefined : new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');
}

function inQuery(request: S3Request): S3Signature | Problem {
  const pairs = queryPairs(request.query);
  if (!pairs) return 'malformed';
  // As S3's own: the names' case counts for nothing else, but that of these does.
  const fields = new Map(pairs);
  if (fields.has('AWSAccessKeyId')) return 'version_2';
  const algorithm = fields.get('X-Amz-Algorithm');
  if (algorithm === undefined)
    return fields.has('X-Amz-Credential') || fields.has('X-Amz-Signature') ? 'malformed' : 'none';
  if (algorithm !== 'AWS4-HMAC-SHA256') return 'other_algorithm';
  const expires = fields.get('X-Amz-Expires') ?? '';
  if (!/^\d{1,7}$/.test(expires) || Number(expires) < 1 || Number(expires) > 604_800) return 'expires';
  const signature = whole({
    form: 'query',
    credential: fields.get('X-Amz-Credential'),
    signed: fields.get('X-Amz-SignedHeaders'),
    signature: fields.get('X-Amz-Signature'),
    time: fields.get('X-Amz-Date'),
    payload: fields.get('X-Amz-Content-Sha256') ?? headerOf(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD',
  });
  return typeof signature === 'string' ? signature : { ...signature, expires: Number(expires) };
}

function whole(given: {
  form: S3Signature['form'];
  credential: string | undefined;
  signed: string | undefined;
  signature: string | undefined;
  time: string | undefined;
  payload: string;
}): S3Signature | Problem {
  const { form, credential, signed, signature, time, payload } = given;
  if (!credential || !signed || !signature) return 'malformed';
  if (time === undefined || !/^\d{8}T\d{6}Z$/.test(time)) return 'no_time';
  const read = readCredential(credential);
  if (!read || !time.startsWith(read.scope.date)) return 'scope';
  const signedHeaders = signed.toLowerCase().split(';');
  if (!signedHeaders.includes('host')) return 'host_not_signed';
  return { form, ...read, time, signedHeaders, signature, payload };
}

/** `ACCESS/20260131/region/s3/aws4_request`; an access key may have slashes. */
export function readCredential(credential: string): { access: string; scope: Scope } | undefined {
  const parts = credential.split('/');
  const [date, region, service, end] = parts.slice(-4);
  const access = parts.slice(0, -4).join('/');
  if (access === '' || end !== 'aws4_request' || service !== 's3' || !/^\d{8}$/.test(date ?? '')) return undefined;
  return { access, scope: { date: date!, region: region!, service } };
}

/** The key that signs whatever is of one day, region and service. */
export function signingKey(secret: string, { date, region, service }: Scope): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
}

/** What was signed, as we compute it; S3 shows both texts where they differ from the client's. */
export interface Signed {
  canonicalRequest: string;
  stringToSign: string;
}

const scopeText = ({ date, region, service }: Scope): string => `${date}/${region}/${service}/aws4_request`;

/** @param host where the client did not sign the one that it sent */
export function signedTexts(request: S3Request, signature: S3Signature, host?: string): Signed {
  const { signedHeaders, payload, time, scope, form } = signature;
  const headers = signedHeaders.map((name) => {
    const value = name === 'host' && host !== undefined ? host : (headerOf(request, name) ?? '');
    return `${name}:${value.trim().replace(/ {2,}/g, ' ')}\n`;
  });
  const pairs = (queryPairs(request.query) ?? []).filter(([name]) => form === 'header' || name !== 'X-Amz-Signature');
  // By the escaped name, then by the escaped value: not by the whole, where `=` would come in between.
  const query = pairs
    .map(([name, value]) => [quote(name), quote(value)] as const)
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map((pair) => pair.join('='))
    .join('&');
  const canonicalRequest = [
    request.method,
    canonicalPath(request.path),
    query,
    headers.join(''),
    signedHeaders.join(';'),
    payload,
  ].join('\n');
  return {
    canonicalRequest,
    stringToSign: ['AWS4-HMAC-SHA256', time, scopeText(scope), sha256(canonicalRequest)].join('\n'),
  };
}

/** Each segment decoded and escaped once, whatever the client chose to escape; nothing is resolved. */
function canonicalPath(path: string): string {
  if (/^[A-Za-z0-9_.~/-]*$/.test(path)) return path;
  try {
    return path
      .split('/')
      .map((one) => quote(decodeURIComponent(one)))
      .join('/');
  } catch {
    return path;
  }
}

export const sign = (text: string, key: Buffer): string => hmac(key, text).toString('hex');

export function sameSignature(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** In milliseconds since 1970. */
export function timeOf(time: string): number {
  const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Signatures of the chunks of one body, each bound to the one before it. */
export class ChunkSignatures {
  readonly #key: Buffer;
  readonly #head: string;
  #previous: string;

  constructor(key: Buffer, { time, scope, signature }: Pick<S3Signature, 'time' | 'scope' | 'signature'>) {
    this.#key = key;
    this.#head = `${time}\n${scopeText(scope)}`;
    this.#previous = signature;
  }

  /** Is it the next chunk's? @param hash SHA-256 of its bytes in hexadecimal */
  isNext(signature: string, hash: string): boolean {
    return sameSignature(this.next(hash), signature);
  }

  /** Is it that of what comes behind the last chunk? @param hash of its lines, each `name:value\n` */
  isTrailer(signature: string, hash: string): boolean {
    return sameSignature(this.#sign(`AWS4-HMAC-SHA256-TRAILER\n${this.#head}\n${this.#previous}\n${hash}`), signature);
  }

  /** The signature of the next chunk. */
  next(hash: string): string {
    return this.#sign(`AWS4-HMAC-SHA256-PAYLOAD\n${this.#head}\n${this.#previous}\n${emptySha256}\n${hash}`);
  }

  #sign(text: string): string {
    this.#previous = sign(text, this.#key);
    return this.#previous;
  }
}

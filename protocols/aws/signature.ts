/**
 * Signatures of AWS requests, as whoever keeps the secret computes them again. Version 2 ("Signing AWS API requests", Query API)
 * and version 4 ("AWS Signature Version 4", docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export interface SignedRequest {
  signature: string;
  verb: string;
  /** With its port, as the client sent it. */
  host: string;
  path: string;
  params: Readonly<Record<string, string>>;
  headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hexadecimal. */
  bodyHash: string;
}

const hmac = (key: string | Buffer, text: string | Buffer, algorithm = 'sha256') =>
  createHmac(algorithm, key).update(text).digest();

/** RFC 3986's unreserved characters stay. */
const quote = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

function queryOf(params: SignedRequest['params'], without: string): string {
  const pairs = Object.entries(params).filter(([name]) => name !== without);
  return pairs
    .map(([name, value]) => `${quote(name)}=${quote(value)}`)
    .sort()
    .join('&');
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Has the owner of this secret signed the request? Clients that left the port out of what they signed count too. */
export function isSigned(request: SignedRequest, secret: string): boolean {
  const hosts = [request.host, request.host.replace(/:\d+$/, '')];
  return [...new Set(hosts)].some((host) => {
    const expected = isVersion4(request)
      ? version4({ ...request, host }, secret)
      : version2({ ...request, host }, secret);
    return expected !== undefined && equal(expected, request.signature);
  });
}

const header = ({ headers }: Pick<SignedRequest, 'headers'>, name: string): string | undefined =>
  Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];

type Sent = Pick<SignedRequest, 'params' | 'headers'>;

/** The time of version 4, which is part of what is signed. */
const time4 = (request: Sent): string | undefined => request.params['X-Amz-Date'] ?? header(request, 'x-amz-date');

const isVersion4 = (request: Sent): boolean =>
  (header(request, 'authorization') ?? request.params['X-Amz-Algorithm'] ?? '').startsWith('AWS4-HMAC-SHA256');

const algorithms2: ReadonlyMap<string, string> = new Map(Object.entries({ HmacSHA256: 'sha256', HmacSHA1: 'sha1' }));

function version2({ verb, host, path, params }: SignedRequest, secret: string): string | undefined {
  if (params.SignatureVersion !== '2') return undefined;
  const algorithm = algorithms2.get(params.SignatureMethod ?? '');
  if (!algorithm) return undefined;
  const text = [verb.toUpperCase(), host.toLowerCase(), path, queryOf(params, 'Signature')].join('\n');
  return hmac(secret, text, algorithm).toString('base64');
}

function version4(request: SignedRequest, secret: string): string | undefined {
  const { params, verb, path, bodyHash, host } = request;
  const said = header(request, 'authorization') ?? '';
  const credential = params['X-Amz-Credential'] ?? /Credential=([^,\s]+)/.exec(said)?.[1];
  const signed = params['X-Amz-SignedHeaders'] ?? /SignedHeaders=([^,\s]+)/.exec(said)?.[1];
  const time = time4(request);
  const [date, region, service, end, ...rest] = credential?.split('/').slice(1) ?? [];
  if (!signed || !time || end !== 'aws4_request' || rest.length > 0 || !date || !time.startsWith(date))
    return undefined;
  const headers = signed
    .split(';')
    .map((name) => `${name}:${(name === 'host' ? host : (header(request, name) ?? '')).trim().replace(/ +/g, ' ')}\n`)
    .join('');
  const canonical = [verb.toUpperCase(), path, queryOf(params, 'X-Amz-Signature'), headers, signed, bodyHash].join(
    '\n',
  );
  const scope = [date, region, service, end].join('/');
  const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  return signText4(text, secret, [date, region!, service!]);
}

function signText4(text: string | Buffer, secret: string, scope: readonly [string, string, string]): string {
  const key = [...scope, 'aws4_request'].reduce<Buffer>(
    (above, part) => hmac(above, part),
    Buffer.from(`AWS4${secret}`),
  );
  return hmac(key, text).toString('hex');
}

/**
 * Is this the signature of a text that the client signed itself, of which only the text is known (an S3 gateway's way)? Of
 * version 4 its second line is the time and its third the scope; what begins otherwise is S3's first version, HMAC-SHA-1.
 */
export function isSignedText(text: Buffer, signature: string, secret: string): boolean {
  if (!text.subarray(0, 4).equals(Buffer.from('AWS4'))) {
    return equal(hmac(secret, text, 'sha1').toString('base64'), signature);
  }
  const [algorithm, , scope, , ...rest] = text.toString('utf8').split('\n');
  const [date, region, service, end, ...more] = scope?.split('/') ?? [];
  if (algorithm !== 'AWS4-HMAC-SHA256' || rest.length > 0 || end !== 'aws4_request' || more.length > 0) return false;
  // A signature of another service is none for us: it would be taken from one gateway to the other.
  if (!date || region === undefined || !['s3', 'iam', 'sts'].includes(service ?? '')) return false;
  return equal(signText4(text, secret, [date, region, service!]), signature);
}

/**
 * When the client says that it signed, in milliseconds since 1970; NaN where that is no time, undefined where it says nothing.
 * Of what is sent along unsigned (all headers, with version 2) nothing counts: it would make an old signature young.
 */
export function signedAt(request: Sent): number | undefined {
  const given = isVersion4(request) ? time4(request) : request.params.Timestamp;
  if (given === undefined) return undefined;
  const basic = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(given);
  if (basic) return Date.parse(`${basic.slice(1, 4).join('-')}T${basic.slice(4).join(':')}Z`);
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(given) ? given : `${given}Z`);
}

/** Signs requests as S3's clients do, with version 4: by header, or in the URL. */
import { createHash } from 'node:crypto';
import { type S3Signature, sign, signedTexts, signingKey } from '../../protocols/aws/s3-signature.ts';

export { ChunkSignatures } from '../../protocols/aws/s3-signature.ts';
export { checksumOf } from '../../protocols/checksum/index.ts';

export interface Keys {
  access: string;
  secret: string;
}

export interface ToSign {
  method: string;
  /** With its query. */
  target: string;
  host: string;
  headers?: Record<string, string>;
  /** What stands for the body; default: the body's hash. */
  payload?: string;
  body?: Buffer | string;
  at?: Date;
}

const basic = (at: Date): string => at.toISOString().replace(/[-:]|\.\d+/g, '');

/** The headers to send, host and signature among them. */
export function signHeaders(keys: Keys, wish: ToSign): Record<string, string> {
  return signedHeaders(keys, wish).headers;
}

export function signedHeaders(
  keys: Keys,
  { method, target, host, headers = {}, body = '', at = new Date(), ...rest }: ToSign,
): { headers: Record<string, string>; signature: S3Signature; key: Buffer } {
  const payload = rest.payload ?? createHash('sha256').update(body).digest('hex');
  const time = basic(at);
  const all: Record<string, string> = { host, ...headers, 'x-amz-date': time, 'x-amz-content-sha256': payload };
  const scope = { date: time.slice(0, 8), region: 'RegionOne', service: 's3' };
  const key = signingKey(keys.secret, scope);
  const names = Object.keys(all)
    .map((name) => name.toLowerCase())
    .sort();
  const [path, query = ''] = cut(target);
  const unsigned = { form: 'header', access: keys.access, scope, time, signedHeaders: names, payload } as const;
  const { stringToSign } = signedTexts(
    { method, path, query, rawHeaders: Object.entries(all).flat() },
    {
      ...unsigned,
      signature: '',
    },
  );
  const signature = sign(stringToSign, key);
  const credential = `${keys.access}/${scope.date}/${scope.region}/s3/aws4_request`;
  all.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  return { headers: all, signature: { ...unsigned, signature }, key };
}

/** The target with a signature in its query. */
export function presign(
  keys: Keys,
  { method, target, host, at = new Date(), expires = 900 }: ToSign & { expires?: number },
): string {
  const time = basic(at);
  const scope = { date: time.slice(0, 8), region: 'RegionOne', service: 's3' };
  const [path, query = ''] = cut(target);
  const said = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${keys.access}/${scope.date}/${scope.region}/s3/aws4_request`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(expires),
    'X-Amz-SignedHeaders': 'host',
  });
  const whole = [query, String(said)].filter((part) => part !== '').join('&');
  const { stringToSign } = signedTexts(
    { method, path, query: whole, rawHeaders: ['host', host] },
    {
      ...{ form: 'query', access: keys.access, scope, time, signedHeaders: ['host'], signature: '' },
      payload: 'UNSIGNED-PAYLOAD',
    },
  );
  return `${path}?${whole}&X-Amz-Signature=${sign(stringToSign, signingKey(keys.secret, scope))}`;
}

const cut = (target: string): [path: string, query?: string] => {
  const at = target.indexOf('?');
  return at < 0 ? [target] : [target.slice(0, at), target.slice(at + 1)];
};

/** The fields of a form that say who signed its policy. */
export function signPolicy(
  keys: Keys,
  policy: { expiration: string; conditions: readonly unknown[] },
): Record<string, string> {
  const time = basic(new Date());
  const scope = { date: time.slice(0, 8), region: 'RegionOne', service: 's3' };
  const said = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${keys.access}/${scope.date}/${scope.region}/s3/aws4_request`,
    'x-amz-date': time,
  };
  const conditions = [...policy.conditions, ...Object.entries(said).map(([name, value]) => ({ [name]: value }))];
  const encoded = Buffer.from(JSON.stringify({ ...policy, conditions })).toString('base64');
  return { ...said, policy: encoded, 'x-amz-signature': sign(encoded, signingKey(keys.secret, scope)) };
}

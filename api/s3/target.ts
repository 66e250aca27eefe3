/**
 * Where a request goes: which are S3's, whose bucket it is and which key. Reads the target as the client sent it; a key is decoded once,
 * and nothing of it is resolved or taken away. Pure.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { S3Refusal } from './refusal.ts';

export const s3Prefix = '/s3';

interface Sent {
  url?: string | undefined;
  method?: string | undefined;
  headers: IncomingHttpHeaders;
}

/** Signed for S3, or for a host or path that is S3's alone. What is signed for another service is not. */
export function isS3(request: Sent): boolean {
  const { headers, method } = request;
  const { path, query } = cut(request.url ?? '/');
  const said = headers.authorization;
  if (said !== undefined && /^AWS4-HMAC-SHA256\b/.test(said)) return /\/s3\/aws4_request\b/.test(said);
  if (said !== undefined && /^AWS /.test(said)) return true;
  if (/(^|&)X-Amz-Credential=/.test(query))
    return /(^|&)X-Amz-Credential=[^&]*(%2F|\/)s3(%2F|\/)aws4_request/i.test(query);
  // EC2's requests of version 2 have an action.
  if (/(^|&)AWSAccessKeyId=/.test(query)) return !/(^|&)Action=/.test(query);
  if (path === s3Prefix || path.startsWith(`${s3Prefix}/`)) return true;
  if (headers['x-auth-token'] !== undefined) return false;
  if (hostOf(headers.host) !== undefined) return true;
  // A form that somebody signed for a browser: it has its signature within.
  return method === 'POST' && /^\/[a-z0-9][a-z0-9.-]+\/?$/.test(path) && isForm(headers['content-type']);
}

export const isForm = (type = ''): boolean => /^multipart\/form-data\b/i.test(type);

/** `s3.cloud.example`, `bucket.s3.cloud.example`. */
function hostOf(host = ''): { bucket?: string } | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  if (name.startsWith('s3.')) return {};
  const at = name.lastIndexOf('.s3.');
  return at > 0 ? { bucket: name.slice(0, at) } : undefined;
}

export interface Target {
  bucket?: string;
  /** Never empty. */
  key?: string;
  /** The bucket is the host's name. */
  virtual: boolean;
  /** Decoded; of a name that comes twice the first. */
  query: ReadonlyMap<string, string>;
  /** As the client sent them: that is what is signed. */
  raw: { path: string; query: string };
}

const keyBytes = 1024;

/** @throws S3Refusal */
export function targetOf(url: string, host: string | undefined): Target {
  const raw = cut(url);
  const query = queryOf(raw.query);
  const named = hostOf(host)?.bucket;
  const { path } = raw;
  // Of a bucket that is a host's name the path is the key, whatever it begins with.
  const prefixed = named === undefined && (path === s3Prefix || path.startsWith(`${s3Prefix}/`));
  const under = prefixed ? path.slice(s3Prefix.length) : path;
  const rest = under.slice(1);
  const slash = rest.indexOf('/');
  const [first, behind] =
    named !== undefined ? [named, rest] : slash < 0 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash + 1)];
  const bucket = decode(first);
  const key = decode(behind);
  if (Buffer.byteLength(key) > keyBytes) throw new S3Refusal('KeyTooLongError', 'Your key is too long');
  return {
    ...(bucket !== '' && { bucket }),
    ...(bucket !== '' && key !== '' && { key }),
    virtual: named !== undefined,
    query,
    raw,
  };
}

function queryOf(text: string): Map<string, string> {
  const query = new Map<string, string>();
  for (const one of text.split('&')) {
    if (one === '') continue;
    const at = one.indexOf('=');
    const [name, value] = at < 0 ? [one, ''] : [one.slice(0, at), one.slice(at + 1)];
    const known = decode(name.replaceAll('+', ' '));
    if (!query.has(known)) query.set(known, decode(value.replaceAll('+', ' ')));
  }
  return query;
}

/** @throws S3Refusal where it is no text that can be kept */
function decode(text: string): string {
  let decoded = text;
  try {
    if (text.includes('%')) decoded = decodeURIComponent(text);
  } catch {
    throw new S3Refusal('InvalidURI', "Couldn't parse the specified URI.");
  }
  if (decoded.includes('\0')) throw new S3Refusal('InvalidURI', "Couldn't parse the specified URI.");
  return decoded;
}

/** The absolute form (RFC 9112, section 3.2.2) names a host before the path. */
function cut(url: string): { path: string; query: string } {
  const target = url.replace(/^https?:\/\/[^/?#]*/i, '');
  const whole = target.startsWith('/') ? target : `/${target}`;
  const at = whole.indexOf('?');
  // Node's parser reads bytes beyond ASCII as one character each.
  const text = (part: string) => Buffer.from(part, 'latin1').toString('utf8');
  return at < 0
    ? { path: text(whole), query: '' }
    : { path: text(whole.slice(0, at)), query: text(whole.slice(at + 1)) };
}

/** `/bucket/key?versionId=x` of a header: decoded once. @throws S3Refusal */
export function copySourceOf(source: string): { bucket: string; key: string; versionId?: string } {
  const at = source.search(/\?versionId=/);
  const path = (at < 0 ? source : source.slice(0, at)).replace(/^\//, '');
  let whole: string;
  try {
    whole = decodeURIComponent(path);
  } catch {
    whole = path;
  }
  const slash = whole.indexOf('/');
  if (slash <= 0 || slash === whole.length - 1 || whole.includes('\0')) {
    throw new S3Refusal(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      {
        ArgumentName: 'x-amz-copy-source',
        ArgumentValue: source.slice(0, 255),
      },
    );
  }
  const versionId = at < 0 ? undefined : decode(source.slice(at + '?versionId='.length));
  return { bucket: whole.slice(0, slash), key: whole.slice(slash + 1), ...(versionId !== undefined && { versionId }) };
}

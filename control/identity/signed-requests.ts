/**
 * Requests that an access key has signed, S3's: whose are they? An access key is a login whose token stays here: what ends the token (a
 * changed password, a lost role) ends what is signed, as fast. Copies are never the truth: a key is read anew after some seconds, and
 * forgotten at once when any credential changes.
 */
import { isDeepStrictEqual } from 'node:util';
import { CloudError } from '../../contract/errors.ts';
import {
  ChunkSignatures,
  headerOf,
  type Problem,
  queryPairs,
  readCredential,
  type S3Request,
  type S3Signature,
  type Scope,
  sameSignature,
  sign,
  signatureOf,
  signedTexts,
  signingKey,
  timeOf,
} from '../../protocols/aws/s3-signature.ts';
import type { Caller } from '../kit/caller.ts';
import type { AccessKey } from './credentials.ts';
import type { IdentityChange } from './token-cache.ts';

export type { ChunkSignatures } from '../../protocols/aws/s3-signature.ts';

/** Who comes, and what is known of the body. */
export interface Visit {
  /** Null: nobody has signed. */
  caller: Caller | null;
  /** SHA-256 of the body in hexadecimal, `UNSIGNED-PAYLOAD`, or `STREAMING-…`: as it was signed, or said without a signature. */
  payload: string;
  /** Of a body in signed chunks. */
  chunks?: ChunkSignatures;
}

/** The policy of a form: a text that somebody signed for others to upload with. */
export interface SignedPolicy {
  /** As it came, in base64: that is what was signed. */
  policy: string;
  credential: string;
  time: string;
  signature: string;
}

interface Sources {
  find(access: string): Promise<AccessKey | undefined>;
  /** @throws CloudError `unauthenticated` */
  login(key: AccessKey, requestId: string): Promise<{ token: string }>;
  /** @throws CloudError `unauthenticated` */
  authenticate(token: string, requestId: string): Promise<Caller>;
  /** Whether changes reach this process. */
  listening(): boolean;
}

interface Held {
  key: AccessKey;
  token: Promise<string>;
  readAt: number;
  /** Of the last day, region and service. */
  signing?: { scope: Scope; key: Buffer };
}

const lastsMs = 15 * 60_000;
const maxAgeMs = 5000;
const most = 5000;

export class SignedRequests {
  readonly #sources: Sources;
  readonly #held = new Map<string, Held>();
  #epoch = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Any credential that changed may be any key. */
  apply(changes: readonly IdentityChange[]): void {
    if (!changes.some(({ resource_type }) => resource_type === 'credential')) return;
    this.#epoch += 1;
    this.#held.clear();
  }

  /** @throws CloudError `unauthenticated`, `invalid`, `forbidden` */
  async visit(request: S3Request, requestId: string): Promise<Visit> {
    const signature = signatureOf(request);
    if (signature === 'none') {
      return { caller: null, payload: headerOf(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD' };
    }
    if (typeof signature === 'string') throw problem(signature);
    if (sessionTokenOf(request)) throw new CloudError('unauthenticated', 'session_token_unknown', {});
    requireTime(signature);
    const { held, signing } = await this.#key(signature.access, signature.scope);
    requireSignature(request, signature, signing);
    requireHeadersSigned(request, signature);
    const { payload } = signature;
    return {
      caller: await this.#callerOf(held, requestId),
      payload,
      ...(payload.startsWith('STREAMING-AWS4-HMAC-SHA256') && { chunks: new ChunkSignatures(signing, signature) }),
    };
  }

  /** Whoever signed a form's policy. What it allows, and for how long, is in the policy. @throws CloudError */
  async signerOf({ policy, credential, time, signature }: SignedPolicy, requestId: string): Promise<Caller> {
    const read = readCredential(credential);
    if (!read || !time.startsWith(read.scope.date)) throw problem('scope');
    const { held, signing } = await this.#key(read.access, read.scope);
    if (!sameSignature(sign(policy, signing), signature)) {
      const texts = { string_to_sign: policy, canonical_request: '' };
      throw new CloudError('unauthenticated', 'signature_mismatch', { access: read.access, signature, ...texts });
    }
    return this.#callerOf(held, requestId);
  }

  async #key(access: string, scope: Scope): Promise<{ held: Held; signing: Buffer }> {
    const held = await this.#hold(access);
    if (held.signing && isDeepStrictEqual(held.signing.scope, scope)) return { held, signing: held.signing.key };
    const key = signingKey(held.key.secret, scope);
    held.signing = { scope, key };
    return { held, signing: key };
  }

  async #hold(access: string): Promise<Held> {
    const known = this.#held.get(access);
    if (known && this.#sources.listening() && performance.now() - known.readAt <= maxAgeMs) return known;
    const epoch = this.#epoch;
    const readAt = performance.now();
    const key = await this.#sources.find(access);
    // An access key without a secret is no secret: whoever had read it would be its user.
    if (!key?.secret) throw new CloudError('unauthenticated', 'access_key_unknown', { access: access.slice(0, 128) });
    if (known && isDeepStrictEqual(known.key, key)) {
      known.readAt = readAt;
      return known;
    }
    const held: Held = { key, readAt, token: Promise.resolve('') };
    if (epoch === this.#epoch) {
      this.#held.set(access, held);
      if (this.#held.size > most) this.#held.delete(this.#held.keys().next().value!);
    }
    return held;
  }

  /** By the token that the key got before; by a new one where that has ended. */
  async #callerOf(held: Held, requestId: string): Promise<Caller> {
    const before = held.token;
    const token = await before.catch(() => '');
    try {
      if (token !== '') return bound(await this.#sources.authenticate(token, requestId));
    } catch (error) {
      if (!(error instanceof CloudError) || error.code !== 'unauthenticated') throw error;
    }
    // Of many that come at once the first logs in.
    if (held.token === before) {
      held.token = this.#sources.login(held.key, requestId).then((made) => made.token);
      held.token.catch(() => {});
    }
    return bound(await this.#sources.authenticate(await held.token, requestId));
  }
}

/** Rules name paths of services that S3's are not: what can't be judged is refused. */
function bound(caller: Caller): Caller {
  if (caller.accessRules) throw new CloudError('forbidden', 'access_key_with_rules', {});
  return caller;
}

function problem(which: Exclude<Problem, 'none'>): CloudError {
  switch (which) {
    case 'version_2':
      return new CloudError('invalid', 'signature_version_refused', {});
    case 'other_algorithm':
      return new CloudError('invalid', 'signature_algorithm_unknown', {});
    case 'no_payload_hash':
      return new CloudError('invalid', 'payload_hash_missing', {});
    default:
      return new CloudError('unauthenticated', 'signature_malformed', { problem: which });
  }
}

/** Of a role that somebody took for a while: there is no such service here. */
const sessionTokenOf = (request: S3Request): string | undefined =>
  headerOf(request, 'x-amz-security-token') ||
  queryPairs(request.query)?.find(([name]) => name === 'X-Amz-Security-Token')?.[1];

const isoTime = (at: number): string => new Date(at).toISOString();

function requireTime({ form, time, expires = 0 }: S3Signature): void {
  const [at, now] = [timeOf(time), Date.now()];
  const said = { time, now: isoTime(now) };
  if (Number.isNaN(at)) throw problem('no_time');
  if (form === 'header') {
    if (Math.abs(now - at) <= lastsMs) return;
    throw new CloudError('unauthenticated', 'signed_at_another_time', { ...said, maximum_ms: lastsMs });
  }
  if (at - now > lastsMs) throw new CloudError('unauthenticated', 'signature_not_yet_valid', said);
  const end = at + expires * 1000;
  if (now <= end) return;
  throw new CloudError('unauthenticated', 'signature_expired', { expired_at: isoTime(end), now: isoTime(now) });
}

/** Some clients leave the port out of what they sign. */
function requireSignature(request: S3Request, signature: S3Signature, key: Buffer): void {
  const texts = signedTexts(request, signature);
  if (sameSignature(sign(texts.stringToSign, key), signature.signature)) return;
  const bare = headerOf(request, 'host')?.replace(/:\d+$/, '');
  if (sameSignature(sign(signedTexts(request, signature, bare).stringToSign, key), signature.signature)) return;
  throw new CloudError('unauthenticated', 'signature_mismatch', {
    access: signature.access,
    signature: signature.signature,
    string_to_sign: texts.stringToSign,
    canonical_request: texts.canonicalRequest,
  });
}

/** Whoever carries a signed request on could add what it does: a copy's source, an ACL. */
function requireHeadersSigned({ rawHeaders }: S3Request, { signedHeaders }: S3Signature): void {
  const signed = new Set(signedHeaders);
  const missing: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (name.startsWith('x-amz-') && name !== 'x-amz-content-sha256' && !signed.has(name)) missing.push(name);
  }
  if (missing.length === 0) return;
  throw new CloudError('forbidden', 'headers_not_signed', { headers: missing.join(', ').slice(0, 255) });
}

/**
 * A token: a signed statement who acts in which scope, since when and until when. It carries no rights: those are
 * looked up (docs/decisions/0004-tokens.md). Compact JWS (RFC 7515) with HMAC-SHA-256: every control process reads the
 * keys from the database anyway, and it is ten times faster than a signature by key pair.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DomainId, ProjectId, UserId } from '../../contract/ids.ts';

export type Scope =
  | { type: 'unscoped' }
  | { type: 'project'; projectId: ProjectId }
  | { type: 'domain'; domainId: DomainId }
  | { type: 'system' };

export interface Claims {
  userId: UserId;
  /** The user's token_version when the secret was checked; see migrations/0002-identity.sql. */
  version: number;
  scope: Scope;
  methods: string[];
  /** This token's own audit id, then that of the first of its chain, if it was made from another token. */
  auditIds: string[];
  applicationCredentialId: string | null;
  trustId: string | null;
  /** Milliseconds since 1970. */
  issuedAt: number;
  expiresAt: number;
}

export interface TokenKey {
  id: string;
  secret: Buffer;
}

/** Longer texts are no tokens of ours: refused before anything is computed. */
export const maxTokenLength = 1024;

/** Tokens are written into headers and into the X-Subject-Token of others: base64url and dots only. */
const form = /^[A-Za-z0-9_-]{10,200}\.[A-Za-z0-9_-]{10,800}\.[A-Za-z0-9_-]{43}$/;

export const newAuditId = (): string => randomBytes(16).toString('base64url');

interface Payload {
  sub: string;
  v: number;
  /** Scope: 'p' or 'd' with an id, 's' for the system, nothing when unscoped. */
  s?: string;
  m: string;
  a: string[];
  ac?: string;
  tr?: string;
  iat: number;
  exp: number;
}

/** One letter for each method, so that a token stays short. */
const methodLetters: Readonly<Record<string, string>> = {
  password: 'p',
  token: 't',
  application_credential: 'a',
  totp: 'o',
  ec2credential: 'e',
  mapped: 'm',
  openid: 'i',
};
const methodNames = Object.fromEntries(Object.entries(methodLetters).map(([name, letter]) => [letter, name]));

export function signToken(key: TokenKey, claims: Claims): string {
  const payload: Payload = {
    sub: claims.userId,
    v: claims.version,
    ...scopeToText(claims.scope),
    m: claims.methods.map((method) => methodLetters[method]).join(''),
    a: claims.auditIds,
    ...(claims.applicationCredentialId ? { ac: claims.applicationCredentialId } : {}),
    ...(claims.trustId ? { tr: claims.trustId } : {}),
    iat: claims.issuedAt,
    exp: claims.expiresAt,
  };
  const body = `${encode({ alg: 'HS256', kid: key.id })}.${encode(payload)}`;
  return `${body}.${signature(key, body).toString('base64url')}`;
}

/** Which key a token names; undefined where the text has not a token's form. Proves nothing. */
export function keyIdOf(token: string): string | undefined {
  if (token.length > maxTokenLength || !form.test(token)) return undefined;
  const header = decode(token.slice(0, token.indexOf('.'))) as { alg?: unknown; kid?: unknown } | undefined;
  return header?.alg === 'HS256' && typeof header.kid === 'string' ? header.kid : undefined;
}

/** The claims of a token that this key has signed; undefined when it has not. Expiry is the caller's to judge. */
export function verifyToken(key: TokenKey, token: string): Claims | undefined {
  const end = token.lastIndexOf('.');
  // As text: of 32 bytes the last sign of base64url has two bits that say nothing, and a token has one writing.
  const given = Buffer.from(token.slice(end + 1));
  const expected = Buffer.from(signature(key, token.slice(0, end)).toString('base64url'));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const payload = decode(token.slice(token.indexOf('.') + 1, end)) as Payload;
  return {
    userId: payload.sub as UserId,
    version: payload.v,
    scope: textToScope(payload.s),
    methods: [...payload.m].map((letter) => methodNames[letter]!),
    auditIds: payload.a,
    applicationCredentialId: payload.ac ?? null,
    trustId: payload.tr ?? null,
    issuedAt: payload.iat,
    expiresAt: payload.exp,
  };
}

function scopeToText(scope: Scope): { s?: string } {
  switch (scope.type) {
    case 'unscoped':
      return {};
    case 'project':
      return { s: `p${scope.projectId}` };
    case 'domain':
      return { s: `d${scope.domainId}` };
    case 'system':
      return { s: 's' };
  }
}

function textToScope(text: string | undefined): Scope {
  if (text === undefined) return { type: 'unscoped' };
  if (text === 's') return { type: 'system' };
  const id = text.slice(1);
  return text.startsWith('p')
    ? { type: 'project', projectId: id as ProjectId }
    : { type: 'domain', domainId: id as DomainId };
}

const signature = (key: TokenKey, body: string): Buffer => createHmac('sha256', key.secret).update(body).digest();
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function decode(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    return undefined;
  }
}

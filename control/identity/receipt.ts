/**
 * A receipt: a signed statement which methods someone has proven, given where they were right but too few, so that the rest
 * may be proven in another request (Keystone's auth receipts). It is no token and never verifies as one: what is signed
 * begins with another word.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { UserId } from '../../contract/ids.ts';
import type { TokenKey } from './token.ts';

export interface Receipt {
  userId: UserId;
  /** The user's token_version when it was given: a changed password ends receipts too. */
  version: number;
  methods: string[];
  /** Milliseconds since 1970. */
  issuedAt: number;
  expiresAt: number;
}

/** Keystone's default. */
export const receiptLifetimeMs = 5 * 60_000;

const form = /^([A-Za-z0-9-]{36})\.([A-Za-z0-9_-]{10,800})\.([A-Za-z0-9_-]{43})$/;

export function signReceipt(key: TokenKey, receipt: Receipt): string {
  const body = Buffer.from(JSON.stringify(receipt)).toString('base64url');
  return `${key.id}.${body}.${signature(key, body).toString('base64url')}`;
}

/** Which key a receipt names; undefined where the text has not a receipt's form. Proves nothing. */
export const receiptKeyIdOf = (text: string): string | undefined => form.exec(text)?.[1];

/** What a receipt says; undefined where this key has not signed it, or its time is over. */
export function verifyReceipt(key: TokenKey, text: string, now: number): Receipt | undefined {
  const [, , body, given] = form.exec(text) ?? [];
  if (body === undefined || !timingSafeEqual(Buffer.from(given!, 'base64url'), signature(key, body))) return undefined;
  const receipt = JSON.parse(Buffer.from(body, 'base64url').toString()) as Receipt;
  return receipt.expiresAt > now ? receipt : undefined;
}

const signature = (key: TokenKey, body: string): Buffer =>
  createHmac('sha256', key.secret).update(`receipt ${key.id} ${body}`).digest();

/** Time-based one-time passwords (RFC 6238, with HOTP of RFC 4226): six digits of HMAC-SHA-1 over half-minutes, as apps know them. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto';

const stepMs = 30_000;
const digits = 6;
/** A code is good in its half-minute and the one after: people type slowly (RFC 6238, section 5.2). */
const stepsBack = 1;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Far more than HMAC-SHA-1 makes use of. */
export const maxSeedLength = 1024;

/** Base32 (RFC 4648, section 6), with or without padding; undefined where it is none. */
export function readSeed(text: string): Buffer | undefined {
  const given = text.trim();
  // Whoever asks for a passcode waits for it, and so does everybody else: what a user keeps as a seed may be anything.
  if (given.length > maxSeedLength) return undefined;
  const letters = given.replace(/=+$/, '').toUpperCase();
  if (letters === '' || !/^[A-Z2-7]+$/.test(letters)) return undefined;
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of letters) {
    value = ((value << 5) | alphabet.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  return bytes.length > 0 ? Buffer.from(bytes) : undefined;
}

/** The code of the half-minute that `at` (milliseconds since 1970) is in. */
export function passcode(seed: Buffer, at: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / stepMs)));
  const hash = createHmac('sha1', seed).update(counter).digest();
  const number = hash.readUInt32BE(hash.at(-1)! & 0xf) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** Is it a code of now, or of a moment ago? Takes as long for every code. */
export function isPasscode(seed: Buffer, given: string, now: number): boolean {
  const text = Buffer.from(given.padEnd(digits).slice(0, digits));
  let right = false;
  for (let back = 0; back <= stepsBack; back++) {
    const expected = Buffer.from(passcode(seed, now - back * stepMs));
    if (text.length === expected.length && timingSafeEqual(text, expected)) right = true;
  }
  return right && given.length === digits;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPasscode, passcode, readSeed } from './totp.ts';

/** RFC 6238, appendix B (its eight digits, the last six of which are ours). */
const seed = Buffer.from('12345678901234567890');
const vectors: [number, string][] = [
  [59, '94287082'],
  [1111111109, '07081804'],
  [1111111111, '14050471'],
  [1234567890, '89005924'],
  [2000000000, '69279037'],
  [20000000000, '65353130'],
];

test('codes are those of the RFC', () => {
  for (const [seconds, code] of vectors) assert.equal(passcode(seed, seconds * 1000), code.slice(-6));
});

test('a code is good in its half-minute and the one after, and no other text is', () => {
  const now = 1_234_567_890_000;
  const code = passcode(seed, now);
  assert.ok(isPasscode(seed, code, now));
  assert.ok(isPasscode(seed, code, now + 30_000));
  assert.ok(!isPasscode(seed, code, now + 60_000));
  assert.ok(!isPasscode(seed, code, now - 30_000), 'not before its time');
  for (const wrong of ['', '0', `${code}0`, code.slice(1), 'x'.repeat(6), '🏔'.repeat(6), ` ${code}`]) {
    assert.ok(!isPasscode(seed, wrong, now), wrong);
  }
});

test('seeds are base32, with or without padding, in any case', () => {
  assert.deepEqual(readSeed('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'), seed);
  assert.deepEqual(readSeed('gezdgnbvgy3tqojqgezdgnbvgy3tqojq'), seed);
  assert.deepEqual(readSeed('MFRGG==='), Buffer.from('abc'));
  assert.deepEqual(readSeed('MFRGG'), Buffer.from('abc'));
  for (const wrong of ['', '===', '01', 'A', 'MFR GG', 'ä']) assert.equal(readSeed(wrong), undefined, wrong);
});

test('what is far too long to be a seed is none, and is not looked at', () => {
  const began = performance.now();
  assert.equal(readSeed(`${'='.repeat(65_000)}x`), undefined);
  assert.ok(performance.now() - began < 200);
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { checksumAlgorithms, checksumBytes, checksumOf, combineCrc, startChecksum } from './index.ts';

const check = Buffer.from('123456789');

test('the check values of the catalogue of CRCs', () => {
  assert.equal(checksumOf('crc32', check).toString('hex'), 'cbf43926');
  assert.equal(checksumOf('crc32c', check).toString('hex'), 'e3069283');
  assert.equal(checksumOf('crc64nvme', check).toString('hex'), 'ae8b14860a799888');
  assert.equal(checksumOf('sha1', check).toString('hex'), 'f7c3bc1d808e04732adf679965ccc34ca7ae3441');
});

test('bytes that come in pieces have the checksum of the whole', () => {
  const bytes = randomBytes(10_007);
  for (const algorithm of checksumAlgorithms) {
    const pieces = startChecksum(algorithm);
    for (let at = 0; at < bytes.length; at += 1 + (at % 41)) pieces.update(bytes.subarray(at, at + 1 + (at % 41)));
    const whole = checksumOf(algorithm, bytes);
    assert.deepEqual(pieces.digest(), whole, algorithm);
    assert.equal(whole.length, checksumBytes(algorithm), algorithm);
  }
});

test('a CRC of the whole comes of those of its parts', () => {
  const bytes = randomBytes(30_011);
  for (const algorithm of ['crc32', 'crc32c', 'crc64nvme'] as const) {
    for (const at of [0, 1, 17_000, bytes.length]) {
      const [first, second] = [bytes.subarray(0, at), bytes.subarray(at)];
      const combined = combineCrc(
        algorithm,
        checksumOf(algorithm, first),
        checksumOf(algorithm, second),
        second.length,
      );
      assert.deepEqual(combined, checksumOf(algorithm, bytes), `${algorithm} at ${at}`);
    }
  }
});

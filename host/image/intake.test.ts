import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { Intake, intakeDigestSets } from './intake.ts';

const directory = mkdtempSync(join(tmpdir(), 'bothy-intake-'));
const sets = intakeDigestSets();
after(() => {
  sets.close();
  rmSync(directory, { recursive: true });
});

const slot = 1024 * 1024;
const digest = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex');

async function take(bytes: Buffer, chunkBytes: number): Promise<string> {
  const path = join(directory, `${bytes.length}-${chunkBytes}`);
  await using file = await open(path, 'wx+');
  const intake = await Intake.begin({ path, file, sets });
  for (let at = 0; at < bytes.length; at += chunkBytes) await intake.add(bytes.subarray(at, at + chunkBytes));
  const digests = { md5: digest('md5', bytes), sha256: digest('sha256', bytes), sha512: digest('sha512', bytes) };
  assert.deepEqual(await intake.finish(), digests);
  return path;
}

test('a file has exactly the bytes that came, and the digests are theirs', async () => {
  for (const size of [0, 1, slot - 1, slot, slot + 1, 3 * slot, 9 * slot + 12_345]) {
    const bytes = randomBytes(size);
    for (const chunkBytes of [10_007, 65_536, 2 * slot + 1]) {
      const path = await take(bytes, chunkBytes);
      assert.ok((await readFile(path)).equals(bytes), `${size} bytes in chunks of ${chunkBytes}`);
    }
  }
});

test('several images are taken in at once, and each has its own digests', async () => {
  await Promise.all([4, 5, 6].map((slots) => take(randomBytes(slots * slot + slots), 65_536)));
});

test('what the disk says reaches who brings the bytes, whether more come or not', async () => {
  for (const more of [0, 1, slot]) {
    await using file = await open('/dev/full', 'r+');
    const intake = await Intake.begin({ path: '/dev/full', file, sets });
    await intake.add(randomBytes(2 * slot));
    await until('the writes to fail', () => intake.failed);
    // Behind another image's writes, none of these is under way.
    await take(randomBytes(3 * slot), 100_000 + more);
    const rest = async () => {
      if (more > 0) await intake.add(randomBytes(more));
      await intake.finish();
    };
    await assert.rejects(rest(), { code: 'ENOSPC' });
    await intake.abandon();
  }
});

test('nothing is taken after it was abandoned', async () => {
  const path = join(directory, 'closed');
  await using file = await open(path, 'wx+');
  const intake = await Intake.begin({ path, file, sets });
  await intake.add(randomBytes(2 * slot));
  await intake.abandon();
  assert.throws(() => intake.add(randomBytes(slot)), /abandoned/);
  assert.ok(intake.failed);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../contract/errors.ts';
import { Secret } from '../../contract/secret.ts';
import { PasswordHasher } from './password.ts';

const cheap = { memoryKiB: 64, passes: 1, parallelism: 1 };
const hasher = new PasswordHasher({ cost: cheap });
const password = new Secret('小屋 🏔 "x"; drop');

test('a password is stored as argon2id in PHC form, with a salt of its own, and recognised', async () => {
  const [one, two] = await Promise.all([hasher.hash(password), hasher.hash(password)]);
  assert.match(one, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, two);
  assert.ok(await hasher.verify(password, one));
  assert.ok(!(await hasher.verify(new Secret('another'), one)));
});

test('nothing matches where there is no password, not even an empty or an endless one', async () => {
  for (const stored of [null, undefined, '', 'plain', '$argon2i$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA']) {
    assert.ok(!(await hasher.verify(new Secret(''), stored)));
    assert.ok(!(await hasher.verify(new Secret('x'.repeat(5000)), stored)));
  }
});

test('a check takes as long for a user who does not exist', async () => {
  const slow = new PasswordHasher({ cost: { memoryKiB: 2048, passes: 4, parallelism: 1 } });
  const stored = await slow.hash(password);
  const time = async (against: string | undefined) => {
    const start = performance.now();
    await slow.verify(new Secret('wrong'), against);
    return performance.now() - start;
  };
  await time(stored);
  // In turns: what else the machine does meets both alike.
  const times: [number[], number[]] = [[], []];
  for (let n = 0; n < 15; n++)
    for (const [index, against] of [stored, undefined].entries()) times[index]!.push(await time(against));
  const [known, unknown] = times.map((each) => each.toSorted((x, y) => x - y)[7]!) as [number, number];
  assert.ok(unknown > known / 3 && unknown < known * 3, `${known} ms and ${unknown} ms`);
});

test('a hash of another cost is recognised and called outdated', async () => {
  const stored = await hasher.hash(password);
  const dearer = new PasswordHasher({ cost: { ...cheap, passes: 2 } });
  assert.ok(!hasher.outdated(stored));
  assert.ok(dearer.outdated(stored));
  assert.ok(await dearer.verify(password, stored));
});

test('only so many are computed at once and only so many wait; the rest hear that it is too much', async () => {
  const narrow = new PasswordHasher({ cost: cheap, concurrency: 1, maxWaiting: 2 });
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => narrow.hash(password)));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 3);
  for (const { reason } of refused) assert.ok(isCloudError(reason, 'unavailable'));
  await narrow.hash(password);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloudError } from '../../contract/errors.ts';
import { Secret } from '../../contract/secret.ts';
import { GuessPace } from './guess-pace.ts';
import { PasswordHasher } from './password.ts';

function pace() {
  const clock = { now: 0 };
  const guesses = new GuessPace(() => clock.now);
  /** Seconds until the next try may be made; tries as often as it may. */
  const wait = (name: string): number => {
    try {
      guesses.check(name);
      return 0;
    } catch (error) {
      return ((error as CloudError).fields as { retry_after_seconds: number }).retry_after_seconds;
    }
  };
  return { clock, guesses, wait };
}

test('after ten wrong tries each further one waits twice as long, up to a minute, and for that name alone', () => {
  const { clock, guesses, wait } = pace();
  for (let n = 0; n < 9; n++) guesses.wrong('a');
  assert.equal(wait('a'), 0);
  const waits = [];
  for (let n = 0; n < 9; n++) {
    guesses.wrong('a');
    waits.push(wait('a'));
    clock.now += waits.at(-1)!;
    assert.equal(wait('a'), 0);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  assert.equal(wait('b'), 0);
});

test('a right try, and an hour without one, begin anew', () => {
  const { clock, guesses, wait } = pace();
  for (let n = 0; n < 12; n++) guesses.wrong('a');
  assert.equal(wait('a'), 4);
  guesses.right('a');
  assert.equal(wait('a'), 0);
  for (let n = 0; n < 12; n++) guesses.wrong('a');
  clock.now += 3600;
  guesses.wrong('a');
  assert.equal(wait('a'), 0);
});

test('what is remembered is bounded', () => {
  const { guesses, wait } = pace();
  for (let n = 0; n < 10; n++) guesses.wrong('a');
  for (let n = 0; n < 50_000; n++) guesses.wrong(`other ${n}`);
  assert.equal(wait('a'), 0);
});

test('many guesses at once are no more than ten and those that are computed', async () => {
  const passwords = new PasswordHasher({ cost: { memoryKiB: 8, passes: 1, parallelism: 1 } });
  const stored = await passwords.hash(new Secret('right'));
  const prove = (password: string, address: string) =>
    passwords.prove(new Secret(password), stored, { address, user: 'x' });
  const answers = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => prove(`guess ${n}`, '192.0.2.1')));
  const tried = answers.filter(({ status }) => status === 'fulfilled').length;
  assert.ok(tried >= 10 && tried <= 12, `${tried} were tried`);
  await assert.rejects(prove('right', '192.0.2.1'), { reason: 'too_many_wrong_logins' });
  assert.equal(await prove('right', '192.0.2.2'), true, 'from elsewhere nobody waits');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../contract/errors.ts';
import { Secret } from '../../contract/secret.ts';
import { FairGate, loggedIn } from './fair-gate.ts';
import { PasswordHasher } from './password.ts';

/** A gate whose work ends when told, and who has had their turn. */
function gate(limits: ConstructorParameters<typeof FairGate>[0] = {}) {
  const fair = new FairGate({ concurrency: 1, ...limits });
  const turns: string[] = [];
  const ends: (() => void)[] = [];
  const refused: string[] = [];
  const ask = (address: string, user: string) =>
    fair
      .run({ address, user }, () => {
        turns.push(`${address} ${user}`);
        return new Promise<void>((end) => ends.push(end));
      })
      .catch((error) => {
        assert.ok(isCloudError(error, 'unavailable'));
        refused.push(`${address} ${user} ${(error.fields as { whose: string }).whose}`);
      });
  /** Lets `count` computations end, one after the other. */
  const end = async (count: number) => {
    for (let n = 0; n < count; n++) {
      ends.shift()?.();
      await new Promise(setImmediate);
    }
  };
  return { fair, turns, refused, ask, end };
}

test('one of each address in turn, and of an address one of each user', async () => {
  const { turns, ask, end } = gate();
  const all = [];
  for (let n = 0; n < 4; n++) all.push(ask('a', 'x'));
  all.push(ask('a', 'y'), ask('b', 'x'), ask('c', 'z'));
  await end(7);
  await Promise.all(all);
  assert.deepEqual(turns, ['a x', 'a x', 'b x', 'c z', 'a y', 'a x', 'a x']);
});

test('an address and a user have a share of those who wait, and are told when theirs is used up', async () => {
  const { refused, ask, end } = gate({ maxWaitingPerAddress: 3, maxWaitingPerUser: 2 });
  const all = Array.from({ length: 6 }, (_, n) => ask('a', `${n}`));
  all.push(...['b', 'c', 'd'].map((address) => ask(address, 'u')));
  await new Promise(setImmediate);
  assert.deepEqual(refused, ['a 4 address', 'a 5 address', 'd u user']);
  await end(9);
  await Promise.all(all);
});

test('where all room is taken, who has most of it gives some to who has less', async () => {
  const { refused, turns, ask, end } = gate({ maxWaiting: 4 });
  const all = Array.from({ length: 6 }, (_, n) => ask('a', `${n}`));
  await new Promise(setImmediate);
  assert.deepEqual(refused, ['a 5 everyone']);
  all.push(ask('b', 'x'));
  await new Promise(setImmediate);
  assert.equal(refused.length, 2);
  await end(6);
  await Promise.all(all);
  assert.equal(turns[2], 'b x');
});

test('who is logged in waits behind their own crowd only, and never for lack of room', async () => {
  const turns: string[] = [];
  const ends: (() => void)[] = [];
  const fair = new FairGate({ concurrency: 1, maxWaiting: 8, maxWaitingPerUser: 6 });
  const ask = (user: string) =>
    fair.run(loggedIn(user), () => {
      turns.push(user);
      return new Promise<void>((end) => ends.push(end));
    });
  const crowd = Array.from({ length: 20 }, () => ask('crowd').catch(() => {}));
  const another = ask('another crowd');
  const administrator = ask('administrator');
  for (let n = 0; n < 9; n++) {
    ends.shift()?.();
    await new Promise(setImmediate);
  }
  await Promise.all([...crowd, another, administrator]);
  assert.deepEqual(turns.slice(0, 4), ['crowd', 'crowd', 'another crowd', 'administrator']);
});

test('the addresses of one IPv6 network are one address', async () => {
  const { turns, ask, end } = gate();
  const addresses = [
    '2001:db8::1',
    '2001:db8::2',
    '2001:db8:0:0:9::',
    '2001:db8:0:1::1',
    '::ffff:192.0.2.1',
    '192.0.2.1',
  ];
  const all = addresses.map((address) => ask(address, 'u'));
  await end(6);
  await Promise.all(all);
  const order = turns.map((turn) => addresses.indexOf(turn.split(' ')[0]!));
  assert.deepEqual(order, [0, 1, 3, 4, 2, 5]);
});

test('who has proven a password here before does not wait behind a crowd of strangers, and never for lack of room', async () => {
  const { fair, turns, ask, end } = gate({ maxWaiting: 8 });
  fair.welcome({ address: 'home', user: 'known' });
  const all = Array.from({ length: 30 }, (_, n) => ask(`bot ${n}`, `u${n}`));
  all.push(ask('home', 'known'));
  await end(10);
  await Promise.all(all);
  assert.ok(turns.indexOf('home known') <= 2, String(turns));
});

test('a real log-in beside a flood waits for a handful of computations, and takes less than a second', async (t) => {
  // Tens of milliseconds each: long beside everything else that a log-in does.
  const hasher = new PasswordHasher({ cost: { memoryKiB: 16 * 1024, passes: 1, parallelism: 1 } });
  const password = new Secret('right');
  const stored = await hasher.hash(password);
  const wrong = new Secret('wrong');
  const floods: Record<string, (n: number) => { address: string; user: string }> = {
    'from one address on one user': () => ({ address: '192.0.2.1', user: 'victim' }),
    'from one address on many users': (n) => ({ address: '192.0.2.1', user: `u${n}` }),
    'from many addresses on many users': (n) => ({ address: `192.0.${n % 200}.2`, user: `u${n}` }),
  };
  const real = { address: '198.51.100.7', user: 'real' };
  const timed = async (asker = real) => {
    const began = performance.now();
    assert.ok(await hasher.prove(password, stored, asker));
    return performance.now() - began;
  };
  const aloneMs = Math.max(await timed(), await timed());
  for (const [name, asker] of Object.entries(floods)) {
    await t.test(name, async () => {
      let flooding = true;
      let number = 0;
      let computed = 0;
      // A hundred at a time, each followed by the next as soon as it is answered.
      const flood = Array.from({ length: 100 }, async () => {
        while (flooding) {
          const done = hasher.verify(wrong, undefined, asker(number++)).then(() => computed++);
          await done.catch(() => new Promise((resolve) => setTimeout(resolve, 1)));
        }
      });
      try {
        for (let n = 0; n < 3; n++) {
          const before = computed;
          // Beside a crowd from everywhere only those are at home who have been here before.
          const tookMs = await timed(name.includes('one address') ? { ...real, user: `new ${n}` } : real);
          assert.ok(computed - before <= 6, `${computed - before} others came first`);
          // Where others use this machine's cores, everything takes longer, and alone it would have, too.
          assert.ok(tookMs < Math.max(1000, 12 * aloneMs), `${tookMs} ms, alone ${aloneMs} ms`);
        }
      } finally {
        flooding = false;
        await Promise.all(flood);
      }
    });
  }
});

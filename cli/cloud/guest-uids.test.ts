import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSettings } from '../settings.ts';
import { firstWithin, guestUidsOf, mapped } from './guest-uids.ts';

const range = { first: 1000, count: 100 };

test('whoever a file of users or of subordinate ranges gives a number of the range is named', () => {
  const passwd =
    'root:x:0:0:root:/root:/bin/sh\nlow:x:999:999::/:/bin/sh\nin:x:1099:1::/:/bin/sh\nhigh:x:1100:1::/:/bin/sh\n';
  assert.equal(firstWithin(range, '/etc/passwd', passwd), 'in');
  assert.equal(firstWithin(range, '/etc/passwd', passwd.replace(':1099:', ':1100:')), undefined);
  assert.equal(firstWithin(range, '/etc/group', 'users:x:1000:a,b\n'), 'users');
  assert.equal(firstWithin(range, '/etc/subuid', 'a:100000:65536\nb:500:501\n'), 'b');
  assert.equal(firstWithin(range, '/etc/subuid', 'a:500:500\nb:1100:5\n# nonsense\n\n'), undefined);
});

test('a container that does not have the numbers is seen', () => {
  assert.equal(mapped(range, '         0          0 4294967295\n'), true);
  assert.equal(mapped(range, '0 100000 1050\n'), false);
  assert.equal(mapped(range, '0 100000 1000\n1000 5000 100\n'), true);
  assert.equal(mapped(range, ''), false);
});

test('two clouds of one machine have numbers of their own; a setting names others, and a foolish one is refused', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-uids-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const at = (name: string, env = {}) => guestUidsOf(loadSettings(join(directory, name), env));
  const [a, b] = [at('a'), at('b')].sort((one, other) => one.first - other.first);
  assert.ok(a!.first + a!.count <= b!.first && a!.first >= 0x7000_0000 && b!.first + b!.count <= 2 ** 31);
  assert.deepEqual(at('a', { BOTHY_GUEST_UIDS: '900000-903999' }), { first: 900_000, count: 4000 });
  for (const wrong of ['0-5000', '5000', '6000-5000', '5000-5003', '5000-4294967295']) {
    assert.throws(() => at('a', { BOTHY_GUEST_UIDS: wrong }), /guest_uids|GUEST_UIDS/i);
  }
});

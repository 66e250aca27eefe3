import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectDisks } from './object-disks.ts';

test('object disks are read with their directories; none means the one in the data directory', () => {
  assert.equal(objectDisks(' '), undefined);
  assert.deepEqual(objectDisks('a:/srv/disk a, b-2:/srv/小屋'), [
    { name: 'a', path: '/srv/disk a' },
    { name: 'b-2', path: '/srv/小屋' },
  ]);
});

test('what names no directory, or the same twice, is refused', () => {
  for (const wrong of ['a', 'a:', 'a:srv', 'A:/srv', 'a:/', 'a:/srv,', 'a:/x,a:/y', 'a:/x,b:/x', 'a:/x:y', '-:/x'])
    assert.equal(objectDisks(wrong), null, wrong);
});

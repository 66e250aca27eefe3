import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../kit/caller.ts';
import { PropertyProtections, parseProtections } from './protection.ts';

const text = `
# of the billing
[x_billing_.*]
create = admin, billing
read = @
update = admin
delete = !

[secret]
create: admin
read: admin
update: admin
delete: admin

[.*]
create = member
read = @
update = member
delete = member
`;
const as = (...roles: string[]) => ({ roles: new Set(roles) }) as unknown as Caller;

test('the first rule that fits a name decides', () => {
  const protections = new PropertyProtections(parseProtections(text));
  const may = (caller: Caller, name: string) =>
    (['create', 'read', 'update', 'delete'] as const).filter((verb) => protections.allows(caller, verb, name));
  assert.deepEqual(may(as('admin'), 'x_billing_code'), ['create', 'read', 'update']);
  assert.deepEqual(may(as('billing'), 'x_billing_code'), ['create', 'read']);
  assert.deepEqual(may(as('member'), 'x_billing_code'), ['read']);
  assert.deepEqual(may(as('member'), 'secret'), []);
  assert.deepEqual(may(as('member'), 'other'), ['create', 'read', 'update', 'delete']);
  assert.deepEqual(may(as('reader'), 'other'), ['read']);
  assert.deepEqual(protections.readable(as('member'), { secret: '1', other: '2' }), { other: '2' });
});

test('without rules everything is allowed, and with rules nothing that none fits', () => {
  assert.ok(new PropertyProtections().allows(as(), 'delete', 'x'));
  const rules = parseProtections('[a]\ncreate=@\nread=@\nupdate=@\ndelete=@');
  assert.ok(!new PropertyProtections(rules).allows(as('admin'), 'read', 'b'));
});

test('a file that says less or more than it should is refused with its line', () => {
  for (const [wrong, why] of [
    ['create = admin', /line 1: .*before the first/],
    ['[(]\n', /line 1: \( is no regular expression/],
    ['[a]\nwrite = admin', /line 2: expected/],
    ['[a]\ncreate = @, admin', /line 2: @ and !/],
    ['[a]\ncreate = admin', /\[a\] says nothing of read/],
  ] as const) {
    assert.throws(() => parseProtections(wrong), why);
  }
});

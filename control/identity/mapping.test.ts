/** Mapping rules, with examples of Keystone's documentation of federation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyMapping, assertionOf, type MappingRule } from './mapping.ts';

const rule = (local: MappingRule['local'], ...remote: MappingRule['remote']): MappingRule => ({ local, remote });
const bob = {
  UserName: ['bob'],
  FirstName: ['Bob'],
  LastName: ['Thompson'],
  Email: ['bob@a.test'],
  groups: ['dev', 'ops', 'all'],
};

test('what the remote side names fills the local side, in its order', () => {
  const rules = [
    rule(
      [{ user: { name: '{0} {1}', email: '{2}' } }, { group: { id: '0cd5e9' } }],
      ...[{ type: 'FirstName' }, { type: 'LastName' }, { type: 'Email' }],
    ),
  ];
  const { user, groups } = applyMapping(rules, bob);
  assert.deepEqual([user, groups], [{ name: 'Bob Thompson', email: 'bob@a.test' }, [{ id: '0cd5e9' }]]);
});

test('a rule counts only where all that it asks for holds; a condition fills nothing', () => {
  const asks = (...remote: MappingRule['remote']) => [
    rule([{ user: { name: '{0}' } }], { type: 'UserName' }),
    rule([{ group: { id: 'g' } }], ...remote),
  ];
  const groupsWith = (...remote: MappingRule['remote']) => applyMapping(asks(...remote), bob).groups.length;
  assert.equal(groupsWith({ type: 'groups', any_one_of: ['ops', 'x'] }), 1);
  assert.equal(groupsWith({ type: 'groups', any_one_of: ['x'] }), 0);
  assert.equal(groupsWith({ type: 'groups', not_any_of: ['x'] }), 1);
  assert.equal(groupsWith({ type: 'groups', not_any_of: ['ops'] }), 0);
  assert.equal(groupsWith({ type: 'Email', any_one_of: ['@a\\.test$'], regex: true }), 1);
  assert.equal(groupsWith({ type: 'Email', not_any_of: ['@a\\.test$'], regex: true }), 0);
  assert.equal(groupsWith({ type: 'nothing' }), 0);
  assert.equal(groupsWith({ type: 'groups', any_one_of: ['ops'] }, { type: 'groups', not_any_of: ['dev'] }), 0);
});

test('groups are taken by name, those of a list or all but those', () => {
  const groups = (remote: MappingRule['remote'][number]) =>
    applyMapping(
      [rule([{ user: { name: '{0}' } }, { groups: '{1}', domain: { name: 'Default' } }], { type: 'UserName' }, remote)],
      bob,
    ).groups.map((group) => ('name' in group ? group.name : group.id));
  assert.deepEqual(groups({ type: 'groups' }), ['dev', 'ops', 'all']);
  assert.deepEqual(groups({ type: 'groups', whitelist: ['ops', 'x'] }), ['ops']);
  assert.deepEqual(groups({ type: 'groups', blacklist: ['all'] }), ['dev', 'ops']);
  assert.deepEqual(groups({ type: 'groups', whitelist: ['^(dev|all)$'], regex: true }), ['dev', 'all']);
});

test('each of several values makes a group of the whole text; in another text they are parted by commas', () => {
  const names = (groups: string, ...remote: MappingRule['remote']) =>
    applyMapping(
      [rule([{ user: { name: '{0}' } }, { groups, domain: { name: 'Default' } }], ...remote)],
      bob,
    ).groups.map((group) => ('name' in group ? group.name : group.id));
  assert.deepEqual(names('at-{1}', { type: 'UserName' }, { type: 'groups' }), ['at-dev', 'at-ops', 'at-all']);
  assert.deepEqual(names('{0}-{1}', { type: 'UserName' }, { type: 'Email' }), ['bob-bob@a.test']);
  assert.deepEqual(names('all', { type: 'UserName' }), ['all']);
  const [one] = [applyMapping([rule([{ user: { name: '{0}' } }], { type: 'groups' })], bob)];
  assert.equal(one.user.name, 'dev,ops,all');
});

test('a value that no name can have is none: it does not become two, and is not stored', () => {
  const said = assertionOf({ groups: ['dev\u001fadmins', 'a\0b', 'half \ud800', 'ops'], nick: 'x\u001fadmins' });
  assert.deepEqual([said.groups, said.nick], [['ops'], undefined]);
});

test('the first user counts; without one, and where a rule names too many, nobody comes in', () => {
  const one = rule([{ user: { name: '{0}' } }], { type: 'UserName' });
  const two = rule([{ user: { name: 'other' } }], { type: 'Email' });
  assert.equal(applyMapping([one, two], bob).user.name, 'bob');
  const none = { code: 'unauthenticated', reason: 'mapping_gives_no_user' };
  assert.throws(() => applyMapping([rule([{ group: { id: 'g' } }], { type: 'UserName' })], bob), none);
  assert.throws(() => applyMapping([rule([{ user: { name: 'x' } }], { type: 'nothing' })], bob), none);
  const many = [rule([{ user: { name: '{3}' } }], { type: 'UserName' })];
  assert.throws(() => applyMapping(many, bob), { code: 'unauthenticated', reason: 'mapping_names_too_many' });
});

test("claims can be named as they are and as Apache's module names them", () => {
  const assertion = assertionOf({ sub: 'x', groups: ['a', 'b'], email_verified: true, address: { city: 'y' } });
  for (const key of ['groups', 'OIDC-groups', 'HTTP_OIDC_GROUPS']) assert.deepEqual(assertion[key], ['a', 'b']);
  assert.deepEqual(assertion.email_verified, ['true']);
  assert.equal(assertion.address, undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import type { Authorization } from './authorization.ts';
import type { Claims } from './token.ts';
import { type IdentityChange, TokenCache, type TokenEntry } from './token-cache.ts';

const ids = { user: newId(), home: newId(), project: newId(), domain: newId(), credential: newId() };

function entryOf(over: Partial<typeof ids> = {}): TokenEntry {
  const { user, home, project, domain, credential } = { ...ids, ...over };
  return {
    claims: { userId: user, auditIds: ['audit of this'], applicationCredentialId: credential } as unknown as Claims,
    authorization: {
      user: { id: user, name: '', domain: { id: home, name: '' } },
      project: { id: project, name: '', domain: { id: domain, name: '' } },
      domain: null,
    } as unknown as Authorization,
    caller: {} as Caller,
    readAt: performance.now(),
    endsAt: Number.POSITIVE_INFINITY,
  };
}

const change = (
  resource_type: string,
  resource_id: string = newId(),
  body: Record<string, unknown> = {},
  action: IdentityChange['action'] = 'updated',
): IdentityChange => ({ resource_type, resource_id, action, body });

const survives = (changes: IdentityChange[]): boolean => {
  const cache = new TokenCache();
  cache.put('token', entryOf(), cache.epoch);
  cache.apply(changes);
  return cache.get('token') !== undefined;
};

test('an entry goes when anything changes that it was read from', () => {
  const concerning: Record<string, IdentityChange> = {
    user: change('user', ids.user),
    'domain of the user': change('domain', ids.home),
    project: change('project', ids.project),
    'domain of the project': change('domain', ids.domain),
    'role assignment of the user': change('role_assignment', newId(), { user_id: ids.user }),
    'role assignment of any group': change('role_assignment', newId(), { user_id: null, group_id: newId() }),
    'group membership': change('user_group_member', newId(), { user_id: ids.user }),
    role: change('role'),
    implication: change('role_implication'),
    revocation: change('token_revocation', newId(), { audit_id: 'audit of this' }, 'created'),
    'application credential': change('application_credential', ids.credential),
    'access rule': change('access_rule', newId(), { user_id: ids.user }),
  };
  for (const [what, one] of Object.entries(concerning)) assert.ok(!survives([change('server'), one]), what);
});

test('an entry stays when others change, and when something new is made', () => {
  assert.ok(survives([change('user'), change('project'), change('domain'), change('server', ids.project)]));
  assert.ok(survives([change('role_assignment', newId(), { user_id: newId() })]));
  assert.ok(survives([change('token_revocation', newId(), { audit_id: 'of another' }, 'created')]));
  assert.ok(survives([change('user', ids.user, {}, 'created')]));
});

test('what was read while a change came in is not kept', () => {
  const cache = new TokenCache();
  const { epoch } = cache;
  cache.apply([change('user')]);
  cache.put('token', entryOf(), epoch);
  assert.equal(cache.get('token'), undefined);
});

test('the cache is bounded, forgets the least recently used first, and nothing lasts in it', async () => {
  const cache = new TokenCache({ maximum: 2, maxAgeMs: 1000 });
  cache.put('a', entryOf(), cache.epoch);
  cache.put('b', entryOf(), cache.epoch);
  cache.get('a');
  cache.put('c', entryOf(), cache.epoch);
  assert.equal(cache.size, 2);
  assert.equal(cache.get('b'), undefined);
  assert.ok(cache.get('a'));
  cache.put('old', { ...entryOf(), readAt: performance.now() - 1001 }, cache.epoch);
  assert.equal(cache.get('old'), undefined);
});

test('who serves a long request hears of changes that may end rights, and of no others', () => {
  const cache = new TokenCache();
  let heard = 0;
  const stop = cache.onChange(() => heard++);
  cache.apply([change('server')]);
  cache.apply([change('user')]);
  stop();
  cache.apply([change('user')]);
  assert.equal(heard, 1);
});

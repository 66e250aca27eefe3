import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCloudError } from '../../../contract/errors.ts';
import { requireAccess } from './access-rules.ts';

const rule = (path: string, method = 'GET', service = 'compute') => ({ service, method, path });
const allows = (path: string, url: string, method = 'GET') => {
  try {
    requireAccess([rule(path)], method, url);
    return true;
  } catch (error) {
    assert.ok(isCloudError(error, 'forbidden'));
    return false;
  }
};

test('a rule allows its own path, whatever the query, and no other', () => {
  assert.ok(allows('/v2.1/servers', '/compute/v2.1/servers?limit=2'));
  assert.ok(allows('/v2.1/servers', '/compute/v2.1/servers/'));
  assert.ok(!allows('/v2.1/servers', '/compute/v2.1/servers/1'));
  assert.ok(!allows('/v2.1/servers', '/compute/v2x1/servers'), 'a dot is a dot');
  assert.ok(!allows('/v2.1/servers', '/network/v2.1/servers'), 'another service');
  assert.ok(!allows('/v2.1/servers', '/compute/v2.1/servers', 'POST'), 'another method');
});

test('one star or a name is one segment, two stars are any number', () => {
  assert.ok(allows('/v2.1/servers/*/ips', '/compute/v2.1/servers/7/ips'));
  assert.ok(allows('/v2.1/servers/{id}/ips', '/compute/v2.1/servers/7/ips'));
  assert.ok(!allows('/v2.1/servers/*', '/compute/v2.1/servers/7/ips'));
  assert.ok(allows('/v2.1/servers/**', '/compute/v2.1/servers/7/ips'));
  assert.ok(!allows('/v2.1/servers/**', '/compute/v2.1/images/7'));
});

test('a service is known by all of its names', () => {
  requireAccess([rule('/v3/**', 'GET', 'block-storage')], 'GET', '/volume/v3/x/volumes');
  requireAccess([rule('/v3/**', 'GET', 'volumev3')], 'GET', '/volume/v3/x/volumes');
});

test('no rules at all allow nothing', () => {
  assert.throws(() => requireAccess([], 'GET', '/compute/v2.1/servers'));
});

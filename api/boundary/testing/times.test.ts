import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oddTime } from './times.ts';

test('a time has the form of its own field, and one of a field that nobody knows is odd', () => {
  const bare = '2026-01-31T12:00:00.000000';
  const server = { created: '2026-01-31T12:00:00Z', 'OS-SRV-USG:launched_at': bare, name: '2026' };
  assert.equal(oddTime('/compute/v2.1/servers/detail?limit=1', { servers: [server] }), undefined);
  const odd = (url: string, document: object) => oddTime(url, document) ?? '';
  assert.match(odd('/compute/v2.1/servers', { server: { created: bare } }), /^server\.created is .*, not of the form/);
  assert.match(odd('/compute/v2.1/servers', { server: { moved_at: bare } }), /that times\.ts does not know$/);
  // One name, two forms.
  const ends = (at: string) => odd('/identity/v3/x', { trust: { expires_at: `${bare}Z` }, [at]: { expires_at: bare } });
  assert.equal(ends('application_credential'), '');
  assert.match(ends('token'), /^token\.expires_at is/);
});

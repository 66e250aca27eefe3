/** What a guest posts as its password outlives the host process that took it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostWorld, wantedServer } from '../support/host-world.ts';

test('a password is on disk before its guest hears so, is reported, and counts no more when it was cleared', async (t) => {
  const world = await hostWorld(t);
  const host = world.host();
  await host.start();
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(await host.guestPasswords.read(server.id), undefined);
  const both = await Promise.all(['first', 'second'].map((text) => host.guestPasswords.keep(server.id, text)));
  assert.deepEqual(both, [true, false]);
  host.abandon();
  const next = world.host();
  await next.start();
  const reported = await world.control.until(server.id, 'reported', (seen) => seen.guestPassword !== undefined);
  assert.deepEqual(reported.guestPassword, { cleared: 0, text: 'first' });
  assert.equal(await next.guestPasswords.read(server.id), 'first');
  world.control.want({ ...server, generation: server.generation + 1, guestPassword: { cleared: 1, text: null } });
  await world.control.until(server.id, 'told', (seen) => seen.generation === server.generation + 1);
  assert.equal(await next.guestPasswords.read(server.id), undefined);
  assert(await next.guestPasswords.keep(server.id, 'second'));
});

/** What a host does when control does not account for what it has: nothing is erased, guests go on, control is told. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { type ImageId, newId, type ServerId } from '../../contract/ids.ts';
import { type HostChanges, type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const diskOf = (world: HostWorld, id: ServerId) => join(world.directory, 'data/servers', id, 'disk.qcow2');

async function worldWithGuest(t: TestContext, changes: HostChanges = {}) {
  const world = await hostWorld(t);
  const host = world.host(changes);
  await host.start();
  const image = await world.storeImage();
  const server = wantedServer(image);
  world.control.images = [image.id];
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  const { pid } = world.machine.guest(server.id)!;
  const disk = statSync(diskOf(world, server.id)).ino;
  return {
    ...{ world, host, server, image },
    assertKept() {
      assert.equal(statSync(diskOf(world, server.id)).ino, disk, 'the disk is the same');
      assert.ok(existsSync(join(world.directory, 'data/images/files', image.id)), 'the image is there');
      assert.ok(world.network.ports.has(server.ports[0]!.id), 'its port is plugged');
      assert.equal(world.machine.guest(server.id)?.pid, pid, 'the guest is the same');
    },
  };
}

const quarantined = (world: HostWorld, id: ServerId) =>
  until('the server to be told as quarantined', () => world.control.quarantined.has(id));

/** As a control on a database that is new. */
function forgetEverything(world: HostWorld): void {
  Object.assign(world.control, { servers: [], networks: [], images: [], incarnation: newId() });
}

test('a server that a snapshot does not name is kept with its guest, and told with its whole document', async (t) => {
  const { world, host, server, image, assertKept } = await worldWithGuest(t);
  forgetEverything(world);
  world.control.snapshot();
  await quarantined(world, server.id);
  const { document, since, ...rest } = world.control.quarantined.get(server.id)!;
  assert.deepEqual(document, server);
  assert.deepEqual(rest, { id: server.id, reason: 'missing', guest: true });
  assert.ok(Date.parse(since) <= Date.now());
  await until('the image to be told', () => world.control.quarantinedImages[0]?.id === image.id);
  assert.deepEqual(
    host.status().quarantine.servers.map(({ id }) => id),
    [server.id],
  );
  assert.deepEqual(host.status().observed, [], 'control asks nothing of it');
  assertKept();
});

test('a host that returns to a control that has lost its database keeps everything', async (t) => {
  const { world, host, server, assertKept } = await worldWithGuest(t);
  await host.stop();
  forgetEverything(world);
  const second = world.host({ configuration: { sweepIntervalMs: 20 } });
  await second.start();
  await quarantined(world, server.id);
  const { lastSweep } = second.status();
  await until('everything to be swept', () => second.status().lastSweep?.finishedAt !== lastSweep?.finishedAt);
  assertKept();
});

test('a quarantined server that is named again with what the host knows, or newer, is out of quarantine', async (t) => {
  const { world, server, assertKept } = await worldWithGuest(t);
  world.control.servers = [];
  world.control.snapshot();
  await quarantined(world, server.id);
  world.control.want({ ...server, generation: 2, name: 'taken up' });
  await world.control.until(server.id, 'observed', ({ generation, state }) => generation === 2 && state === 'running');
  await until('the quarantine to be over', () => !world.control.quarantined.has(server.id));
  assertKept();
});

test('an absent document ends a quarantined server, an older one does not', async (t) => {
  const { world, server, assertKept } = await worldWithGuest(t);
  world.control.want({ ...server, generation: 5 });
  await world.control.until(server.id, 'of generation 5', ({ generation }) => generation === 5);
  world.control.servers = [{ ...server, generation: 4, presence: 'absent' }];
  world.control.snapshot();
  await quarantined(world, server.id);
  assert.equal(world.control.quarantined.get(server.id)!.reason, 'older');
  assertKept();
  world.control.want({ ...server, generation: 6, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
  assert.equal(existsSync(diskOf(world, server.id)), false);
});

test('where quarantined guests shall stop they do, with their disks kept, and start again when they are taken up', async (t) => {
  const { world, server } = await worldWithGuest(t, { configuration: { quarantinedGuests: 'stop' } });
  world.control.servers = [];
  world.control.snapshot();
  await until('the guest to stop', () => world.machine.guests.length === 0);
  await until('control to know', () => world.control.quarantined.get(server.id)?.guest === false);
  assert.ok(existsSync(diskOf(world, server.id)));
  world.control.want({ ...server, generation: 2 });
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('where quarantined guests shall stop one that is suspended stays so, with its memory', async (t) => {
  const { world, server } = await worldWithGuest(t, { configuration: { quarantinedGuests: 'stop' } });
  const { memory } = world.machine.guest(server.id)!.guest;
  world.control.want({ ...server, generation: 2, power: 'suspended' });
  await world.control.until(server.id, 'suspended', ({ state }) => state === 'suspended');
  world.control.servers = [];
  world.control.snapshot();
  await until('control to know', () => world.control.quarantined.has(server.id));
  world.control.want({ ...server, generation: 3 });
  await world.control.until(server.id, 'running', ({ state, generation }) => state === 'running' && generation === 3);
  assert.equal(world.machine.guest(server.id)!.guest.memory, memory);
});

test('what lies on the disk without a document is left as it is, and told; control may end it', async (t) => {
  const { world, host, server, assertKept } = await worldWithGuest(t);
  await host.stop();
  forgetEverything(world);
  rmSync(join(world.directory, 'data/desired.json'));
  const second = world.host({ configuration: { sweepIntervalMs: 20 } });
  await second.start();
  await quarantined(world, server.id);
  assert.deepEqual(
    { ...world.control.quarantined.get(server.id), since: '' },
    { id: server.id, reason: 'unclaimed', since: '', guest: true, document: null },
  );
  const { lastSweep } = second.status();
  await until('everything to be swept', () => second.status().lastSweep?.finishedAt !== lastSweep?.finishedAt);
  assertKept();
  world.control.want({ ...server, epoch: 0, generation: 1, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
  world.control.forget(server.id);
  await until('nothing to be left', () => readdirSync(join(world.directory, 'data/servers')).length === 0);
  await until('the quarantine to be empty', () => world.control.quarantined.size === 0);
});

test('a server whose disk was erased here is not begun anew with an empty one, under the same epoch', async (t) => {
  const { world, host, server } = await worldWithGuest(t);
  world.control.want({ ...server, generation: 2, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
  world.control.forget(server.id);
  await until('it to be forgotten', () => host.status().observed.length === 0);
  await host.stop();
  world.control.want(server);
  await world.host().start();
  const failed = await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.equal(failed.error!.code, 'disk_erased');
  assert.equal(world.machine.launches, 1);
  world.control.want({ ...server, epoch: 2 });
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a disk whose record is damaged is not made anew', async (t) => {
  const { world, host, server } = await worldWithGuest(t);
  await host.stop();
  world.machine.powerCut();
  const before = readFileSync(diskOf(world, server.id));
  writeFileSync(join(world.directory, 'data/servers', server.id, 'record.json'), '{"epoch":');
  await world.host().start();
  const failed = await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.equal(failed.error!.code, 'disk_unknown');
  assert.deepEqual(readFileSync(diskOf(world, server.id)), before);
});

test('an upload that control does not list is kept whatever its age; one that control deletes while it is read goes later', async (t) => {
  const { world, host, server, image } = await worldWithGuest(t);
  const file = (id: string) => join(world.directory, 'data/images/files', id);
  const other = await world.storeImage(Buffer.alloc(512, 1));
  await world.client.deleteImage(world.endpoint(), image.id);
  assert.ok(existsSync(file(image.id)), 'a guest reads it');
  await host.stop();
  for (const id of [image.id, other.id]) utimesSync(`${file(id)}.json`, 1000, 1000);
  world.control.images = [];
  world.control.servers = [{ ...server, generation: 2, presence: 'absent' } satisfies DesiredServer];
  await world.host({ configuration: { sweepIntervalMs: 20 } }).start();
  await until('the deleted image to go with its last reader', () => !existsSync(file(image.id)));
  assert.ok(existsSync(file(other.id)));
});

test('an image that control has had made of a server is no stranger before control lists it, unless control forgets the server', async (t) => {
  const { world, host, server } = await worldWithGuest(t);
  const imageId = newId<ImageId>();
  world.control.want({ ...server, generation: 2, captures: [{ imageId }] });
  await world.control.until(server.id, 'the image', ({ captures }) => captures?.length === 1);
  assert.ok(!host.status().quarantine.images.includes(imageId));
  forgetEverything(world);
  world.control.snapshot();
  await quarantined(world, server.id);
  assert.ok(host.status().quarantine.images.includes(imageId));
});

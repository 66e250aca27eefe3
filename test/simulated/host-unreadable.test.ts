/** Documents that a host cannot read: of a defect, of another version, of a limit that two sides count differently. */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DesiredServer } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

/** A server that shall be, as a document that no host can read. */
const garbled = (server: DesiredServer, generation: number): DesiredServer =>
  ({ ...server, generation, power: 'dimmed' }) as unknown as DesiredServer;

async function running(world: HostWorld): Promise<DesiredServer> {
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  return server;
}

test('a server that cannot be read fails alone, with its epoch and generation; the others go on, and it can be deleted', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  const host = world.host();
  await host.start();
  const image = await world.storeImage();
  const [bad, good] = [wantedServer(image, { epoch: 2, generation: 5 }), wantedServer(image)];
  control.servers = [garbled(bad, 5), good];
  control.snapshot();
  await control.until(good.id, 'running', ({ state }) => state === 'running');
  const { epoch, generation, error } = await control.until(bad.id, 'failed', ({ state }) => state === 'failed');
  assert.deepEqual([epoch, generation, error!.code], [2, 5, 'unreadable']);
  assert.match(error!.message, /power/);
  assert.equal(control.connections, 1);
  control.want({ ...garbled(bad, 6), presence: 'absent' });
  await control.until(bad.id, 'absent', (each) => each.state === 'absent' && each.generation === 6);
  control.want({ ...good, generation: 2, power: 'off' });
  await control.until(good.id, 'stopped', ({ state }) => state === 'stopped');
  assert.equal(control.connections, 1);
});

test('a guest whose newest document cannot be read runs on, is reported failed, and is well with the next word', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  await world.host().start();
  const server = await running(world);
  control.want(garbled(server, 2));
  await control.until(server.id, 'failed', ({ state, generation }) => state === 'failed' && generation === 2);
  assert.ok(world.machine.guest(server.id));
  control.want({ ...server, generation: 3 });
  await control.until(server.id, 'running', ({ state, generation }) => state === 'running' && generation === 3);
  assert.equal(world.machine.guests.length, 1);
});

test('a guest is never ended or unplugged because its document cannot be read, not by a restart either', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  const first = world.host();
  await first.start();
  const server = await running(world);
  const guest = world.machine.guest(server.id)!;
  control.servers = [garbled(server, 1)];
  // A host that knows nothing of the server but what lies there: as if another version had written its state.
  await first.stop();
  control.goAway();
  rmSync(join(world.directory, 'data/desired.json'));
  control.comeBack();
  const second = world.host({ configuration: { sweepIntervalMs: 20 } });
  await second.start();
  await control.until(server.id, 'failed', ({ state }) => state === 'failed');
  const sweeps = new Set<string>();
  await until('some sweeps', () => sweeps.add(second.status().lastSweep?.finishedAt ?? '').size > 4);
  assert.equal(world.machine.guest(server.id), guest);
  assert.ok(world.network.ports.has(server.ports[0]!.id));
  assert.ok(existsSync(join(world.directory, 'data/servers', server.id)));
  control.want({ ...server, generation: 2 });
  await control.until(server.id, 'running', ({ state, generation }) => state === 'running' && generation === 2);
  assert.equal(world.machine.guest(server.id), guest);
});

test('an odd address of another host changes nothing for a server', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  const image = await world.storeImage();
  const server = wantedServer({ ...image!, sources: ['gopher://x', 'https://u:p@x'] });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
});

test('a control that ends every stream after its greeting is dialled less and less often', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  control.snapshot = () => control.send('{"type":"snapshot"}');
  const dialled: number[] = [];
  const connections = () => control.connections;
  await world.host({ configuration: { controlRetry: { retryFirstMs: 5, retryMaxMs: 100_000 } } }).start();
  await until('eight streams', () => {
    if (connections() > dialled.length) dialled.push(performance.now());
    return connections() >= 8;
  });
  // Seven waits that doubled from 5 ms on, a quarter less at the least; without the memory all of them are 5 ms.
  const waits = dialled.slice(1).map((at, index) => at - dialled[index]!);
  assert.ok(waits.at(-1)! >= 5 * 2 ** 6 * 0.7, String(waits.map(Math.round)));
});

test('a stream that stayed open is forgotten as a failure: the next break is answered at once', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  const retry = { retryFirstMs: 5, retryMaxMs: 100_000, steadyMs: 1 };
  await world.host({ configuration: { controlRetry: retry } }).start();
  for (let n = 1; n <= 20; n++) {
    await until('a stream', () => control.connections >= n && control.messages.some(({ type }) => type === 'report'));
    control.messages.length = 0;
    const opened = performance.now();
    await until('it to be steady', () => performance.now() - opened > 10);
    control.socket!.terminate();
  }
});

test('a host speaks with a control of any version that both know, and with no other', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  await world
    .host({ configuration: { protocol: { lowest: 2, highest: 3 }, controlRetry: { retryFirstMs: 5, retryMaxMs: 5 } } })
    .start();
  const reported = () => control.messages.some(({ type }) => type === 'report');
  for (const [versions, spoken] of [
    [{ protocol: 2 }, true],
    [{ protocol: 9, lowestProtocol: 3 }, true],
    [{ protocol: 1 }, false],
    [{ protocol: 9, lowestProtocol: 4 }, false],
  ] as const) {
    control.versions = versions;
    control.messages.length = 0;
    const { connections } = control;
    control.socket?.terminate();
    await until(`protocol ${versions.protocol}`, () => (spoken ? reported() : control.connections > connections + 2));
    assert.equal(reported(), spoken);
    const [hello] = control.messages.filter(({ type }) => type === 'hello') as {
      protocol: number;
      lowestProtocol: number;
    }[];
    assert.deepEqual([hello!.protocol, hello!.lowestProtocol], [3, 2]);
  }
});

test('what a newer control says beyond this version is ignored', async (t) => {
  const world = await hostWorld(t);
  await world.host().start();
  world.control.send('{"type":"news","servers":[]}');
  const server = wantedServer(await world.storeImage());
  world.control.want({ ...server, news: { deep: [1] } } as DesiredServer);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  assert.equal(world.control.connections, 1);
});

test('a control of before digests came later is told of an image with its digest, and never without', async (t) => {
  const world = await hostWorld(t);
  const { control } = world;
  control.versions = { protocol: 1 };
  await world.host().start();
  const server = wantedServer(await world.storeImage());
  control.want(server);
  await control.until(server.id, 'running', ({ state }) => state === 'running');
  const imageId = newId<ImageId>();
  control.want({ ...server, generation: server.generation + 1, captures: [{ imageId }] });
  await control.until(server.id, 'running', ({ captures }) => captures?.[0]?.imageId === imageId);
  const told = control.messages.flatMap((message) =>
    message.type === 'report' ? message.servers.flatMap(({ captures = [] }) => captures) : [],
  );
  assert.ok(told.length > 0);
  for (const { result } of told) assert.match(result?.sha256 ?? '', /^[0-9a-f]{64}$/);
});

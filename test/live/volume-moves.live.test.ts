/**
 * A server with a volume goes live from one real QEMU to another and back: what was in the volume's frozen layer and in its top is there, byte for byte. The
 * guest is one of 512 bytes, which does not write; one that does is in host-migration.live.test.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { DesiredServer, DesiredVolume } from '../../contract/host/index.ts';
import { type ImageId, type LayerId, type MigrationId, newId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { silent } from '../../host/logger.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { CarriedVolume } from '../support/carried-volume.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { volumeTests } from '../support/volume-machine.ts';

async function side(t: TestContext, world: HostWorld, index: number) {
  chmodSync(world.directory, 0o755);
  const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_c000 + 256 * index, count: 256 } };
  const paths = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const first = 49_152 + 16 * index;
  const configuration = {
    guests,
    accelerator: 'tcg',
    durable: true,
    migrationPorts: { first, last: first + 15 },
  } as const;
  const real = await qemuMachine({ ...paths, ...configuration });
  const host = world.host({ configuration, dependencies: { ...real, log: silent } });
  await host.start();
  t.after(async () => {
    for (const { process } of await real.launcher.list()) process.kill();
  });
  return { world, host };
}

const fileOf = ({ directory }: HostWorld, id: LayerId) => join(directory, 'data/volumes/layers', `${id}.qcow2`);
/** One layer alone. */
const qemuIo = (path: string, command: string, ...options: string[]): string => {
  const node = { driver: 'qcow2', file: { driver: 'file', filename: path }, backing: null };
  return execFileSync('qemu-io', [...options, '-c', command, `json:${JSON.stringify(node)}`], { encoding: 'utf8' });
};

test(
  'what a volume holds goes with its server, in the layer that is frozen and in the one above it',
  volumeTests,
  async (t) => {
    const first = await hostWorld(t);
    const second = await hostWorld(t, { authority: first.authority });
    const sides = [await side(t, first, 0), await side(t, second, 1)];
    const id = newId<ImageId>();
    let image: DesiredServer['image'] = null;
    for (const { world } of sides) {
      const source = Readable.from([bootSectorDisk()]);
      const { sizeBytes, sha256 } = await world.client.putImage(world.endpoint(), id, source, {
        format: 'raw',
        maxBytes: 2 ** 30,
      });
      image = { id, format: 'raw', sizeBytes, sha256, sources: [] };
    }
    const volume = await CarriedVolume.on(first);
    qemuIo(fileOf(first, volume.document.layerId), 'write -P 0x11 1M 1M');
    await volume.freeze(first);
    qemuIo(fileOf(first, volume.document.layerId), 'write -P 0x22 4M 1M');
    const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 };
    let server: DesiredServer = {
      ...wantedServer(image),
      machine,
      ports: [],
      memoryMiB: 64,
      diskGiB: 1,
      generation: 1,
      epoch: 1,
    };
    server = { ...server, volumes: [volume.document] };
    first.control.want(server);
    await first.control.until(server.id, 'running', ({ state }) => state === 'running');
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const [here, there] = [sides[from]!, sides[to]!];
      const volumes: DesiredVolume[] = [volume.announce(here.world, there.world, here.host.facts().url)];
      const way = {
        id: newId<MigrationId>(),
        mode: 'live' as const,
        key: randomBytes(32).toString('hex'),
        cancelled: false,
      };
      there.world.control.want({
        ...server,
        volumes,
        epoch: server.epoch + 1,
        generation: server.generation + 1,
        incoming: way,
      });
      const ready = await there.world.control.until(
        server.id,
        'ready',
        ({ incoming }) => incoming?.id === way.id && incoming.state !== 'preparing',
      );
      assert.equal(ready.incoming?.state, 'ready', JSON.stringify(ready.incoming));
      const outgoing = { ...way, target: ready.incoming.target!, force: false, keep: false };
      here.world.control.want({ ...server, generation: server.generation + 1, outgoing });
      await there.world.control.until(server.id, 'taken over', ({ incoming }) => incoming?.state === 'taken_over');
      here.world.control.want({ ...server, generation: server.generation + 2, presence: 'absent' });
      await here.world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
      server = { ...server, volumes, epoch: server.epoch + 1, generation: server.generation + 2 };
      there.world.control.want(server);
      const { generation } = server;
      await there.world.control.until(
        server.id,
        'running',
        (seen) => seen.state === 'running' && seen.generation === generation,
      );
      await volume.arrive(here.world);
      const { parentId } = there.world.control.layers.find((layer) => layer.id === volumes[0]!.layerId)!;
      assert.doesNotMatch(qemuIo(fileOf(there.world, parentId!), 'read -P 0x11 1M 1M', '-r', '-U'), /failed/);
      assert.doesNotMatch(qemuIo(fileOf(there.world, volumes[0]!.layerId), 'read -P 0x22 4M 1M', '-r', '-U'), /failed/);
      t.diagnostic(`it went from ${from} to ${to}, with what it held`);
    }
  },
);

/** Images that guests do not read themselves: unpacked once, again where that was lost, and never what is no disk. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { ImageFormat } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import { HostFault } from '../../host/host-error.ts';
import { dynamicVhd, vdiImage } from '../../host/image/formats/testing.ts';
import type { ImageConverter } from '../../host/image/inspect.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';

async function unpacking(t: TestContext, convert: ImageConverter) {
  const world = await hostWorld(t);
  const host = world.host({ dependencies: { convert } });
  await host.start();
  const store = async (format: ImageFormat, contents: Buffer) => {
    const id = newId<ImageId>();
    const { sha256, sizeBytes } = await world.client.putImage(
      world.endpoint(),
      id,
      Readable.from([Buffer.from(contents)]),
      { format, maxBytes: 2 ** 30 },
    );
    return { id, format, sizeBytes, sha256, sources: [] };
  };
  const images = join(world.directory, 'data/images/files');
  return { world, host, store, images };
}

test('an image is unpacked once for all servers that wait, from where its disk lies, and the guests read the result', async (t) => {
  const seen: Parameters<ImageConverter>[0][] = [];
  const { world, store, images } = await unpacking(t, async (file, to) => {
    seen.push(file);
    writeFileSync(to, 'a raw disk');
  });
  const image = await store('vhd', dynamicVhd(2 ** 20));
  const servers = [wantedServer(image), wantedServer(image)];
  for (const server of servers) world.control.want(server);
  for (const { id } of servers) await world.control.until(id, 'running', ({ state }) => state === 'running');
  assert.deepEqual(
    seen.map(({ disk, virtualSizeBytes }) => [disk.driver, virtualSizeBytes]),
    [['vpc', 2 ** 20]],
  );
  assert.equal(readFileSync(join(images, `${image.id}.raw`), 'utf8'), 'a raw disk');
  assert.deepEqual(readdirSync(join(images, '../incoming')), []);
  const backing = readFileSync(join(world.directory, 'data/servers', servers[0]!.id, 'disk.qcow2'));
  assert.ok(backing.includes(`${image.id}.raw`));

  // Lost, it is made again before a guest starts.
  const [server] = servers as [(typeof servers)[0]];
  world.control.want({ ...server, generation: 2, power: 'off' });
  await world.control.until(server.id, 'stopped', ({ state }) => state === 'stopped');
  rmSync(join(images, `${image.id}.raw`));
  world.control.want({ ...server, generation: 3 });
  await world.control.until(server.id, 'running again', (one) => one.state === 'running' && one.generation === 3);
  assert.equal(seen.length, 2);

  await world.client.deleteImage(world.endpoint(), image.id);
  assert.ok(existsSync(join(images, `${image.id}.raw`)), 'guests read it');
});

test('an image that can not be unpacked fails its servers with the reason, and leaves nothing', async (t) => {
  const { world, store, images } = await unpacking(t, async () => {
    throw new HostFault('image_refused', "qemu-img can't unpack the image: broken", { permanent: true });
  });
  const server = wantedServer(await store('vdi', vdiImage(2 ** 20)));
  world.control.want(server);
  const { error } = await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.deepEqual([error!.code, error!.message], ['image_refused', "qemu-img can't unpack the image: broken"]);
  assert.deepEqual(readdirSync(join(images, '../incoming')), []);
  assert.ok(!existsSync(join(images, `${server.image!.id}.raw`)));
});

test('bytes that are no format at all are kept and given back, and no guest gets them', async (t) => {
  const { world, store } = await unpacking(t, () => assert.fail('nothing is unpacked'));
  const contents = Buffer.alloc(5000, 9);
  const image = await store('vmdk', contents);
  const server = wantedServer(image);
  world.control.want(server);
  const { error } = await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.deepEqual([error!.code, error!.message], ['image_refused', 'the image is no vmdk']);
  const answer = await world.client.getImage(world.endpoint(), image.id);
  assert.equal(answer.length, contents.length);
  answer.destroy();
});

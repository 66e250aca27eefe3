/** The host's service over real sockets: image bytes in and out, and the bad days of an upload. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { ImageFormat, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, newId, type ServerId } from '../../contract/ids.ts';
import type { HostDependencies } from '../../host/dependencies.ts';
import { dynamicVhd } from '../../host/image/formats/testing.ts';
import { qcow2Image, spoiled } from '../../host/image/testing.ts';
import { saveEmptyDisk } from '../../simulator/qemu/save-disk.ts';
import { collect } from '../support/collect.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

async function serving(t: TestContext, configuration = {}, dependencies: Partial<HostDependencies> = {}) {
  const world = await hostWorld(t);
  const host = world.host({ configuration, dependencies });
  await host.start();
  const put = (
    contents: Buffer | Readable,
    options: { id?: ImageId; format?: ImageFormat; maxBytes?: number; sizeBytes?: number } = {},
  ) =>
    world.client.putImage(
      world.endpoint(),
      options.id ?? newId<ImageId>(),
      Buffer.isBuffer(contents) ? Readable.from([Buffer.from(contents)]) : contents,
      { format: 'raw', maxBytes: 2 ** 30, ...options },
    );
  const left = () => ({
    stored: readdirSync(join(world.directory, 'data/images/files')),
    incoming: readdirSync(join(world.directory, 'data/images/incoming')),
  });
  return { world, host, put, left };
}

test('an image comes back as it went in, whole and by range, over the socket and over mutual TLS', async (t) => {
  const { world, host, put } = await serving(t);
  const contents = randomBytes(5_000_000);
  const id = newId<ImageId>();
  const result = await put(contents, { id, sizeBytes: contents.length });
  assert.deepEqual(result, {
    sizeBytes: contents.length,
    virtualSizeBytes: contents.length,
    md5: createHash('md5').update(contents).digest('hex'),
    sha256: createHash('sha256').update(contents).digest('hex'),
    sha512: createHash('sha512').update(contents).digest('hex'),
  });
  for (const client of [world.client, world.remote]) {
    const endpoint = { id: world.hostId, url: host.facts().url };
    assert.ok((await collect(await client.getImage(endpoint, id))).equals(contents));
    const piece = await collect(await client.getImage(endpoint, id, { first: 10, last: 19 }));
    assert.deepEqual(piece, contents.subarray(10, 20));
  }
  await assert.rejects(world.client.getImage(world.endpoint(), newId<ImageId>()), { code: 'not_found' });
});

test('on one machine a download does not pass the host: its file is opened, and it streams where that can not be', async (t) => {
  const { world, put } = await serving(t);
  const id = newId<ImageId>();
  const contents = randomBytes(100_000);
  await put(contents, { id });
  const file = join(world.directory, 'data/images/files', id);
  const opened = await world.client.getImage(world.endpoint(), id);
  await world.client.deleteImage(world.endpoint(), id);
  assert.ok((await collect(opened)).equals(contents), 'what is open is read to its end');
  await put(contents, { id });
  // Control may not follow a link, and root may: as it is where control is not in the group that may read images.
  renameSync(file, `${file}-elsewhere`);
  symlinkSync(`${file}-elsewhere`, file);
  assert.ok((await collect(await world.client.getImage(world.endpoint(), id))).equals(contents));
  const piece = await collect(await world.client.getImage(world.endpoint(), id, { first: 5, last: 6 }));
  assert.deepEqual(piece, contents.subarray(5, 7));
});

test('a download that is broken off leaves no file open', async (t) => {
  const { world, host, put } = await serving(t);
  const id = newId<ImageId>();
  await put(Buffer.alloc(8 * 1024 * 1024), { id });
  const opened = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).endsWith(id);
      } catch {
        return false;
      }
    }).length;
  for (const client of [world.client, world.remote, world.client]) {
    const download = await client.getImage({ id: world.hostId, url: host.facts().url }, id);
    assert.equal(opened(), 1);
    download.destroy();
    await until('the file is closed', () => opened() === 0);
  }
});

test('an image may be empty, and is no disk where its format needs bytes', async (t) => {
  const { world, host, put } = await serving(t);
  const id = newId<ImageId>();
  const { sizeBytes, sha256 } = await put(Readable.from([]), { id });
  assert.deepEqual([sizeBytes, sha256], [0, createHash('sha256').digest('hex')]);
  const bytes = await collect(await world.client.getImage({ id: world.hostId, url: host.facts().url }, id));
  assert.equal(bytes.length, 0);
  // As other bytes that are no disk: kept, and told apart by what a server of it would need.
  assert.equal((await put(Readable.from([]), { format: 'qcow2' })).virtualSizeBytes, null);
});

test('an upload that is repeated is the same image; other bytes do not replace what a guest reads', async (t) => {
  const { world, put, left } = await serving(t);
  const id = newId<ImageId>();
  const contents = Buffer.alloc(4096, 1);
  const first = await put(contents, { id });
  assert.deepEqual(await put(contents, { id }), first);
  const server = wantedServer({ id, format: 'raw', sizeBytes: 4096, sha256: first.sha256, sources: [] });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  await assert.rejects(put(Buffer.alloc(4096, 2), { id }), { code: 'conflict' });
  await world.client.deleteImage(world.endpoint(), id);
  assert.equal(left().stored.length, 2, 'an image in use outlives its deletion');
  assert.deepEqual(left().incoming, []);
});

test('deleting an image twice is as good as once', async (t) => {
  const { world, put, left } = await serving(t);
  const id = newId<ImageId>();
  await put(Buffer.alloc(4096), { id });
  await world.client.deleteImage(world.endpoint(), id);
  await world.client.deleteImage(world.endpoint(), id);
  assert.deepEqual(left(), { stored: [], incoming: [] });
});

test('an upload that is cut off leaves nothing', async (t) => {
  const { put, left } = await serving(t);
  for (const size of [1000, 10_000_000]) {
    const source = new Readable({ read() {} });
    source.push(Buffer.alloc(size));
    const upload = put(source, { sizeBytes: 20_000_000 });
    setTimeout(() => source.destroy(), 30);
    await assert.rejects(upload, { code: 'invalid' });
  }
  await until('the pieces to be gone', () => left().incoming.length === 0);
  assert.deepEqual(left().stored, []);
});

test('an upload that is larger than allowed is refused as it grows, and before it begins', async (t) => {
  const { put, left } = await serving(t);
  const endless = Readable.from(
    (function* () {
      for (let n = 0; n < 100; n++) yield Buffer.alloc(100_000);
    })(),
  );
  await assert.rejects(put(endless, { maxBytes: 1_000_000 }), { code: 'too_large' });
  await assert.rejects(put(Buffer.alloc(2000), { maxBytes: 1000, sizeBytes: 2000 }), { code: 'too_large' });
  await until('the pieces to be gone', () => left().incoming.length === 0);
});

/** A caller that has 64 MiB to send, in pieces, as fast as they are taken; it says how many it sent. */
function largeSource() {
  const sent = { bytes: 0 };
  const source = Readable.from(
    (function* () {
      for (let n = 0; n < 1024; n++) {
        sent.bytes += 65_536;
        yield Buffer.alloc(65_536);
      }
    })(),
  );
  return { source, sent };
}

test('a refusal while most of the bytes are still to come reaches the caller, over the socket and over mutual TLS', async (t) => {
  const { world, host, left } = await serving(t);
  for (const client of [world.client, world.remote]) {
    const endpoint = { id: world.hostId, url: host.facts().url };
    for (const sizeBytes of [undefined, 64 * 2 ** 20]) {
      const { source, sent } = largeSource();
      const upload = client.putImage(endpoint, newId<ImageId>(), source, {
        ...{ format: 'raw', maxBytes: 200_000, sizeBytes },
      });
      await assert.rejects(upload, { code: 'too_large', message: /the image has more than 200000 bytes/ });
      assert.ok(sent.bytes < 64 * 2 ** 20, 'the rest was not read to the end');
      source.destroy();
    }
    const absent = client.getImage(endpoint, newId<ImageId>());
    await assert.rejects(absent, { code: 'not_found' }, 'the host serves on');
  }
  await until('the pieces to be gone', () => left().incoming.length === 0);
});

test('a caller that listens only after it has sent everything gets its refusal too; one that never ends is cut off', async (t) => {
  const { world } = await serving(t);
  const begin = async (length: number) => {
    const socket = connect(world.socket);
    await once(socket, 'connect');
    socket.write(
      `PUT /v1/images/${newId()}?format=raw&maxBytes=1000 HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`,
    );
    return socket;
  };
  const size = 32 * 2 ** 20;
  const deaf = await begin(size);
  await new Promise<void>((resolve, reject) =>
    deaf.write(Buffer.alloc(size), (err) => (err ? reject(err) : resolve())),
  );
  const [answer] = await once(deaf, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 413 /);
  deaf.destroy();
  const endless = await begin(size);
  endless.on('error', () => {});
  const ended = once(endless, 'close');
  endless.resume();
  await ended;
});

test('directories of images that were removed by hand are made again', async (t) => {
  const { world, put, left } = await serving(t);
  rmSync(join(world.directory, 'data/images'), { recursive: true });
  await put(Buffer.alloc(4096));
  assert.deepEqual([left().stored.length, left().incoming.length], [2, 0]);
});

test('images that lie are refused with the reason and leave nothing', async (t) => {
  const { put, left } = await serving(t, { maxVirtualBytes: 2 ** 40 });
  await assert.rejects(put(dynamicVhd(2 ** 20), { format: 'qcow2' }), { code: 'invalid', message: /vhd, not qcow2/ });
  await assert.rejects(put(qcow2Image(2 ** 30)), { code: 'invalid', message: /qcow2, not raw/ });
  await assert.rejects(put(qcow2Image(2 ** 41), { format: 'qcow2' }), { code: 'invalid', message: /above the limit/ });
  for (const [, reason, change] of spoiled.slice(0, 4)) {
    await assert.rejects(put(qcow2Image(2 ** 30, change), { format: 'qcow2' }), { code: 'invalid', message: reason });
  }
  assert.deepEqual(left(), { stored: [], incoming: [] });
});

test("a flavor's disk that is smaller than the image fails at once, with the reason", async (t) => {
  const { world, put } = await serving(t);
  const id = newId<ImageId>();
  const { sha256, sizeBytes } = await put(qcow2Image(3 * 2 ** 30), { id, format: 'qcow2' });
  const server = wantedServer({ id, format: 'qcow2', sizeBytes, sha256, sources: [] }, { diskGiB: 2 });
  world.control.want(server);
  const observed = await world.control.until(server.id, 'failed', ({ state }) => state === 'failed');
  assert.equal(observed.error!.code, 'disk_too_small');
  world.control.want({ ...server, generation: 2, presence: 'absent' });
  await world.control.until(server.id, 'absent', ({ state }) => state === 'absent');
});

test('another host copies an image once for all servers that wait, and checks it', async (t) => {
  const { world, host, put } = await serving(t);
  const contents = randomBytes(3_000_000);
  const id = newId<ImageId>();
  const { sha256, sizeBytes } = await put(contents, { id });
  const other = await hostWorld(t, { authority: world.authority });
  await other.host().start();
  const image = { id, format: 'raw' as const, sizeBytes, sha256, sources: [host.facts().url] };
  const servers = [wantedServer(image), wantedServer(image), wantedServer(image)];
  for (const server of servers) other.control.want(server);
  for (const server of servers) await other.control.until(server.id, 'running', ({ state }) => state === 'running');
  const lie = { ...image, id: newId<ImageId>(), sha256: 'a'.repeat(64) };
  await put(contents, { id: lie.id });
  const victim = wantedServer(lie);
  other.control.want(victim);
  const observed = await other.control.until(victim.id, 'failing', ({ error }) => error !== null);
  assert.equal(observed.error!.code, 'image_damaged');
});

test("a console log's end is read, and never more of it than allowed", async (t) => {
  const { world } = await serving(t, { limits: { consoleLogBytes: 10 } });
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  const read = async (bytes: number, id: ServerId = server.id) =>
    (await world.client.consoleLog(world.endpoint(), id, bytes)).toString();
  assert.match(await read(100), /login: $/);
  assert.equal((await read(100)).length, 10);
  assert.equal(await read(3), 'n: ');
  assert.equal(await read(3, newId<ServerId>()), '');
});

test('health tells what the host knows of itself', async (t) => {
  const { world } = await serving(t);
  const health = (await world.client.health(world.endpoint())) as {
    facts: { accelerator: string };
    control: { state: string };
  };
  assert.equal(health.facts.accelerator, 'tcg');
});

test('qemu-img never sees a file that our own reader refuses, nor one that is used as it is', async (t) => {
  const inspected: number[] = [];
  const inspect: HostDependencies['inspect'] = async ({ virtualSizeBytes }) => void inspected.push(virtualSizeBytes);
  const { put } = await serving(t, {}, { inspect });
  // Large enough that its beginning is on the disk long before its end comes.
  const disguised = Buffer.concat([qcow2Image(2 ** 30), Buffer.alloc(4 * 1024 * 1024)]);
  await assert.rejects(put(disguised), /qcow2, not raw/);
  for (const [, reason, change] of spoiled) {
    await assert.rejects(put(qcow2Image(2 ** 30, change), { format: 'qcow2' }), reason);
  }
  await put(Buffer.alloc(4096, 7));
  assert.deepEqual(inspected, []);
  await put(qcow2Image(2 ** 30), { format: 'qcow2' });
  assert.deepEqual(inspected, [2 ** 30]);
});

test('what ended fetches and uploads left is swept; what one under way needs, and the beginning of a wanted image, is not', async (t) => {
  const { world, put, left } = await serving(t, { sweepIntervalMs: 30 });
  const incoming = join(world.directory, 'data/images/incoming');
  const [stray, wanted] = [newId<ImageId>(), newId<ImageId>()];
  const server = wantedServer({
    ...{ id: wanted, format: 'raw', sizeBytes: 4096, sha256: '0'.repeat(64) },
    sources: ['https://127.0.0.1:1'],
  });
  const slow = new Readable({ read() {} });
  slow.push(Buffer.alloc(65_536));
  const upload = put(slow);
  await until('the upload to have a file', () => left().incoming.length === 1);
  const [underWay] = left().incoming;
  writeFileSync(join(incoming, `${stray}.part`), 'x');
  writeFileSync(join(incoming, `upload-${newId()}`), 'x');
  writeFileSync(join(incoming, `${wanted}.part`), 'x');
  writeFileSync(join(incoming, 'not ours'), 'x');
  world.control.want(server);
  await until('the sweep', () => left().incoming.length === 3);
  assert.deepEqual(left().incoming.sort(), [underWay, `${wanted}.part`, 'not ours'].sort());
  slow.push(null);
  await upload;
  world.control.want({ ...server, generation: server.generation + 1, presence: 'absent' });
  await until('the last part to be swept', () => left().incoming.join() === 'not ours');
});

test('an image that is deleted while it comes in, or is made of a disk, does not stay', async (t) => {
  const source = newId<ImageId>();
  const made: ImageId[] = [];
  const saveDisk: HostDependencies['saveDisk'] = async (disk) => {
    // Control's word by one way, before the server's new document comes by the other.
    await world.client.deleteImage(world.endpoint(), made[0]!);
    await saveEmptyDisk({ ...disk, stillWanted: () => {} });
  };
  const { world, put, left } = await serving(t, {}, { saveDisk });
  const slow = new Readable({ read() {} });
  slow.push(Buffer.alloc(65_536));
  const id = newId<ImageId>();
  const upload = put(slow, { id });
  await until('the upload to have a file', () => left().incoming.length === 1);
  await world.client.deleteImage(world.endpoint(), id);
  slow.push(null);
  await assert.rejects(upload, { code: 'conflict' });
  assert.deepEqual(left(), { stored: [], incoming: [] });

  const { sizeBytes, sha256 } = await put(Buffer.alloc(4096, 1), { id: source });
  const server = wantedServer({ id: source, format: 'raw', sizeBytes, sha256, sources: [] });
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  made.push(newId<ImageId>());
  world.control.want({ ...server, generation: 2, captures: [{ imageId: made[0]! }] });
  const observed = await world.control.until(server.id, 'what came of it', ({ captures }) => captures?.length === 1);
  assert.deepEqual([observed.state, observed.captures![0]!.error?.code], ['running', 'conflict']);
  assert.deepEqual(left().stored.sort(), [source, `${source}.json`]);
});

test('an image that was deleted before its making began, or before the process died, is not begun after it', async (t) => {
  const world = await hostWorld(t);
  let saved = 0;
  const never: HostDependencies['saveDisk'] = async () => {
    saved++;
    await new Promise(() => {});
  };
  const first = world.host({ dependencies: { saveDisk: never } });
  await first.start();
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  const [dies, late] = [newId<ImageId>(), newId<ImageId>()];
  world.control.want({ ...server, generation: 2, captures: [{ imageId: dies }] });
  await until('the copy to be under way', () => saved === 1);
  await world.client.deleteImage(world.endpoint(), dies);
  first.abandon();
  const again: HostDependencies['saveDisk'] = async (disk) => {
    saved++;
    await saveEmptyDisk(disk);
  };
  world.control.observed.clear();
  await world.host({ dependencies: { saveDisk: again } }).start();
  const told = async (imageId: ImageId) => {
    const found = ({ captures }: ObservedServer) => captures?.some((each) => each.imageId === imageId) === true;
    const { captures } = await world.control.until(server.id, 'what came of it', found);
    return captures!.map(({ error }) => error?.code);
  };
  assert.deepEqual(await told(dies), ['conflict']);
  await world.client.deleteImage(world.endpoint(), late);
  world.control.want({ ...server, generation: 3, captures: [{ imageId: late }] });
  assert.deepEqual(await told(late), ['conflict']);
  assert.equal(saved, 1);
});

test('an image that was made of a disk is whole at once, and its digests are known soon after; another host waits for them', async (t) => {
  const { world, host } = await serving(t);
  const server = wantedServer(await world.storeImage());
  world.control.want(server);
  await world.control.until(server.id, 'running', ({ state }) => state === 'running');
  const imageId = newId<ImageId>();
  world.control.want({ ...server, generation: 2, captures: [{ imageId }] });
  const { captures } = await world.control.until(server.id, 'the image', (seen) => seen.captures?.length === 1);
  const { sizeBytes, sha256 } = captures![0]!.result!;
  assert.equal(sha256, undefined);
  const image = { id: imageId, format: 'qcow2' as const, sizeBytes, sha256: null, sources: [] };
  const here = wantedServer(image);
  world.control.want(here);
  await world.control.until(here.id, 'running', ({ state }) => state === 'running');

  const second = await hostWorld(t, { authority: world.authority });
  await second.host().start();
  const there = wantedServer({ ...image, sources: [host.facts().url] });
  second.control.want(there);
  const waits = ({ state, step, error }: ObservedServer) =>
    state === 'building' && step === 'waiting for the digest of the image' && error === null;
  await second.control.until(there.id, 'waiting', waits);
  const known = async () => (await world.client.imageDigests(world.endpoint(), imageId)).digests;
  await until('the digests', async () => (await known()) !== null);
  const bytes = readFileSync(join(world.directory, 'data/images/files', imageId));
  assert.equal((await known())!.sha512, createHash('sha512').update(bytes).digest('hex'));
  second.control.want({ ...there, image: { ...there.image!, sha256: (await known())!.sha256 } });
  await second.control.until(there.id, 'running', ({ state }) => state === 'running');
  assert.ok(readFileSync(join(second.directory, 'data/images/files', imageId)).equals(bytes));
});

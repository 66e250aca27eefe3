/** The host's object disks over real sockets: blobs in and out, and callers that are not what they should be. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { StoredPlace } from '../../contract/host/index.ts';
import { type BlobId, newId, type ObjectIntentId } from '../../contract/ids.ts';
import type { HostClient } from '../../control/host/client.ts';
import { isBlobLost } from '../../control/host/index.ts';
import { collect } from '../support/collect.ts';
import { hostWorld } from '../support/host-world.ts';
import { until } from '../support/until.ts';

async function serving(t: TestContext) {
  const world = await hostWorld(t);
  const host = world.host({ configuration: { cloudId: newId() } });
  await host.start();
  const at = { host: { id: world.hostId, url: host.facts().url }, disk: 'default' };
  const intent = newId<ObjectIntentId>();
  const small = async (contents: readonly Buffer[], client: HostClient = world.client): Promise<StoredPlace[]> => {
    const blobs = contents.map((bytes) => ({ id: newId<BlobId>(), bytes }));
    const places = await client.objects.writeBatch(at, intent, blobs);
    return blobs.map(({ id, bytes }, index) => ({ blob: id, intent, ...places[index]!, length: bytes.length }));
  };
  const large = async (data: Buffer, client: HostClient = world.client): Promise<StoredPlace> => {
    const blob = newId<BlobId>();
    const source = Readable.from([Buffer.from(data)]);
    const { file } = await client.objects.writeFile(at, intent, blob, source, { maxBytes: data.length });
    return { blob, intent, file, offset: 0, length: data.length };
  };
  const path = ({ file }: StoredPlace) => join(world.directory, 'data/objects/intents', intent, file);
  return { world, host, at, intent, small, large, path };
}

const whole = async (client: HostClient, ...args: Parameters<HostClient['objects']['read']>) =>
  collect(await client.objects.read(...args));

test('blobs come back as they went in, whole and by range, over the socket, from the file and over mutual TLS', async (t) => {
  const { world, at, small, large } = await serving(t);
  const contents = [randomBytes(0), randomBytes(4096), randomBytes(262_144)];
  const data = randomBytes(3_000_000);
  for (const writer of [world.client, world.remote]) {
    const places = await small(contents, writer);
    const file = await large(data, writer);
    for (const reader of [world.client, world.remote]) {
      for (const [index, place] of places.entries())
        assert.deepEqual(await reader.objects.readRecord(at, place), contents[index]);
      assert.deepEqual(
        await reader.objects.readRecord(at, places[1]!, { first: 9, last: 20 }),
        contents[1]!.subarray(9, 21),
      );
      assert.ok((await whole(reader, at, file)).equals(data));
      assert.ok((await whole(reader, at, file, { first: 32_767, last: 65_536 })).equals(data.subarray(32_767, 65_537)));
      assert.deepEqual(await whole(reader, at, places[1]!), contents[1]);
    }
  }
});

test('a bit that flips is found by whoever reads, here and there, and the host says which file it is', async (t) => {
  const { world, host, at, intent, small, large, path } = await serving(t);
  const [record] = await small([randomBytes(4096)]);
  const file = await large(randomBytes(600_000));
  flip(path(record!), record!.offset + 2000);
  flip(path(file), 550_000);
  for (const client of [world.client, world.remote]) {
    await assert.rejects(client.objects.readRecord(at, record!), isBlobLost);
    await assert.rejects(whole(client, at, file));
    await assert.rejects(whole(client, at, file, { first: 540_000, last: 599_999 }), isBlobLost);
    // What is whole is given.
    assert.equal((await whole(client, at, file, { first: 0, last: 99_999 })).length, 100_000);
  }
  const { faults } = await world.client.objects.faults(at);
  assert.deepEqual(new Set(faults.map((each) => each.file)), new Set([record!.file, file.file]));
  assert.equal(host.facts().objectDisks?.[0]?.faults, 2);
  await world.client.objects.forgetFaults(at, intent, file.file);
  assert.equal((await world.client.objects.faults(at)).faults.length, 1);
});

test('an intent is listed and removed, and what is removed is gone for every reader', async (t) => {
  const { world, at, intent, small, large } = await serving(t);
  const { objects } = world.remote;
  const [record] = await small([randomBytes(10)]);
  const file = await large(randomBytes(300_000));
  const names = (await objects.listIntent(at, intent)).map(({ name }) => name);
  assert.deepEqual(names.sort(), [record!.file, file.file].sort());
  await assert.rejects(objects.removeIntent(at, intent), { code: 'conflict' });
  for (let times = 0; times < 2; times++) {
    await objects.removePack(at, intent, record!.file);
    await objects.removeBlob(at, intent, file.blob);
    await objects.removeIntent(at, intent);
  }
  assert.deepEqual(await objects.listIntent(at, intent), []);
  await assert.rejects(objects.read(at, file), isBlobLost);
});

test('what a caller gets wrong is refused, and nothing outside an intent is touched', async (t) => {
  const { world, intent } = await serving(t);
  const secret = join(world.directory, 'data/objects/secret');
  writeFileSync(secret, 'x');
  const frame = (length: number, bytes: number) => {
    const head = Buffer.alloc(20, 1);
    head.writeUInt32BE(length, 16);
    return Buffer.concat([head, Buffer.alloc(bytes)]);
  };
  const q = `disk=default&intent=${intent}`;
  const id = newId();
  const refused: [string, string, Buffer?][] = [
    ['POST', `/v1/objects/blobs?${q}`, Buffer.alloc(0)],
    ['POST', `/v1/objects/blobs?${q}`, Buffer.alloc(19)],
    ['POST', `/v1/objects/blobs?${q}`, frame(10, 9)],
    ['POST', `/v1/objects/blobs?${q}`, frame(10, 11)],
    ['POST', `/v1/objects/blobs?${q}`, frame(262_145, 262_145)],
    ['POST', `/v1/objects/blobs?${q}`, frame(0xffff_ffff, 4)],
    ['POST', `/v1/objects/blobs?disk=../..&intent=${intent}`, frame(1, 1)],
    ['POST', `/v1/objects/blobs?disk=default&intent=..`, frame(1, 1)],
    ['POST', `/v1/objects/blobs?disk=default&intent=${intent.replaceAll('-', '')}`, frame(1, 1)],
    ['POST', `/v1/objects/blobs?disk=other&intent=${intent}`, frame(1, 1)],
    ['PUT', `/v1/objects/blobs/${id}?${q}&digests=md5,nothing`, Buffer.alloc(1)],
    ['PUT', `/v1/objects/blobs/..?${q}`, Buffer.alloc(1)],
    ['GET', `/v1/objects/blobs/${id}?${q}&file=../../secret&offset=0&length=1`],
    ['GET', `/v1/objects/blobs/${id}?${q}&file=%2e%2e%2f%2e%2e%2fsecret&offset=0&length=1`],
    ['GET', `/v1/objects/blobs/${id}?${q}&file=a.pack&offset=-1&length=1`],
    ['GET', `/v1/objects/blobs/${id}?${q}&file=a.pack&offset=0&length=999999999`],
    ['GET', `/v1/objects/blobs/${id}?${q}&file=${newId()}&offset=0&length=1`],
    ['DELETE', `/v1/objects/packs?${q}&file=..%2f..%2fsecret`],
    ['DELETE', `/v1/objects/packs?${q}&file=${newId()}`],
    ['DELETE', `/v1/objects/intents/..?disk=default`],
    ['POST', '/v1/objects/copies', Buffer.from('{"disk":"default"}')],
    ['POST', '/v1/objects/copies', Buffer.from('no JSON')],
    ['POST', '/v1/objects/grants', Buffer.from('[]')],
    ['GET', '/v1/objects/nothing'],
  ];
  for (const [method, path, body] of refused) {
    const status = await ask(world.socket, method, path, body);
    assert.ok(status === 400 || status === 404, `${method} ${path} answered ${status}`);
  }
  assert.ok(existsSync(secret));
  assert.deepEqual(readdirSync(join(world.directory, 'data/objects/intents')), []);
});

test('another host may do nothing with object disks, and does not learn what is there', async (t) => {
  const { world, at, intent, small, large } = await serving(t);
  const [record] = await small([randomBytes(10)]);
  const file = await large(randomBytes(300_000));
  const peer = await world.authority.issue(newId());
  const call = (method: string, path: string) =>
    new Promise<number>((resolve, reject) => {
      const url = new URL(path, at.host.url);
      const options = { ...peer, method, checkServerIdentity: () => undefined };
      request(url, options, (response) => resolve(response.resume().statusCode!))
        .on('error', reject)
        .end();
    });
  const q = `disk=default&intent=${intent}`;
  for (const [method, path] of [
    ['GET', '/v1/objects/disks'],
    ['POST', `/v1/objects/blobs?${q}`],
    ['PUT', `/v1/objects/blobs/${newId()}?${q}`],
    ['DELETE', `/v1/objects/blobs/${file.blob}?${q}`],
    ['DELETE', `/v1/objects/packs?${q}&file=${record!.file}`],
    ['GET', `/v1/objects/intents/${intent}?disk=default`],
    ['DELETE', `/v1/objects/intents/${intent}?disk=default`],
    ['POST', '/v1/objects/copies'],
    ['POST', '/v1/objects/grants'],
    ['GET', '/v1/objects/faults?disk=default'],
    ['DELETE', `/v1/objects/faults?${q}&file=${record!.file}`],
  ] as const)
    assert.equal(await call(method, path), 403, `${method} ${path}`);
  const there = `/v1/objects/blobs/${file.blob}?${q}&file=${file.file}&offset=0&length=${file.length}`;
  const absent = `/v1/objects/blobs/${newId()}?${q}&file=${newId()}&offset=0&length=1`;
  assert.deepEqual([await call('GET', there), await call('GET', absent)], [404, 404]);
  assert.equal((await world.client.objects.listIntent(at, intent)).length, 2);
});

test('another host gets a blob only when control has said so, and copies are verified on the way', async (t) => {
  const first = await serving(t);
  const second = await hostWorld(t, { authority: first.world.authority });
  const other = second.host({ configuration: { cloudId: newId() } });
  await other.start();
  const to = { host: { id: second.hostId, url: other.facts().url }, disk: 'default' };
  const { remote } = first.world;
  const contents = randomBytes(5000);
  const data = randomBytes(700_000);
  const [[record], file] = [await first.small([contents]), await first.large(data)];
  const intent = newId<ObjectIntentId>();
  const wish = { disk: 'default', intent, from: { disk: 'default', host: first.at.host }, blobs: [file] };
  // Without a word of control's to the source.
  assert.equal(await ask(second.socket, 'POST', '/v1/objects/copies', Buffer.from(JSON.stringify(wish))), 200);
  assert.deepEqual(await remote.objects.listIntent(to, intent), []);

  const copies = await remote.objects.copy(first.at, to, intent, [record!, file]);
  const moved = copies.map(({ place }, index) => ({ ...[record!, file][index]!, intent, ...place! }));
  assert.deepEqual(await remote.objects.readRecord(to, moved[0]!), contents);
  assert.ok((await whole(remote, to, moved[1]!)).equals(data));

  flip(first.path(file), 1000);
  const [bad, good] = await remote.objects.copy(first.at, to, newId<ObjectIntentId>(), [file, record!]);
  assert.equal(bad!.problem?.code, 'corrupt');
  assert.equal(good!.problem, null);
});

test('a pack is compacted beside reads and writes, and nothing is missed', async (t) => {
  const { world, at, intent, small } = await serving(t);
  const { objects } = world.client;
  const contents = Array.from({ length: 200 }, (_, i) => randomBytes(1000 + i));
  const places = await small(contents);
  const live = places.filter((_, index) => index % 3 === 0);
  const into = newId<ObjectIntentId>();
  let done = false;
  const reading = (async () => {
    while (!done) for (const place of live.slice(0, 10)) await objects.readRecord(at, place);
  })();
  const writing = Promise.all(Array.from({ length: 20 }, () => small([randomBytes(3000)])));
  const copies = await objects.copy(at, at, into, live);
  done = true;
  await Promise.all([reading, writing]);
  for (const [index, { place }] of copies.entries()) {
    const copied = { ...live[index]!, intent: into, ...place! };
    assert.deepEqual(await objects.readRecord(at, copied), contents[index * 3]);
  }
  await objects.removePack(at, intent, places[0]!.file);
  assert.equal((await objects.listIntent(at, into)).length, 1);
});

test('of an upload that breaks off nothing stays', async (t) => {
  const { world, at, intent } = await serving(t);
  const source = new Readable({ read() {} });
  source.push(randomBytes(900_000));
  const writing = world.remote.objects.writeFile(at, intent, newId<BlobId>(), source, { maxBytes: 2 ** 30 });
  const directory = join(world.directory, 'data/objects/intents', intent);
  await until('the upload to begin', () => existsSync(directory) && readdirSync(directory).length === 1);
  source.destroy(new Error('gone'));
  await assert.rejects(writing, { reason: 'upload_cut_off' });
  await until('the upload to be gone', () => readdirSync(directory).length === 0);
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}

/** As no client of ours would ask. */
function ask(socket: string, method: string, path: string, body: Buffer = Buffer.alloc(0)): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = connect(socket);
    let text = '';
    call.on('data', (chunk) => {
      text += chunk;
      const status = /^HTTP\/1\.1 (\d+)/.exec(text);
      if (!status) return;
      call.destroy();
      resolve(Number(status[1]));
    });
    call.on('error', reject);
    call.write(`${method} ${path} HTTP/1.1\r\nhost: h\r\ncontent-length: ${body.length}\r\n\r\n`);
    call.write(body);
  });
}

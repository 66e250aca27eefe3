import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { until } from '../../test/support/until.ts';
import { MetadataService } from './service.ts';
import { exampleServer } from './testing.ts';

test('nobody is told that a server does not exist before the host knows which there are', {
  skip: process.getuid?.() !== 0,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-metadata-'));
  const socketPath = join(directory, 'metadata/service.sock');
  const service = new MetadataService({ socket: socketPath, proxyUser: 'root' });
  await service.start();
  const [port] = exampleServer().ports;
  const headers = { 'x-bothy-network': port!.networkId, 'x-forwarded-for': port!.fixedIps[0]!.ip };
  const ask = async (path: string, arrived?: () => void) => {
    const asking = request({ socketPath, path, headers, agent: false });
    asking.on('socket', (socket) => socket.once('connect', () => arrived?.())).end();
    const [response] = await once(asking, 'response');
    return { status: response.statusCode, body: await text(response) };
  };
  try {
    let connected = 0;
    let answered = 0;
    const early = ['/openstack/latest/meta_data.json', '/openstack/latest/none'].map((path) =>
      ask(path, () => connected++).finally(() => answered++),
    );
    await until('both to be there', () => connected === 2);
    assert.equal(answered, 0);
    service.update([exampleServer()]);
    const [found, missing] = await Promise.all(early);
    assert.equal(JSON.parse(found!.body).uuid, exampleServer().id);
    assert.deepEqual([found!.status, missing!.status], [200, 404]);
    assert.equal((await ask('/openstack/latest/none')).status, 404, 'at once from then on');
  } finally {
    await service.stop();
    rmSync(directory, { recursive: true });
  }
});

test('services of vendor data are waited for while the guest does, and only by whoever asks for their word', {
  skip: process.getuid?.() !== 0,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-metadata-'));
  const socketPath = join(directory, 'metadata/service.sock');
  const given: (number | undefined)[] = [];
  const vendorServices = {
    of: async (_server: unknown, withinMs?: number) => {
      given.push(withinMs);
      return { join: { 小屋: 1 } };
    },
  };
  const service = new MetadataService({ socket: socketPath, proxyUser: 'root', vendorServices });
  await service.start();
  service.update([exampleServer()]);
  const [port] = exampleServer().ports;
  const ask = async (path: string, askedAt: number | string) => {
    const headers = {
      ...{ 'x-bothy-network': port!.networkId, 'x-forwarded-for': port!.fixedIps[0]!.ip },
      'x-bothy-asked-at': String(askedAt),
    };
    const [response] = await once(request({ socketPath, path, headers, agent: false }).end(), 'response');
    return text(response);
  };
  try {
    const newest = '/openstack/latest/vendor_data2.json';
    assert.deepEqual(JSON.parse(await ask(newest, Date.now())), { static: {}, join: { 小屋: 1 } });
    await ask(`/${newest}/`, 'never');
    assert.deepEqual(given, [5000, 5000]);
    await ask(newest, Date.now() - 8000);
    assert.ok(given[2]! > 0 && given[2]! <= 1000, String(given[2]));
    await ask(newest, Date.now() - 60_000);
    assert.ok(given[3]! < 0);
    await ask('/openstack/latest/vendor_data.json', Date.now());
    await ask('/openstack/latest', Date.now());
    assert.equal(given.length, 4);
  } finally {
    await service.stop();
    rmSync(directory, { recursive: true });
  }
});

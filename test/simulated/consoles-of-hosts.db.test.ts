/** A console is of the host on which its server runs, whichever of several it is, and of that one alone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { WebSocket } from 'ws';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';
import { patienceMs, until } from '../support/until.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
/** In the order of the hosts. */
const servers: ServerId[] = [];
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  tenancy = await makeTenancy(cloud);
  for (const host of cloud.hosts) {
    const id = await createServer(tenancy, `on ${host.name}`, { availability_zone: `nova:${host.name}` });
    await reaches(cloud, tenancy, id, 'ACTIVE');
    servers.push(id);
  }
});
after(() => cloud[Symbol.asyncDispose]());

async function urlOf(id: ServerId): Promise<string> {
  const wish = { 'os-getSerialConsole': { type: 'serial' } };
  return (await tenancy.client.must('POST', 'compute', `/servers/${id}/action`, wish)).console.url;
}

/** 101, or what it was refused with. */
function open(url: string): Promise<{ status: number; socket: WebSocket; closed: Promise<number> }> {
  const socket = new WebSocket(url, ['binary'], { ca: readFileSync(cloud.identity.ca), handshakeTimeout: patienceMs });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  return new Promise((resolve) => {
    socket.once('open', () => resolve({ status: 101, socket, closed }));
    socket.once('unexpected-response', (_request, { statusCode = 0 }) =>
      resolve({ status: statusCode, socket, closed }),
    );
    socket.on('error', () => {});
  });
}

const guestOn = (host: number, id: ServerId) => cloud.hosts[host]!.machine.qemus.guest(id);

test('each console reaches its own server’s guest, on its own host', async () => {
  const placed = await sql<{ id: string; host_id: string }>`select id, host_id from server`.execute(
    cloud.database.query,
  );
  const hostOf = new Map(placed.rows.map((row) => [row.id, row.host_id]));
  for (const [index, id] of servers.entries()) {
    const other = 1 - index;
    assert.equal(hostOf.get(id), cloud.hosts[index]!.id);
    assert.equal(guestOn(other, id), undefined);
    const { status, socket } = await open(await urlOf(id));
    assert.equal(status, 101);
    await until('the guest to be listened to', () => guestOn(index, id)!.serialReaders === 1);
    assert.equal(guestOn(other, servers[other]!)!.serialReaders, 0);
    const heard = new Promise<string>((resolve) => socket.once('message', (data) => resolve(String(data))));
    guestOn(index, id)!.write(`this is host ${index}`);
    assert.equal(await heard, `this is host ${index}`);
    socket.terminate();
    await until('it to be let go', () => guestOn(index, id)!.serialReaders === 0);
  }
});

test('a host that dies takes its own consoles along; those of the other go on and are opened', async () => {
  const [first, second] = await Promise.all(servers.map(async (id) => open(await urlOf(id))));
  const unused = await urlOf(servers[1]!);
  cloud.hosts[1]!.kill();
  assert.equal(await second!.closed, 1001);
  assert.equal((await open(unused)).status, 503);
  const again = await open(await urlOf(servers[0]!));
  assert.equal(again.status, 101);
  // Of a serial console the last who opens it has it: so the first was still the first host's.
  assert.equal(await first!.closed, 1001);
  again.socket.terminate();
  await cloud.hosts[1]!.start();
  await cloud.until('the host to be back', async () => (await cloud.connectedHosts()) === 2);
  const back = await open(await urlOf(servers[1]!));
  assert.equal(back.status, 101);
  back.socket.terminate();
});

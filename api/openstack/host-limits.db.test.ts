/** Whatever the APIs accept can be told to a host: each of their maximums, through them, to the check that hosts make. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { sql } from 'kysely';
import { portLimits, readControlMessage, serverLimits } from '../../contract/host/index.ts';
import { type HostId, newId, type ServerId } from '../../contract/ids.ts';
import type { Caller } from '../../control/kit/caller.ts';
import { openNetwork } from '../../control/network/open.ts';
import { Refusal } from '../boundary/refusal.ts';
import { type ComputeApi, computeApi } from './compute/testing.ts';
import { networkDialect } from './network/index.ts';

let api: ComputeApi;
let network: FastifyInstance;
let hostId: HostId;
let flavor: string;

before(async () => {
  api = await computeApi();
  const { database } = api.db;
  const sha256 = 'ab'.repeat(32);
  await sql`update image set sha256 = ${sha256}`.execute(database.query);
  await sql`update quota set maximum = -1 where project_id is null`.execute(database.query);
  hostId = await api.cloud.addHost({ vcpus: 2 ** 31 - 1, memoryMiB: 2 ** 31 - 1 });
  await sql`update host set disk_gib = ${2 ** 31 - 1}`.execute(database.query);
  flavor = await api.cloud.addFlavor({ id: 'small' });
  network = Fastify();
  const dialect = networkDialect({
    services: openNetwork({ database }),
    authenticator: {
      async authenticate(token) {
        if (token !== 'member') throw new Refusal('unauthenticated', 'The request requires authentication.');
        return api.cloud.member;
      },
    },
    publicUrl: 'https://cloud.test',
  });
  await network.register(dialect.plugin, { prefix: dialect.prefix });
});
after(async () => {
  await network.close();
  await api[Symbol.asyncDispose]();
});

const emoji = (length: number) => '🏔'.repeat(length);

async function compute(
  body: unknown,
  options: { path?: string; caller?: Caller; status?: number; method?: string } = {},
) {
  const { path = '/servers', caller = api.cloud.member, status, method = 'POST' } = options;
  const answer = await api.call(caller, method, path, { body, version: 'latest' });
  assert.equal(answer.status, status ?? 202, JSON.stringify(answer.body).slice(0, 500));
  return answer.body;
}

async function neutron(method: 'POST' | 'PUT', path: string, body: object, status = method === 'POST' ? 201 : 200) {
  const headers = { 'x-auth-token': 'member', 'content-type': 'application/json' };
  const url = `/network/v2.0${path}`;
  const answer = await network.inject({ method, url, headers, payload: JSON.stringify(body) });
  assert.equal(answer.statusCode, status, answer.body.slice(0, 500));
  return answer.json();
}

const wish = (over: object) => ({
  server: { name: 'x', imageRef: api.cloud.imageId, flavorRef: flavor, networks: 'none', ...over },
});

/** The server's document as its host would read it, after the way over the wire. */
async function documentOf(id: ServerId) {
  const { query } = api.db.database;
  await sql`update server set host_id = ${hostId}, epoch = 1 where id = ${id}`.execute(query);
  const servers = await api.cloud.side.desiredServers(query, { serverIds: [id] });
  const snapshot = JSON.stringify({ type: 'snapshot', servers, networks: [], images: [] });
  const { message, unreadable } = readControlMessage(snapshot);
  assert.deepEqual(
    unreadable.map(({ reason }) => reason),
    [],
  );
  assert.ok(message?.type === 'snapshot' && message.servers.length === 1);
  return message.servers[0]!;
}

test('a server with the longest name, host name, key, user data and most metadata reaches its host', async () => {
  const key = `ssh-ed25519 ${Buffer.from(`\0\0\0\vssh-ed25519\0\0\0 ${'k'.repeat(32)}`, 'latin1').toString('base64')} `;
  const public_key = key.padEnd(serverLimits.publicKeyLength, 'c');
  const name = emoji(serverLimits.keyNameLength);
  await compute({ keypair: { name, public_key } }, { path: '/os-keypairs', status: 201 });
  const most = {
    name: emoji(serverLimits.nameLength),
    hostname: 'h'.repeat(serverLimits.hostnameLength),
    key_name: name,
    adminPass: emoji(serverLimits.adminPasswordLength),
    user_data: 'QUJD'.repeat(Math.floor(serverLimits.userDataLength / 4)).padEnd(serverLimits.userDataLength, ' '),
    description: emoji(255),
    config_drive: true,
  };
  const { id } = (await compute(wish(most))).server;
  const pairs = Array.from({ length: serverLimits.metadataItems }, (_, index) => [
    `${index}`.padEnd(5, '-') + emoji(serverLimits.metadataKeyLength - 5),
    emoji(serverLimits.metadataValueLength),
  ]);
  for (let from = 0; from < pairs.length; from += 200) {
    const metadata = Object.fromEntries(pairs.slice(from, from + 200));
    await compute({ metadata }, { path: `/servers/${id}/metadata`, status: 200 });
  }
  const document = await documentOf(id);
  assert.equal(document.name, most.name);
  assert.equal(document.keys[0]!.name, name);
  assert.equal(document.keys[0]!.publicKey, public_key);
  assert.equal(document.userData, most.user_data);
  assert.equal(document.adminPassword, most.adminPass);
  assert.deepEqual(document.metadata, Object.fromEntries(pairs));

  await compute({ metadata: { more: '' } }, { path: `/servers/${id}/metadata`, status: 400 });
  for (const beyond of [
    { name: emoji(serverLimits.nameLength + 1) },
    { hostname: 'h'.repeat(serverLimits.hostnameLength + 1) },
    { key_name: emoji(serverLimits.keyNameLength + 1) },
    { user_data: 'QUJD'.repeat(serverLimits.userDataLength / 4 + 1) },
    { adminPass: emoji(serverLimits.adminPasswordLength + 1) },
    { metadata: { [emoji(serverLimits.metadataKeyLength + 1)]: '' } },
    { metadata: { a: emoji(serverLimits.metadataValueLength + 1) } },
    { networks: Array.from({ length: serverLimits.ports + 1 }, () => ({ uuid: api.cloud.networkId })) },
    { max_count: serverLimits.perRequest + 1 },
  ]) {
    await compute(wish(beyond), { status: 400 });
  }
});

test('servers of one request are named and numbered, each as its host is told', async () => {
  const { id } = (await compute(wish({ name: emoji(serverLimits.nameLength), max_count: 3 }))).server;
  const { rows } = await sql<{ id: ServerId }>`select id from server
    where reservation_id = (select reservation_id from server where id = ${id}) order by launch_index`.execute(
    api.db.database.query,
  );
  const documents = [];
  for (const row of rows) documents.push(await documentOf(row.id));
  assert.deepEqual(
    documents.map(({ launchIndex }) => launchIndex),
    [0, 1, 2],
  );
  assert.ok(documents[2]!.name.endsWith('-3'));
  assert.equal(serverLimits.nameSuffixLength, `-${serverLimits.perRequest}`.length);
});

test('a server with the most interfaces, addresses, name servers and routes reaches its host', async () => {
  const { id: network_id } = (await neutron('POST', '/networks', { network: { name: emoji(255) } })).network;
  const subnet = async (ip_version: 4 | 6, over: object) =>
    (
      await neutron('POST', '/subnets', {
        subnet: {
          ...{ network_id, ip_version, name: emoji(255) },
          dns_nameservers: Array.from({ length: portLimits.dnsNameservers }, (_, n) =>
            ip_version === 4 ? `9.9.9.${n}` : `2001:db8::${n + 1}`,
          ),
          ...over,
        },
      })
    ).subnet.id as string;
  const hostRoutes = (prefix: string, nexthop: string) =>
    Array.from({ length: portLimits.hostRoutes }, (_, n) => ({ destination: prefix.replace('N', String(n)), nexthop }));
  const v4 = await subnet(4, {
    cidr: '10.9.0.0/16',
    host_routes: hostRoutes('192.0.N.0/24', '10.9.0.9'),
    enable_dhcp: false,
  });
  const v6 = await subnet(6, { cidr: 'fd00:9::/64', host_routes: hostRoutes('fd00:N::/64', 'fd00:9::9') });
  const addresses = (count: number) => Array.from({ length: count }, (_, n) => ({ subnet_id: n % 2 ? v4 : v6 }));
  const port = { network_id, name: emoji(255), fixed_ips: addresses(portLimits.fixedIps) };
  const { id: portId } = (await neutron('POST', '/ports', { port })).port;
  const beyond = { fixed_ips: addresses(portLimits.fixedIps + 1) };
  await neutron('POST', '/ports', { port: { ...port, ...beyond } }, 400);
  await neutron('PUT', `/ports/${portId}`, { port: beyond }, 400);
  // Guests take addresses of SLAAC subnets by themselves, so ports have them beyond what was asked for.
  await subnet(6, { cidr: 'fd00:a::/64', ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' });
  const others = Array.from({ length: serverLimits.ports - 1 }, () => ({ uuid: api.cloud.networkId }));
  const { id } = (await compute(wish({ networks: [{ port: portId }, ...others] }))).server;
  const { ports } = await documentOf(id);
  assert.equal(ports.length, serverLimits.ports);
  assert.equal(ports[0]!.fixedIps.length, portLimits.fixedIps + 1);
  const told = ports[0]!.fixedIps.find(({ subnetId }) => subnetId === v4)!;
  assert.deepEqual([told.dhcp, told.hostRoutes!.length], [false, portLimits.hostRoutes]);
});

test('a server of the largest flavor reaches its host', async () => {
  const { vcpus, memoryMiB: ram, diskGiB: disk } = serverLimits;
  const largest = { name: emoji(255), vcpus, ram, disk, id: 'largest' };
  const caller = api.cloud.admin;
  await compute({ flavor: largest }, { path: '/flavors', caller, status: 200 });
  for (const beyond of [{ vcpus: vcpus + 1 }, { ram: ram + 1 }, { disk: disk + 1 }]) {
    await compute({ flavor: { ...largest, id: newId(), ...beyond } }, { path: '/flavors', caller, status: 400 });
  }
  const { id } = (await compute(wish({ flavorRef: 'largest' }))).server;
  const document = await documentOf(id);
  assert.deepEqual([document.vcpus, document.memoryMiB, document.diskGiB], [vcpus, ram, disk]);
});

/** Servers go where their networks are: to hosts that reach the physical network of each of their ports. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { NetworkService } from '../../network/network/service.ts';
import { SubnetService } from '../../network/subnet/service.ts';
import * as actions from './actions/index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;
/** The emptiest host is the one without a physical network. */
let hosts: Record<'bare' | 'red' | 'both', HostId>;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor();
  const host = async (vcpus: number, networks: string[]) => {
    const id = await cloud.addHost({ vcpus });
    await sql`update host set physical_networks = ${networks}::text[] where id = ${id}`.execute(db.database.query);
    return id;
  };
  hosts = { bare: await host(1000, []), red: await host(100, ['red']), both: await host(10, ['red', 'blue']) };
});
after(() => db[Symbol.asyncDispose]());

let next = 1;
async function port(physical: string | null): Promise<PortId> {
  const tag = next++;
  const provider = {
    provider_network_type: 'vlan',
    provider_physical_network: physical,
    provider_segmentation_id: tag,
  };
  const [network] = await new NetworkService(db).create(cloud.admin, [physical === null ? {} : provider]);
  const subnet = { network_id: network!.id, ip_version: 4 as const, cidr: '10.1.0.0/24' };
  await new SubnetService(db).create(cloud.admin, [subnet]);
  const [made] = await cloud.ports.create(cloud.member, [{ network_id: network!.id }]);
  return made!.id as PortId;
}

const server = (...ports: PortId[]): Promise<ServerId> => cloud.serverWith(flavor, ports);

async function hostOf(id: ServerId): Promise<string | null> {
  const { rows } = await sql<{ host_id: string | null }>`select host_id from server where id = ${id}`.execute(
    db.database.query,
  );
  return rows[0]!.host_id;
}

test('a server goes where all of its physical networks are reached, and anywhere without any', async () => {
  assert.equal(await hostOf(await server(await port(null))), hosts.bare);
  assert.equal(await hostOf(await server(await port('red'))), hosts.red);
  assert.equal(await hostOf(await server(await port('red'), await port('blue'))), hosts.both);
});

test('where no host reaches a network the why-record says so, and a host that comes to reach it takes the next', async () => {
  const blue = () => port('blue');
  await sql`update host set physical_networks = '{red}' where id = ${hosts.both}`.execute(db.database.query);
  // Made while a host still had it: a provider network must be one that a host has.
  await sql`update host set physical_networks = '{blue}' where id = ${hosts.bare}`.execute(db.database.query);
  const [first, second] = [await blue(), await blue()];
  await sql`update host set physical_networks = '{}' where id = ${hosts.bare}`.execute(db.database.query);
  const refused = await server(first);
  assert.equal(await hostOf(refused), null);
  const { rows } = await sql<{ explanation: { message: string; fix: string; refusals: object } }>`
    select explanation from decision where resource_id = ${refused}`.execute(db.database.query);
  assert.deepEqual(rows[0]!.explanation, {
    message: 'every host does not reach one segment of each of the ports’ networks, with addresses left',
    fix: 'use networks that more hosts reach',
    refusals: { network_not_reached: 3 },
  });
  await sql`update host set physical_networks = '{red,blue}' where id = ${hosts.both}`.execute(db.database.query);
  assert.equal(await hostOf(await server(second)), hosts.both);
});

test('an interface on a network that the host does not reach is refused, and nothing is half-made', async () => {
  const id = await server(await port('red'));
  assert.equal(await hostOf(id), hosts.red);
  await cloud.obey(hosts.red);
  const attach = (portId: PortId) =>
    cloud.service.act(cloud.member, id, actions.attachInterface, {
      request: { portId },
      tag: null,
      attached: () => {},
    });
  const [blue, red] = [await port('blue'), await port('red')];
  await assert.rejects(attach(blue), { code: 'invalid', reason: 'attach_network_not_reached' });
  const { rows } = await sql`select from port where id = ${blue} and device_id <> ''`.execute(db.database.query);
  assert.equal(rows.length, 0);
  await attach(red);
});

/** A network of two segments, with subnets of so many free addresses each. */
async function routed(prefix: string, length: number) {
  const tag = next++;
  const provider = (physical: string) => ({
    provider_network_type: 'vlan',
    provider_physical_network: physical,
    provider_segmentation_id: tag,
  });
  const segments = [provider('red'), provider('blue')];
  const [network] = await new NetworkService(db).create(cloud.admin, [{ segments, shared: true }]);
  const { rows } = await sql<{
    id: string;
  }>`select id from segment where network_id = ${network!.id} order by position`.execute(db.database.query);
  const subnets = rows.map(({ id: segment_id }, at) => ({
    ...{ network_id: network!.id, ip_version: 4 as const, segment_id },
    ...{ cidr: `${prefix}.${at}.0/${length}`, enable_dhcp: false },
  }));
  const made = await new SubnetService(db).create(cloud.admin, subnets);
  return { network: network!.id, red: made[0]!.id, blue: made[1]!.id };
}

async function on(networkId: string, fixedIp?: string): Promise<ServerId> {
  const wish = cloud.wish({ flavor, ports: [{ networkId, ...(fixedIp !== undefined && { fixedIp }) }] });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await cloud.controller.reconcile(ids[0]!);
  return ids[0]!;
}

const subnetsOf = async (id: ServerId): Promise<string[]> => {
  const { rows } = await sql<{ subnet: string }>`select i.subnet_id as subnet from server_port v
    join port_ip i on i.port_id = v.port_id where v.server_id = ${id}`.execute(db.database.query);
  return rows.map(({ subnet }) => subnet);
};

test('on a routed network a server has an address of the segment of its host, or goes to the hosts of the address it asks for', async () => {
  await sql`update host set physical_networks = '{blue}' where id = ${hosts.both}`.execute(db.database.query);
  const { network, red, blue } = await routed('10.40', 24);
  const free = await on(network);
  assert.deepEqual([await hostOf(free), await subnetsOf(free)], [hosts.red, [red]], 'the emptiest that reaches one');
  const asked = await on(network, '10.40.1.77');
  assert.deepEqual([await hostOf(asked), await subnetsOf(asked)], [hosts.both, [blue]]);
});

test('a segment whose addresses are all given takes no more servers; the others do, and then nobody', async () => {
  const { network, red, blue } = await routed('10.41', 30);
  const ids = [await on(network), await on(network)];
  assert.deepEqual((await Promise.all(ids.map(subnetsOf))).flat(), [red, blue]);
  const last = await on(network);
  assert.equal(await hostOf(last), null);
  const { rows } = await sql<{ message: string }>`select explanation ->> 'message' as message from decision
    where resource_id = ${last}`.execute(db.database.query);
  assert.match(rows[0]!.message, /with addresses left/);
});

test('many servers that are placed together get as many addresses as there are, and the others are told why', async () => {
  const { network } = await routed('10.42', 29);
  const wish = cloud.wish({ flavor, ports: [{ networkId: network }], minCount: 12, maxCount: 12 });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await Promise.all(ids.map((id) => cloud.controller.reconcile(id)));
  const places = await Promise.all(ids.map(hostOf));
  const given = await Promise.all(ids.map(subnetsOf));
  assert.equal(given.flat().length, 10, 'of each of two subnets five');
  assert.deepEqual(
    places.map((place) => place !== null),
    given.map((subnets) => subnets.length === 1),
  );
});

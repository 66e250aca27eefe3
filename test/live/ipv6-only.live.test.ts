/**
 * Networks without IPv4, whole: real guests get address, default route, resolver and search domain by router advertisement and DHCPv6, find
 * metadata, names of their network, each other across a router and, by its NAT64, who has IPv4 alone. What each finds it says on its serial port, for nobody enters by IPv4.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { ensurePublicGuest } from '../support/guest-image.ts';
import { type LiveCloud, liveCloud, notLive, until } from '../support/live-cloud.ts';
import { Tenant } from '../support/tenant.ts';

/** How guests of a network get their addresses; one network for each. */
const modes = ['slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'] as const;
type Mode = (typeof modes)[number];
const prefix: Record<Mode, string> = {
  slaac: 'fd00:66:1:',
  'dhcpv6-stateless': 'fd00:66:2:',
  'dhcpv6-stateful': 'fd00:66:3:',
};

interface Card {
  networkId: string;
  subnetId: string;
  portId: string;
  mac: string;
  address: string;
  server: string;
}

describe('networks of IPv6 alone', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let tenant: Tenant;
  let routerId: string;
  /** Who has IPv4 alone, with a name, behind another router: a third router, which answers to pings. */
  const door = { name: 'door.huts.example', address: '' };
  const undo: (() => Promise<unknown>)[] = [];
  const cards = {} as Record<Mode, Card>;
  const found = {} as Record<Mode, Promise<Map<string, string>>>;

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.66.0.0/24', cidr6: 'fd00:66::/64' });
      await tenant.allow({ protocol: 'ipv6-icmp', ethertype: 'IPv6' });
      routerId = (await tenant.client.must('GET', 'network', '/v2.0/routers')).routers[0].id;
      await tenant.client.must('PUT', 'network', `/v2.0/routers/${routerId}`, { router: { nat64: true } });
      await makeDoor();
      for (const mode of modes) cards[mode] = await network(mode);
      for (const mode of modes) cards[mode].server = await boot(mode);
      for (const mode of modes) {
        found[mode] = until(`${mode} to say what it found`, () => saidBy(cards[mode].server), 300_000, 1000);
        found[mode].catch(() => {}); // each test says it again
      }
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      for (const { server, portId, networkId, subnetId } of Object.values(cards)) {
        if (server !== '') await tenant.remove(server);
        await tenant.client.call('DELETE', 'network', `/v2.0/ports/${portId}`);
        const path = `/v2.0/routers/${routerId}/remove_router_interface`;
        await tenant.client.call('PUT', 'network', path, { subnet_id: subnetId });
        const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?network_id=${networkId}`);
        for (const port of ports) await tenant.client.call('DELETE', 'network', `/v2.0/ports/${port.id}`);
        await tenant.client.call('DELETE', 'network', `/v2.0/networks/${networkId}`);
      }
      for (const step of undo.reverse()) await step();
      await tenant?.[Symbol.asyncDispose]();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  /** With one subnet behind the router, the guest's port, and a neighbour that has a name and answers nobody. */
  async function network(mode: Mode): Promise<Card> {
    const { client } = tenant;
    const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name: mode } });
    const how = { ip_version: 6, cidr: `${prefix[mode]}:/64`, ipv6_ra_mode: mode, ipv6_address_mode: mode };
    const { subnet } = await client.must('POST', 'network', '/v2.0/subnets', {
      subnet: { network_id: network.id, ...how },
    });
    await client.must('PUT', 'network', `/v2.0/routers/${routerId}/add_router_interface`, { subnet_id: subnet.id });
    const port = async (more: object) =>
      (await client.must('POST', 'network', '/v2.0/ports', { port: { network_id: network.id, ...more } })).port;
    await port({ name: 'neighbour', dns_name: 'neighbour' });
    const { id, mac_address: mac, fixed_ips: fixed } = await port({ security_groups: [tenant.groupId] });
    return { networkId: network.id, subnetId: subnet.id, portId: id, mac, address: fixed[0].ip_address, server: '' };
  }

  async function makeDoor(): Promise<void> {
    const { client } = tenant;
    const make = async (noun: string, body: object) => {
      const made = (await client.must('POST', 'network', `/v2.0/${noun}s`, { [noun]: body }))[noun];
      undo.push(() => client.call('DELETE', 'network', `/v2.0/${noun}s/${made.id}`));
      return made;
    };
    const put = (path: string, body: object) => client.must('PUT', 'network', `/v2.0/routers/${path}`, body);
    const join = async (router: string, how: object) => {
      await put(`${router}/add_router_interface`, how);
      undo.push(() => client.call('PUT', 'network', `/v2.0/routers/${router}/remove_router_interface`, how));
    };
    const network = await make('network', { name: 'four' });
    const subnet = await make('subnet', { network_id: network.id, ip_version: 4, cidr: '10.67.0.0/24' });
    const outer = await make('router', { external_gateway_info: { network_id: tenant.externalId } });
    await join(outer.id, { subnet_id: subnet.id });
    const inner = await make('router', {});
    const port = await make('port', { network_id: network.id });
    await join(inner.id, { port_id: port.id });
    const routes = [{ destination: '0.0.0.0/0', nexthop: subnet.gateway_ip }];
    await put(inner.id, { router: { routes } });
    undo.push(() => put(inner.id, { router: { routes: [] } }));
    const named = { dns_name: 'door', dns_domain: 'huts.example.' };
    const floating = { floating_network_id: tenant.externalId, port_id: port.id, ...named };
    door.address = (await make('floatingip', floating)).floating_ip_address;
  }

  async function boot(mode: Mode): Promise<string> {
    const own = cards[mode].address;
    const others = modes.filter((each) => each !== mode).map((each) => cards[each].address);
    const script = `#!/bin/sh
# While there is something to wait for; what is missing is missing in what is said.
tried() { n=0; until eval "$1" >/run/tried 2>&1 || [ $n -ge 120 ]; do n=$((n + 1)); sleep 1; done; cat /run/tried; }
tried 'ip -6 -o addr show dev eth0 scope global | grep ${own}'
tried 'grep nameserver /etc/resolv.conf'
{
  echo "== addresses"; ip -o addr show dev eth0 scope global
  echo "== routes"; ip -6 route show default
  echo "== resolvers"; cat /etc/resolv.conf
  echo "== metadata"; tried "curl -gsf -m 10 http://[fe80::a9fe:a9fe%25eth0]/openstack/latest/meta_data.json"; echo
  echo "== short"; ping -6 -c 1 -W 1 neighbour 2>&1 | head -n 1
  echo "== whole"; ping -6 -c 1 -W 1 neighbour.openstacklocal 2>&1 | head -n 1
  echo "== door"; tried "ping -6 -c 1 -W 2 ${door.name}"
  echo "== door by address"; tried "ping -6 -c 1 -W 2 fd64:ff9b:1::${door.address}"
  for other in ${others.join(' ')}; do echo "== to $other"; tried "ping -6 -c 1 -W 2 $other"; done
} >/run/said
echo "<said $(gzip </run/said | base64 | tr -d '\\n')>" >/dev/console
`;
    return tenant.create(`six-${mode}`, {
      networks: [{ port: cards[mode].portId }],
      user_data: Buffer.from(script).toString('base64'),
    });
  }

  /** Undefined while the guest has not said everything. */
  async function saidBy(id: string): Promise<Map<string, string> | undefined> {
    const { server } = await tenant.client.must('GET', 'compute', `/servers/${id}`);
    assert.notEqual(server.status, 'ERROR', JSON.stringify(server.fault));
    if (server.status !== 'ACTIVE') return undefined;
    const ask = { 'os-getConsoleOutput': {} };
    const { output } = (await tenant.client.must('POST', 'compute', `/servers/${id}/action`, ask)) as {
      output: string;
    };
    const said = /<said ([A-Za-z0-9+/=]+)>/.exec(output)?.[1];
    if (said === undefined) return undefined;
    const parts = gunzipSync(Buffer.from(said, 'base64')).toString().split(/^== /m).slice(1);
    return new Map(parts.map((part) => [part.split('\n', 1)[0]!, part.slice(part.indexOf('\n') + 1).trim()]));
  }

  for (const mode of modes) {
    test(`${mode}: a guest has its port’s address and no other, a default route, resolver and search domain`, {
      timeout: 330_000,
    }, async () => {
      const said = await found[mode];
      const addresses = [...said.get('addresses')!.matchAll(/ inet6? ([^ /]+)/g)].map((match) => match[1]);
      assert.deepEqual(addresses, [cards[mode].address]);
      assert.match(said.get('routes')!, /^default via fe80::/);
      assert.match(said.get('resolvers')!, /^nameserver fe80::a9fe:a9fe%eth0$/m);
      assert.match(said.get('resolvers')!, /^search openstacklocal$/m);
    });

    test(`${mode}: a guest finds its metadata at fe80::a9fe:a9fe and a neighbour by name`, {
      timeout: 330_000,
    }, async () => {
      const said = await found[mode];
      const metadata = JSON.parse(said.get('metadata')!);
      assert.equal(metadata.uuid, cards[mode].server);
      for (const how of ['short', 'whole'])
        assert.match(said.get(how)!, new RegExp(`^PING neighbour.*\\(${prefix[mode]}`), how);
    });

    test(`${mode}: a guest reaches by name and by address who has IPv4 alone, where its router translates`, {
      timeout: 330_000,
    }, async () => {
      const said = await found[mode];
      assert.match(said.get('door')!, /^PING door\.huts\.example.*\(fd64:ff9b:1::/);
      for (const how of ['door', 'door by address']) assert.match(said.get(how)!, / 0% packet loss/, how);
    });

    test(`${mode}: a guest reaches those of the other networks`, { timeout: 330_000 }, async () => {
      const said = await found[mode];
      for (const other of modes.filter((each) => each !== mode))
        assert.match(said.get(`to ${cards[other].address}`)!, / 0% packet loss/, other);
    });
  }
});

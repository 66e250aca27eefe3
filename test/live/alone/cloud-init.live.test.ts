/**
 * Debian's own cloud-init in Debian's cloud guest, and what it makes of what we tell it: by config drive, by metadata service, and on a
 * network without IPv4, where the config drive comes unasked. The guests boot side by side; what each finds in itself it writes to its serial
 * port. Makes a cloud of its own, for its vendor data is a setting.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { startThrowAwayCloud, type ThrowAwayCloud } from '../../../cli/cloud/throw-away.ts';
import { ensureCloudGuest } from '../../support/cloud-guest.ts';
import { environmentOf, type LiveCloud, notLive, until } from '../../support/live-cloud.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'it needs a cloud with settings of its own' : undefined);

/** What a guest says of itself; see cloud-init-facts.py. */
interface Facts {
  hostname: string;
  source: string;
  /** MAC → its card. */
  cards: Record<string, { mtu: number; addresses: string[]; routes: string[] }>;
  netplan: string;
  userData: string;
  files: Record<string, string>;
  keys: string;
  adminPass: string | null;
  posted: number | null;
  /** Names in /dev/disk/by-id. */
  disks: string[];
  rootGiB: number;
  failed: string[];
  errors: string[];
  uptime: number;
}

interface Card {
  portId: string;
  mac: string;
  addresses: string[];
}

const vendorFile = join(tmpdir(), `bothy-vendor-${process.pid}.json`);
const motd = 'Willkommen in der Hütte 小屋\n';
const posted = 'sealed+with/a=key';

describe('cloud-init of Debian', { skip, concurrency: 1 }, () => {
  let made: ThrowAwayCloud | undefined;
  let cloud: LiveCloud;
  let tenant: Tenant;
  let image: string;
  let flavor: string;
  let volume: string;
  const told: Record<string, unknown>[] = [];
  const guests: Record<string, { id: string; cards: Card[]; script: Buffer; facts: Promise<Facts> }> = {};

  /** The operator's service, as its target `cloud-init` of vendor data. */
  const vendor = createServer(async (request, response) => {
    told.push((await json(request)) as Record<string, unknown>);
    const path = `/etc/of-the-service`;
    response.end(
      JSON.stringify(`#cloud-config\nwrite_files:\n- path: ${path}\n  content: ${told.at(-1)!['instance-id']}\n`),
    );
  });

  before(
    async () => {
      const file = await ensureCloudGuest();
      await once(vendor.listen(0, '127.0.0.1'), 'listening');
      writeFileSync(
        vendorFile,
        JSON.stringify({ 'cloud-init': '#cloud-config\nbootcmd:\n- echo static >/etc/of-the-file\n' }),
      );
      made = await startThrowAwayCloud({
        vendor_data: vendorFile,
        vendor_data_services: `cloud-init@http://127.0.0.1:${(vendor.address() as AddressInfo).port}/`,
      });
      const { data } = made;
      const adminEnvironment = environmentOf(join(data, 'openrc'));
      cloud = { data, adminEnvironment, caFile: join(data, 'ca.pem'), [Symbol.asyncDispose]: async () => {} };
      tenant = await Tenant.create(cloud, { cidr4: '10.61.0.0/24', cidr6: 'fd00:61::/64' });
      await prepare(file);
      volume = await makeVolume();
      const second = { ip_version: 4, cidr: '10.62.0.0/24', enable_dhcp: false, gateway_ip: null };
      const side = await network({
        ...second,
        dns_nameservers: ['10.62.0.53'],
        host_routes: [{ destination: '10.63.0.0/16', nexthop: '10.62.0.9' }],
      });
      const managed = { ipv6_ra_mode: 'dhcpv6-stateful', ipv6_address_mode: 'dhcpv6-stateful' };
      const only6 = await network({ ip_version: 6, cidr: 'fd00:64::/64', ...managed }, { router: true });
      const static6 = await network({ ip_version: 6, cidr: 'fd00:65::/64', enable_dhcp: false });
      const personality = [{ path: '/etc/of-the-personality', contents: Buffer.from(motd).toString('base64') }];
      const more = {
        ...{ config_drive: true, personality, adminPass: 'Pass-Wort 小屋' },
        block_device_mapping_v2: [
          { boot_index: 0, uuid: image, source_type: 'image', destination_type: 'local' },
          { boot_index: -1, uuid: volume, source_type: 'volume', destination_type: 'volume' },
        ],
      };
      await Promise.all([
        boot('drive', [tenant.networkId, side], more),
        boot('metadata', [tenant.networkId, side], { config_drive: false, adminPass: 'Pass-Wort 小屋' }),
        boot('six', [only6, static6], {}),
      ]);
    },
    { timeout: 900_000 },
  );
  after(
    async () => {
      tenant?.abandon();
      vendor.closeAllConnections();
      vendor.close();
      await made?.[Symbol.asyncDispose]();
      rmSync(vendorFile, { force: true });
    },
    { timeout: 300_000 },
  );

  async function prepare(file: string): Promise<void> {
    const admin = await administrator(cloud);
    const made = await admin.must('POST', 'image', '/v2/images', {
      ...{ name: 'debian', visibility: 'public', disk_format: 'qcow2', container_format: 'bare' },
    });
    const type = { 'content-type': 'application/octet-stream' };
    const answer = await admin.call('PUT', 'image', `/v2/images/${made.id}/file`, readFileSync(file), type);
    assert.equal(answer.status, 204, JSON.stringify(answer.body));
    image = made.id;
    const size = { name: 'debian', vcpus: 1, ram: 512, disk: 3 };
    flavor = (await admin.must('POST', 'compute', '/flavors', { flavor: size })).flavor.id;
    admin.close();
  }

  async function makeVolume(): Promise<string> {
    const { client } = tenant;
    const { id } = (await client.must('POST', 'block-storage', '/volumes', { volume: { size: 1 } })).volume;
    const state = async () => (await client.must('GET', 'block-storage', `/volumes/${id}`)).volume.status;
    await until('the volume to be available', async () => (await state()) === 'available', 60_000);
    return id;
  }

  async function network(subnet: object, options: { router?: boolean } = {}): Promise<string> {
    const { client } = tenant;
    const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name: 'beside' } });
    const body = { subnet: { network_id: network.id, ...subnet } };
    const made = (await client.must('POST', 'network', '/v2.0/subnets', body)).subnet;
    if (options.router) {
      const { router } = await client.must('POST', 'network', '/v2.0/routers', { router: { name: 'inside' } });
      await client.must('PUT', 'network', `/v2.0/routers/${router.id}/add_router_interface`, { subnet_id: made.id });
    }
    return network.id;
  }

  async function boot(name: string, networks: string[], more: object): Promise<void> {
    const { client } = tenant;
    const cards = await Promise.all(
      networks.map(async (network_id): Promise<Card> => {
        const wish = { port: { network_id, security_groups: [tenant.groupId] } };
        const { port } = await client.must('POST', 'network', '/v2.0/ports', wish);
        const addresses = port.fixed_ips.map((fixed: { ip_address: string }) => fixed.ip_address);
        return { portId: port.id, mac: port.mac_address, addresses };
      }),
    );
    const expected = cards.flatMap(({ addresses }) => addresses);
    const script = gzipSync(
      readFileSync(join(import.meta.dirname, 'cloud-init-facts.py'), 'utf8')
        .replace("'EXPECTED'", JSON.stringify(expected))
        .replace("'PASSWORD'", name === 'metadata' ? `'${posted}'` : 'None'),
    );
    const { server } = await client.must('POST', 'compute', '/servers', {
      server: {
        ...{ name: `${name} 小屋`, imageRef: image, flavorRef: flavor, key_name: tenant.keyName },
        networks: cards.map(({ portId }) => ({ port: portId })),
        metadata: { of: name },
        user_data: script.toString('base64'),
        ...more,
      },
    });
    const facts = until(`${name} to say what it found`, () => factsOf(server.id), 600_000, 2000);
    facts.catch(() => {}); // each test says it again
    guests[name] = { id: server.id, cards, script, facts };
  }

  /** Undefined while the guest has not said everything. */
  async function factsOf(id: string): Promise<Facts | undefined> {
    const { server } = await tenant.client.must('GET', 'compute', `/servers/${id}`);
    assert.notEqual(server.status, 'ERROR', JSON.stringify(server.fault));
    if (server.status !== 'ACTIVE') return undefined;
    const ask = { 'os-getConsoleOutput': {} };
    const { output } = (await tenant.client.must('POST', 'compute', `/servers/${id}/action`, ask)) as {
      output: string;
    };
    const lines = [...output.matchAll(/<fact (\d+)\/(\d+) ([A-Za-z0-9+/=]*)>/g)];
    const parts = new Map(lines.map(([, index, , part]) => [Number(index), part]));
    if (lines.length === 0 || parts.size < Number(lines[0]![2])) return undefined;
    const text = [...parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    return JSON.parse(Buffer.from(text.join(''), 'base64').toString());
  }

  for (const [name, source] of [
    ['drive', /config-disk/],
    ['metadata', /metadata \(http:\/\/169\.254\.169\.254\)/],
    ['six', /config-disk/],
  ] as const) {
    test(`${name}: host name, user data, key, vendor data and disk are as they were given`, {
      timeout: 600_000,
    }, async (t) => {
      const { id, script, facts } = guests[name]!;
      const found = await facts;
      t.diagnostic(`user data ran ${found.uptime} s after the kernel's start`);
      assert.match(found.source, source);
      assert.equal(found.hostname, name);
      assert.equal(found.userData, createHash('sha256').update(script).digest('hex'));
      assert.match(found.keys, /^ssh-ed25519 /m);
      assert.equal(found.files['/etc/of-the-file'], 'static\n');
      assert.equal(found.files['/etc/of-the-service']?.trim(), id);
      assert.ok(found.rootGiB > 2.5, `the file system is ${found.rootGiB} GiB`);
      assert.deepEqual([found.failed, found.errors], [[], []]);
    });

    test(`${name}: each card has its own addresses, in the order of the request`, { timeout: 600_000 }, async () => {
      const { cards, facts } = guests[name]!;
      const found = await facts;
      assert.deepEqual(
        Object.keys(found.cards),
        cards.map(({ mac }) => mac),
      );
      for (const { mac, addresses } of cards)
        assert.deepEqual(found.cards[mac]!.addresses.sort(), addresses.sort(), mac);
    });
  }

  test('what DHCP does not tell, the guest has from network_data.json', { timeout: 600_000 }, async () => {
    for (const name of ['drive', 'metadata']) {
      const { cards, facts } = guests[name]!;
      const found = await facts;
      const [first, second] = cards.map(({ mac }) => found.cards[mac]!);
      assert.ok(first!.routes.includes('default via 10.61.0.1'), String(first!.routes));
      assert.ok(second!.routes.includes('10.63.0.0/16 via 10.62.0.9'), String(second!.routes));
      assert.ok(!second!.routes.some((route) => route.startsWith('default')), String(second!.routes));
      assert.match(found.netplan, /10\.62\.0\.53/);
      assert.deepEqual([first!.mtu, second!.mtu], [1442, 1442]);
    }
  });

  test('a volume is found by its id', { timeout: 600_000 }, async () => {
    const { disks } = await guests.drive!.facts;
    // virtio-blk tells 20 bytes of a serial number.
    assert.ok(disks.includes(`virtio-${volume.slice(0, 20)}`), String(disks));
  });

  test('files and the administrator’s password are on the config drive, and only there', {
    timeout: 600_000,
  }, async () => {
    const [drive, metadata] = await Promise.all([guests.drive!.facts, guests.metadata!.facts]);
    assert.equal(drive.files['/etc/of-the-personality'], motd);
    assert.equal(drive.adminPass, 'Pass-Wort 小屋');
    assert.equal(metadata.adminPass, null);
  });

  test('a guest posts its password, and its owner reads it', { timeout: 600_000 }, async () => {
    const { id, facts } = guests.metadata!;
    assert.equal((await facts).posted, 200);
    const read = async () => (await tenant.client.must('GET', 'compute', `/servers/${id}/os-server-password`)).password;
    await until('control to have it', async () => (await read()) === posted, 30_000);
  });

  test('its owner enters by the key pair', { timeout: 600_000 }, async () => {
    const { cards, facts } = guests.drive!;
    await facts;
    const wish = { floatingip: { floating_network_id: tenant.externalId, port_id: cards[0]!.portId } };
    const { floatingip } = await tenant.client.must('POST', 'network', '/v2.0/floatingips', wish);
    const guest = { floatingIp: floatingip.floating_ip_address, user: 'debian' };
    const enters = async () => (await tenant.ssh(guest, 'sudo -n id -un', 30_000)).stdout === 'root\n';
    await until('SSH to answer', enters, 120_000, 500);
  });

  test('the operator’s service was told of each server what Nova tells', { timeout: 600_000 }, async () => {
    for (const [name, { id, script, facts }] of Object.entries(guests)) {
      await facts;
      const about = told.filter((each) => each['instance-id'] === id);
      assert.ok(about.length > 0, name);
      assert.deepEqual(
        { ...about[0], 'boot-roles': String(about[0]!['boot-roles']).split(',').includes('member') },
        {
          'project-id': tenant.client.projectId,
          'instance-id': id,
          'image-id': image,
          'user-data': script.toString('base64'),
          hostname: name,
          metadata: { of: name },
          'boot-roles': true,
        },
      );
    }
  });
});

/** Real guests on a real network: who reaches whom, who learns what, and what a tenant can't reach. */
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { ensurePublicGuest } from '../support/guest-image.ts';
import { type LiveCloud, liveCloud, notLive, until } from '../support/live-cloud.ts';
import { type Guest, Tenant } from '../support/tenant.ts';

describe('guests', { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let one: Tenant;
  let other: Tenant;
  let a: Guest;
  let b: Guest;
  let stranger: Guest;
  const userData = Buffer.from('#!/bin/sh\necho "user data ran" > /run/ran\n').toString('base64');

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      one = await Tenant.create(cloud, { cidr4: '10.31.0.0/24', cidr6: 'fd00:31::/64' });
      // The same addresses on purpose: projects don't see each other's networks.
      other = await Tenant.create(cloud, { cidr4: '10.32.0.0/24', cidr6: 'fd00:32::/64' });
      [a, b, stranger] = await Promise.all([
        one.boot('first guest', { config_drive: true, user_data: userData }),
        one.boot('second-guest', { config_drive: false, user_data: userData }),
        other.boot('stranger'),
      ]);
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await one?.[Symbol.asyncDispose]();
      await other?.[Symbol.asyncDispose]();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  const inGuest = async (tenant: Tenant, guest: Guest, command: string) => {
    const result = await tenant.ssh(guest, command);
    assert.equal(result.status, 0, `${command}\n${result.stdout}${result.stderr}`);
    return result.stdout.trim();
  };

  test('a guest with a config drive has its host name, key and user data', async () => {
    assert.equal(await inGuest(one, a, 'hostname'), 'first-guest');
    assert.equal(await inGuest(one, a, 'cat /run/ran'), 'user data ran');
  });

  test('a guest without one has them from the metadata service', async () => {
    assert.equal(await inGuest(one, b, 'hostname'), 'second-guest');
    assert.equal(await inGuest(one, b, 'cat /run/ran'), 'user data ran');
    const metadata = JSON.parse(
      await inGuest(one, b, 'curl -s http://169.254.169.254/openstack/latest/meta_data.json'),
    );
    assert.equal(metadata.uuid, b.id);
    assert.equal(metadata.name, 'second-guest');
  });

  test('a guest can not read another guest’s metadata by pretending to be it', async () => {
    const lie = `-H "X-Forwarded-For: ${a.ipv4}" -H "X-Instance-ID: ${a.id}" -H "X-Bothy-Network: ${other.networkId}"`;
    const metadata = JSON.parse(
      await inGuest(one, b, `curl -s ${lie} http://169.254.169.254/openstack/latest/meta_data.json`),
    );
    assert.equal(metadata.uuid, b.id);
  });

  test('a guest finds another by its host name, and a floating IP of its project by the name that it was given', async () => {
    const { floatingip } = await one.client.must('POST', 'network', '/v2.0/floatingips', {
      floatingip: { floating_network_id: one.externalId, dns_name: 'door', dns_domain: 'huts.example.' },
    });
    const asked = async (name: string) => (await one.ssh(a, `ping -4 -c 1 -W 1 ${name} 2>&1 | head -n 1`)).stdout;
    await until('the guest', async () => (await asked('second-guest')).includes(`(${b.ipv4})`), 30_000);
    const address = `(${floatingip.floating_ip_address})`;
    await until('the floating IP', async () => (await asked('door.huts.example')).includes(address), 30_000);
  });

  test('ping is closed until a rule opens it, and the rule acts within a second', async () => {
    const ping = async () => (await one.ssh(a, `ping -c 1 -W 1 ${b.ipv4}`)).status === 0;
    assert.equal(await ping(), false, 'closed at first');
    const rule = await one.allow({ protocol: 'icmp', ethertype: 'IPv4' });
    await until('ping passes within a second of the rule', ping, 1000 + 1500, 50);
    await one.disallow(rule);
    await until('ping is closed within a second of the rule’s end', async () => !(await ping()), 1000 + 3000, 50);
  });

  test('two guests of one project reach each other by IPv4 and IPv6', async () => {
    await one.allow({ protocol: 'icmp', ethertype: 'IPv4' });
    await one.allow({ protocol: 'ipv6-icmp', ethertype: 'IPv6' });
    await until('IPv4', async () => (await one.ssh(a, `ping -c 1 -W 1 ${b.ipv4}`)).status === 0, 5000);
    await until('IPv6', async () => (await one.ssh(a, `ping -6 -c 1 -W 1 ${b.ipv6}`)).status === 0, 20_000);
  });

  test('guests of two projects do not reach each other', async () => {
    await other.allow({ protocol: 'icmp', ethertype: 'IPv4' });
    await other.allow({ protocol: 'ipv6-icmp', ethertype: 'IPv6' });
    assert.notEqual((await one.ssh(a, `ping -c 2 -W 1 ${stranger.ipv4}`)).status, 0);
    assert.notEqual((await one.ssh(a, `ping -6 -c 2 -W 1 ${stranger.ipv6}`)).status, 0);
  });

  test('a port outside the rules is closed and one inside is open', async () => {
    await one.ssh(
      b,
      "sh -c \"(ncat -lk -p 8080 -c 'echo served' >/dev/null 2>&1 &) ; (ncat -lk -p 8081 -c 'echo served' >/dev/null 2>&1 &)\"",
    );
    await one.allow({ protocol: 'tcp', port_range_min: 8080, port_range_max: 8080, ethertype: 'IPv4' });
    await until(
      'the open port answers',
      async () => (await one.ssh(a, `ncat --recv-only -w 2 ${b.ipv4} 8080`)).stdout === 'served\n',
      10_000,
    );
    assert.equal((await one.ssh(b, 'ncat --recv-only -w 2 127.0.0.1 8081')).stdout, 'served\n');
    const closed = await one.ssh(a, `ncat --recv-only -w 2 ${b.ipv4} 8081`);
    assert.equal(closed.stdout, '');
    assert.match(closed.stderr, /timed out|TIMEOUT/);
  });

  test('a guest reaches neither the host’s addresses nor the control plane', async () => {
    const port = new URL(cloud.adminEnvironment.OS_AUTH_URL!).port || '443';
    const addresses = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter((i) => !i.internal && !i.address.startsWith('fe80:'));
    assert.deepEqual(new Set(addresses.map(({ family }) => family)), new Set(['IPv4', 'IPv6']));
    for (const { address, family } of addresses) {
      const ping = `ping ${family === 'IPv6' ? '-6' : ''} -c 1 -W 1 ${address}`;
      assert.notEqual((await one.ssh(a, ping)).status, 0, ping);
      assert.notEqual(
        (await one.ssh(a, `ncat -w 2 -z ${address} ${port}`)).status,
        0,
        `control plane at ${address}:${port}`,
      );
    }
  });

  test('a guest that changes its address is not heard', async () => {
    const steal = `sudo ip addr add ${b.ipv4.replace(/\.\d+$/, '.77')}/24 dev eth0; ping -c 1 -W 1 -I ${b.ipv4.replace(/\.\d+$/, '.77')} ${b.ipv4}`;
    assert.notEqual((await one.ssh(a, steal)).status, 0);
  });
});

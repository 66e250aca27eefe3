/**
 * Servers go from one machine to another and back, live and cold, by Nova's API: what their guests have in memory and on disk goes along, a TCP session
 * with another guest goes on, and a floating IP finds them. The machines are network namespaces, as in join.live.test.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { askShell, GuestShell } from '../../support/guest-shell.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { notLive, until } from '../../support/live-cloud.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('servers that change machines', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let here: string;
  let there: string;
  let admin: OpenStack;
  let tenant: Tenant;
  let moving: string;
  let address: string;
  let floating: string;

  const serial = (machine: JoinedMachine, id: string) => machine.hostFile('guests', id, 'serial.sock');

  before(
    async () => {
      world = await JoinedMachines.start(2);
      [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      there = second.name;
      admin = await administrator(world.cloud);
      here = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.68.0.0/24', cidr6: 'fd00:68::/64' });
      for (const rule of [{ protocol: 'icmp' }, { protocol: 'tcp', port_range_min: 7777, port_range_max: 7777 }])
        await tenant.allow({ ...rule, ethertype: 'IPv4' });
      moving = await tenant.create('moving');
      await tenant.active(moving, 300_000);
      const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${moving}`);
      address = ports[0].fixed_ips.find((each: { ip_address: string }) => !each.ip_address.includes(':')).ip_address;
      const { floatingip } = await tenant.client.must('POST', 'network', '/v2.0/floatingips', {
        floatingip: { floating_network_id: tenant.externalId, port_id: ports[0].id },
      });
      floating = floatingip.floating_ip_address;
      await world.join(second);
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 180_000 },
  );

  const show = async () => (await admin.must('GET', 'compute', `/servers/${moving}`)).server;
  /** Newer than what the client asks for by itself. */
  async function act(body: object, version = '2.56'): Promise<void> {
    const headers = { 'openstack-api-version': `compute ${version}` };
    const answer = await admin.call('POST', 'compute', `/servers/${moving}/action`, body, headers);
    assert.ok(answer.status < 300, `${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  async function reaches(status: string, host: string): Promise<void> {
    await until(
      `${status} on ${host}`,
      async () => {
        const server = await show();
        if (server.status === 'ERROR') throw new Error(JSON.stringify(server.fault));
        if (server.status === status && server['OS-EXT-SRV-ATTR:host'] === host && !server['OS-EXT-STS:task_state'])
          return true;
        const { migrations } = await admin.must('GET', 'compute', `/os-migrations?instance_uuid=${moving}`);
        const ended = migrations.find((each: { status: string }) => /^(failed|error|cancelled)$/.test(each.status));
        if (ended) {
          const { instanceActions } = await admin.must('GET', 'compute', `/servers/${moving}/os-instance-actions`);
          throw new Error(JSON.stringify([ended, instanceActions[0]]));
        }
        return false;
      },
      300_000,
      300,
    );
  }

  /** How long nobody behind the floating IP took a connection while the work was done, at most, in ms, as one on the first machine sees it. */
  async function silence(work: () => Promise<void>): Promise<number> {
    const asking = first.connecting(floating, 22);
    try {
      await until('the floating IP to answer', async () => asking.answered.length > 5, 60_000);
      await work();
      const before = asking.answered.length;
      await until('the floating IP to answer afterwards', async () => asking.answered.length > before + 20, 60_000);
      return asking.longestMs;
    } finally {
      asking.stop();
    }
  }

  test('a guest goes live, and what runs in it and with it goes on', { timeout: 900_000 }, async (t) => {
    const shell = await GuestShell.open(serial(first, moving));
    await shell.run(
      '(i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.1; done) </dev/null >/dev/null 2>&1 & tail -f /dev/null | nc -l -p 7777 >/tmp/got 2>/dev/null &',
    );
    // The peer is on the other machine.
    await admin.must('PUT', 'compute', '/os-services/disable', { host: here, binary: 'nova-compute' });
    const peer = await tenant.create('peer');
    await tenant.active(peer, 300_000);
    await admin.must('PUT', 'compute', '/os-services/enable', { host: here, binary: 'nova-compute' });
    const other = await GuestShell.open(serial(second, peer));
    await until(
      'the peer to reach it',
      async () => /, 0% packet loss/.test(await other.run(`ping -c 1 ${address}; true`)),
      120_000,
      500,
    );
    await other.run(
      `(i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done) </dev/null 2>/dev/null | nc ${address} 7777 >/dev/null 2>&1 &`,
    );
    await until('the session', async () => Number(await shell.run('wc -l </tmp/got')) > 3, 60_000, 500);
    const counted = Number(await shell.run('cat /tmp/n'));
    shell.close();
    const silentMs = await silence(async () => {
      await act({ 'os-migrateLive': { host: there, block_migration: 'auto' } }, '2.30');
      await reaches('ACTIVE', there);
    });
    t.diagnostic(`the floating IP was silent for ${silentMs} ms`);
    const path = serial(second, moving);
    const n = async () => Number(/^(\d+)$/m.exec(await askShell(path, 'cat /tmp/n'))![1]);
    const lines = async () => Number(/^(\d+)$/m.exec(await askShell(path, 'wc -l </tmp/got'))![1]);
    assert.ok((await n()) > counted, 'it has not begun anew');
    const got = await lines();
    await until('the session to go on', async () => (await lines()) > got + 5, 60_000, 500);
    const whole = await askShell(path, 'awk "NR!=\\$1{bad=1}END{print bad?\\"torn\\":\\"whole\\"}" /tmp/got');
    assert.match(whole, /^whole$/m);
    const { migrations } = await admin.must('GET', 'compute', `/os-migrations?instance_uuid=${moving}`);
    assert.equal(migrations[0].status, 'completed');
    other.close();
    await tenant.remove(peer);
  });

  test('it goes back cold, and waits there to be confirmed; reverted it is where it was', {
    timeout: 900_000,
  }, async () => {
    await askShell(serial(second, moving), 'sudo sh -c "echo kept >/root/kept; sync"');
    await act({ migrate: null });
    await reaches('VERIFY_RESIZE', here);
    await act({ revertResize: null });
    await reaches('ACTIVE', there);
    await act({ migrate: { host: here } });
    await reaches('VERIFY_RESIZE', here);
    const shell = await GuestShell.open(serial(first, moving));
    // By itself: the boot may still say something on the same port.
    await shell.run('grep -qx kept /root/kept');
    shell.close();
    await act({ confirmResize: null });
    await reaches('ACTIVE', here);
    await until(
      'nothing of it to be left there',
      async () => !(await second.must('find', second.data, '-name', `*${moving}*`)),
      60_000,
      500,
    );
  });
});

/**
 * A machine is emptied by `bothy drain` with a running guest and one that is off, and another leaves the cloud by `bothy leave` with both: a TCP session from outside with the guest goes on
 * through it all. The machines are network namespaces, as in join.live.test.ts.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { askShell, GuestShell } from '../../support/guest-shell.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { bothy, notLive, until } from '../../support/live-cloud.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('machines that are emptied', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let here: string;
  let admin: OpenStack;
  let tenant: Tenant;
  let running: string;
  let off: string;
  let session: ChildProcess;

  const serial = (machine: JoinedMachine, id: string) => machine.hostFile('guests', id, 'serial.sock');
  const hostOf = async (id: string): Promise<string> =>
    (await admin.must('GET', 'compute', `/servers/${id}`)).server['OS-EXT-SRV-ATTR:host'];

  before(
    async () => {
      world = await JoinedMachines.start(2);
      [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      here = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.69.0.0/24', cidr6: 'fd00:69::/64' });
      await tenant.allow({ protocol: 'tcp', port_range_min: 7777, port_range_max: 7777, ethertype: 'IPv4' });
      running = await tenant.create('running');
      await tenant.active(running, 400_000);
      off = await tenant.create('off');
      await tenant.active(off, 400_000);
      await tenant.client.must('POST', 'compute', `/servers/${off}/action`, { 'os-stop': null });
      await world.join(second);
    },
    { timeout: 800_000 },
  );
  after(
    async () => {
      session?.kill();
      tenant?.abandon();
      admin?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 180_000 },
  );

  const ask = (machine: JoinedMachine, command: string) => askShell(serial(machine, running), command);
  const got = async (machine: JoinedMachine) => Number(/^(\d+)$/m.exec(await ask(machine, 'wc -l </tmp/got'))![1]);

  /** Every line of the session is there, in order, and more come. */
  async function sessionGoesOn(machine: JoinedMachine): Promise<void> {
    const before = await got(machine);
    await until('the session to go on', async () => (await got(machine)) > before + 5, 120_000, 500);
    assert.match(await ask(machine, 'awk "NR!=\\$1{bad=1}END{print bad?\\"torn\\":\\"whole\\"}" /tmp/got'), /^whole$/m);
  }

  test('bothy drain moves what runs live and what is off cold, and undrain opens the machine again', {
    timeout: 900_000,
  }, async (t) => {
    const shell = await GuestShell.open(serial(first, running));
    await shell.run('tail -f /dev/null | nc -l -p 7777 >/tmp/got 2>/dev/null &');
    const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${running}`);
    const { floatingip } = await tenant.client.must('POST', 'network', '/v2.0/floatingips', {
      floatingip: { floating_network_id: tenant.externalId, port_id: ports[0].id },
    });
    const asking = first.connecting(floatingip.floating_ip_address, 22);
    await until('the floating IP to answer', async () => asking.answered.length > 0, 120_000);
    asking.stop();
    const say = `const s = require('node:net').connect(7777, '${floatingip.floating_ip_address}');
      let n = 0; s.on('connect', () => setInterval(() => s.write(++n + '\\n'), 200)); s.on('close', () => process.exit());`;
    session = spawn('nsenter', [`--net=/run/netns/${first.namespace}`, process.execPath, '-e', say], {
      stdio: 'ignore',
    });
    await until('the session', async () => Number(await shell.run('wc -l </tmp/got')) > 3, 60_000, 500);
    shell.close();
    const began = Date.now();
    const drained = await first.run(bothy, 'drain', here, '--reason', 'new disks', '--data', first.data);
    assert.equal(drained.status, 0, `${drained.stdout}\n${drained.stderr}`);
    t.diagnostic(`two guests left in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    assert.deepEqual([await hostOf(running), await hostOf(off)], [second.name, second.name]);
    await sessionGoesOn(second);
    const { services } = await admin.must('GET', 'compute', `/os-services?host=${here}`);
    assert.deepEqual([services[0].status, services[0].disabled_reason], ['disabled', 'maintenance: new disks']);
    await first.must(bothy, 'undrain', here, '--data', first.data);
    assert.equal((await admin.must('GET', 'compute', `/os-services?host=${here}`)).services[0].status, 'enabled');
  });

  test('bothy leave empties the machine and takes it out of the cloud', { timeout: 900_000 }, async (t) => {
    const began = Date.now();
    const left = await second.run(bothy, 'leave', '--data', second.data);
    assert.equal(left.status, 0, `${left.stdout}\n${left.stderr}`);
    t.diagnostic(`left in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    assert.ok(!existsSync(second.data));
    assert.deepEqual([await hostOf(running), await hostOf(off)], [here, here]);
    await sessionGoesOn(first);
    assert.equal(session.exitCode, null, 'the session was never broken');
    await tenant.client.must('POST', 'compute', `/servers/${off}/action`, { 'os-start': null });
    await tenant.active(off, 300_000);
    assert.equal((await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors.length, 1);
  });
});

/**
 * A machine of two is lost: killed whole, or its host process is frozen while its guest could go on. Its server runs on the other one within 30 s, by evidence, and never on
 * both.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ensurePublicGuest } from '../../support/guest-image.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { bothy, notLive, until } from '../../support/live-cloud.ts';
import type { OpenStack } from '../../support/openstack.ts';
import { administrator, Tenant } from '../../support/tenant.ts';

describe('a machine that is lost', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let admin: OpenStack;
  let tenant: Tenant;
  let server: string;
  let address: string;

  const show = async () => (await admin.must('GET', 'compute', `/servers/${server}`)).server;
  const services = async () => (await admin.must('GET', 'compute', '/os-services')).services;
  const close = async (machine: JoinedMachine, closed: boolean) => {
    const { id } = (await services()).find((each: { host: string }) => each.host === machine.name);
    const headers = { 'openstack-api-version': 'compute 2.53' };
    const { services: known } = (await admin.call('GET', 'compute', '/os-services', undefined, headers)).body;
    const uuid = known.find((each: { host: string }) => each.host === machine.name)?.id ?? id;
    const status = closed ? 'disabled' : 'enabled';
    const answer = await admin.call('PUT', 'compute', `/os-services/${uuid}`, { status }, headers);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
  };
  /** What its owner wants, and its host has said that it keeps to it. */
  async function restartElsewhere(): Promise<void> {
    await tenant.client.native('PUT', `/servers/${server}/evacuation-policy`, {
      evacuation_policy: { restart: 'elsewhere', disk: 'from_image' },
    });
    await until(
      'its host to keep to that',
      async () =>
        (await tenant.client.native('GET', `/operations?resource_id=${server}`)).operations.some(
          (each: { verb: string; state: string }) => each.verb === 'evacuationPolicy' && each.state === 'succeeded',
        ),
      30_000,
    );
  }
  const qemuOf = (machine: JoinedMachine) =>
    machine.processes().find(({ pid, program }) => /qemu-system/.test(program) && commandLine(pid).includes(server))
      ?.pid;
  const commandLine = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  const stands = (pid: number) => /\) T/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  /** In hundredths of a second; of one that has ended: 0. */
  function processorTime(pid: number): number {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      return fields[0] === 'Z' ? 0 : Number(fields[11]) + Number(fields[12]);
    } catch {
      return 0;
    }
  }
  /** Its floating IP, as somebody outside asks for it: there is one behind it who takes connections. */
  const answers = async () => (await first.run('bash', '-c', `exec 3<>/dev/tcp/${address}/22`)).status === 0;

  before(
    async () => {
      world = await JoinedMachines.start(2);
      [first, second] = world.machines as [JoinedMachine, JoinedMachine];
      admin = await administrator(world.cloud);
      first.name = (await admin.must('GET', 'compute', '/os-hypervisors')).hypervisors[0].hypervisor_hostname;
      await ensurePublicGuest(world.cloud);
      tenant = await Tenant.create(world.cloud, { cidr4: '10.69.0.0/24', cidr6: 'fd00:69::/64' });
      await world.join(second);
      await close(first, true);
      server = await tenant.create('survivor');
      await tenant.active(server, 300_000);
      await close(first, false);
      assert.equal((await show())['OS-EXT-SRV-ATTR:host'], second.name);
      const { ports } = await tenant.client.must('GET', 'network', `/v2.0/ports?device_id=${server}`);
      const { floatingip } = await tenant.client.must('POST', 'network', '/v2.0/floatingips', {
        floatingip: { floating_network_id: tenant.externalId, port_id: ports[0].id },
      });
      address = floatingip.floating_ip_address;
      await restartElsewhere();
      await until('its floating IP to answer', answers, 40_000);
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

  async function runsOn(machine: JoinedMachine): Promise<void> {
    await until(
      `it to run on ${machine.name}`,
      async () => {
        const { status, 'OS-EXT-SRV-ATTR:host': host } = await show();
        return status === 'ACTIVE' && host === machine.name;
      },
      120_000,
      200,
    );
  }

  test('its server runs on the other within 30 s of the loss, and answers', { timeout: 300_000 }, async (t) => {
    const began = performance.now();
    second.signal('SIGKILL');
    await runsOn(first);
    const seconds = (performance.now() - began) / 1000;
    t.diagnostic(`ACTIVE ${seconds.toFixed(1)} s after the kill`);
    assert.ok(seconds < 30, `${seconds} s`);
    await until('its floating IP to answer', answers, 60_000);
    t.diagnostic(`answers ${((performance.now() - began) / 1000).toFixed(1)} s after the kill`);
  });

  test('the machine that comes back has nothing of it any more', { timeout: 300_000 }, async () => {
    await second.must(bothy, 'up', '--detach', '--data', second.data);
    await until('its disk to be gone', async () => !existsSync(second.hostFile('guests', server)), 120_000);
    assert.equal(qemuOf(second), undefined);
    assert.ok(qemuOf(first));
  });

  test('a host process that is frozen does not keep its guest from standing still, and woken up it never lets it go on', {
    timeout: 400_000,
  }, async (t) => {
    await close(first, true);
    await admin.must('POST', 'compute', `/servers/${server}/action`, { forceDelete: {} }).catch(() => {});
    await tenant.client.call('DELETE', 'compute', `/servers/${server}`);
    server = await tenant.create('frozen');
    await tenant.active(server, 300_000);
    await close(first, false);
    await restartElsewhere();
    const qemu = qemuOf(second)!;
    const isHost = ({ pid, program }: { pid: number; program: string }) =>
      /node$/.test(program) && !commandLine(pid).includes('watchdog');
    const began = performance.now();
    second.signal('SIGSTOP', isHost);
    let stoodAt = 0;
    try {
      await until('the guest to stand still', async () => stands(qemu), 60_000, 100);
      stoodAt = performance.now();
      await runsOn(first);
    } finally {
      second.signal('SIGCONT', isHost);
    }
    t.diagnostic(
      `stood still after ${((stoodAt - began) / 1000).toFixed(1)} s, ran elsewhere after ${((performance.now() - began) / 1000).toFixed(1)} s`,
    );
    let used = processorTime(qemu);
    const stood = used;
    await until(
      'the first guest to end',
      async () => {
        const now = existsSync(`/proc/${qemu}`) ? processorTime(qemu) : 0;
        used = Math.max(used, now);
        return now === 0;
      },
      60_000,
      20,
    );
    // What its end takes, and no more.
    assert.ok(used - stood < 20, `it went on for ${used - stood} hundredths of a second`);
    assert.ok(qemuOf(first));
  });
});

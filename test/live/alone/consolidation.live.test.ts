/**
 * Three machines, of which the cloud moves a real guest by itself while it writes and talks: off the one that is much fuller, and off the one that nobody needs, which is then shut down by its BMC (a fake on the wire, whose
 * power is that machine's processes), and turned on again for a server that finds no host. Nothing is taken back.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/settings.ts';
import { FakeBmc } from '../../../simulator/redfish/index.ts';
import { testAuthority } from '../../support/certificates.ts';
import { type JoinedMachine, JoinedMachines } from '../../support/joined-machines.ts';
import { bothy, notLive, until } from '../../support/live-cloud.ts';
import { TravellingGuest } from '../../support/travelling-guest.ts';

/** Of the flavor that all servers have. */
const serverMiB = 192;
const credentials = { user: 'bothy', password: 'a Пароль' };

describe('hosts that are made even, and sleep while nobody needs them', { skip: notLive, concurrency: 1 }, () => {
  let world: JoinedMachines;
  let first: JoinedMachine;
  let second: JoinedMachine;
  let third: JoinedMachine;
  let guest: TravellingGuest;
  let bmc: FakeBmc | undefined;
  /** Of the machine with the BMC, when it was asked to shut down: its gateways, and its guests. */
  let asked: { gateways: number; guests: number } | undefined;

  const consolidation = async () => (await guest.admin.native('GET', '/consolidation')).consolidation;
  const rebalance = async () => (await guest.admin.native('GET', '/rebalance')).rebalance;
  /** For whoever reads that a test failed. */
  const told = async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify([await consolidation(), await rebalance()])}`, {
      cause: error,
    });
  };
  const guestsOn = (machine: JoinedMachine) =>
    machine.processes().filter(({ program }) => /qemu-system/.test(program)).length;

  /** Gateways of routers that OVN has on a machine. */
  async function gatewaysOn(machine: JoinedMachine): Promise<number> {
    const ask = async (...args: string[]) => {
      const socket = `unix:${cloudPaths(first.data).run}/ovn/sb.sock`;
      return (await first.must('ovn-sbctl', `--db=${socket}`, '--bare', ...args)).split('\n').filter(Boolean);
    };
    const { hostId } = JSON.parse(readFileSync(join(machine.data, 'cloud.json'), 'utf8'));
    const [chassis] = await ask('--columns=_uuid', 'find', 'Chassis', `name=${hostId}`);
    const carried = await ask('--columns=chassis', 'find', 'Port_Binding', 'type=chassisredirect');
    return chassis === undefined ? 0 : carried.filter((one) => one === chassis).length;
  }

  /** Each machine has room for four servers. */
  async function makeSmall(): Promise<void> {
    const { resource_providers: providers } = await guest.admin.must('GET', 'placement', '/resource_providers');
    for (const { uuid } of providers) {
      const path = `/resource_providers/${uuid}/inventories`;
      const { inventories, resource_provider_generation } = await guest.admin.must('GET', 'placement', path);
      inventories.MEMORY_MB.reserved = inventories.MEMORY_MB.total - 4 * serverMiB;
      await guest.admin.must('PUT', 'placement', path, { inventories, resource_provider_generation });
    }
  }

  before(
    async () => {
      const settings = {
        ...{ rebalance: 'do', rebalance_after: '10', consolidate: 'do', consolidate_after: '10', image_copies: '3' },
      };
      world = await JoinedMachines.start(3, async () => settings, { external: true });
      [first, second, third] = world.machines as [JoinedMachine, JoinedMachine, JoinedMachine];
      for (const machine of [second, third]) await world.join(machine);
      guest = await TravellingGuest.begin(world, { at: third, peerAt: first, apart: true });
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await guest?.[Symbol.asyncDispose]();
      await bmc?.close();
      await world?.[Symbol.asyncDispose]();
    },
    { timeout: 240_000 },
  );

  test('a host that is much fuller gives a running guest to the emptiest, and none comes back', {
    timeout: 300_000,
  }, async (t) => {
    await guest.on(third, 'neighbour');
    const began = performance.now();
    await makeSmall();
    await until('a move to be proposed', async () => (await rebalance()).moves[0], 30_000).catch(told);
    await until('the guest to be there', async () => (await guest.settled()) === second, 120_000, 500).catch(told);
    t.diagnostic(`on the emptiest ${((performance.now() - began) / 1000).toFixed(1)} s after it was too full`);
    const { moves, before: furthest } = await rebalance();
    assert.deepEqual(moves, []);
    assert.ok(furthest.above < 0.1, JSON.stringify(furthest));
    t.diagnostic(`${await guest.assertWhole()} lines written, each with its checksum`);
  });

  test('a machine that nobody needs is emptied live, left by gateways, and shut down in order by its BMC', {
    timeout: 300_000,
  }, async (t) => {
    const { client, externalId } = guest.tenant;
    let routers = 1;
    await until(
      'a gateway on it',
      async () => {
        if ((await gatewaysOn(second)) > 0) return true;
        if (routers++ > 20) return false;
        const router = { name: `router ${routers}`, external_gateway_info: { network_id: externalId } };
        await client.must('POST', 'network', '/v2.0/routers', { router });
        return false;
      },
      60_000,
      500,
    );
    await giveBmc(second);
    const began = performance.now();
    await until(
      'it to be in standby',
      async () => (await consolidation()).standby[0]?.state === 'standby',
      180_000,
      500,
    ).catch(told);
    t.diagnostic(`in standby ${((performance.now() - began) / 1000).toFixed(1)} s after it had a BMC`);
    assert.deepEqual(bmc!.resets, ['GracefulShutdown']);
    assert.deepEqual(asked, { gateways: 0, guests: 0 });
    assert.deepEqual(second.processes(), []);
    assert.equal(await guest.settled(), third);
    t.diagnostic(`${await guest.assertWhole()} lines written, each with its checksum`);
  });

  test('a server that finds no host waits for it to be turned on, and runs there', { timeout: 300_000 }, async (t) => {
    const began = performance.now();
    const late = await guest.tenant.create('late', {}, guest.group);
    await guest.tenant.active(late, 180_000).catch(told);
    t.diagnostic(`ACTIVE ${((performance.now() - began) / 1000).toFixed(1)} s after it was asked for`);
    const { server } = await guest.admin.must('GET', 'compute', `/servers/${late}`);
    assert.equal(server['OS-EXT-SRV-ATTR:host'], second.name);
    assert.deepEqual(bmc!.resets, ['GracefulShutdown', 'On']);
    assert.equal(guestsOn(second), 1);
    const { standby, stays } = await consolidation();
    assert.deepEqual(standby, []);
    assert.match(
      stays.find(({ host }: { host: string }) => host === second.name).why,
      /came_lately|no_host_for_a_server/,
    );
  });

  test('each move of the guest was one of these two', async () => {
    const { migrations } = await guest.admin.must('GET', 'compute', `/os-migrations?instance_uuid=${guest.id}`);
    type Migration = { id: number; source_compute: string; dest_compute: string; status: string };
    const inOrder = migrations.toSorted((a: Migration, b: Migration) => a.id - b.id);
    assert.deepEqual(
      inOrder.map(({ source_compute, dest_compute, status }: Migration) => [source_compute, dest_compute, status]),
      [
        [third.name, second.name, 'completed'],
        [second.name, third.name, 'completed'],
      ],
    );
    assert.equal(await guest.settled(), third);
    await guest.assertWhole();
  });

  /** Its power is the machine's processes. All machines here have one UUID, so an administrator says whose it is. */
  async function giveBmc(machine: JoinedMachine): Promise<void> {
    const address = '10.8.0.254';
    const tls = await (await testAuthority()).issue('bmc', [address]);
    bmc = new FakeBmc({
      ...{ tls, ...credentials },
      async shutDown() {
        asked = { gateways: await gatewaysOn(machine), guests: guestsOn(machine) };
        await machine.must(bothy, 'down', '--data', machine.data);
      },
      onPower(on) {
        if (on) void machine.must(bothy, 'up', '--detach', '--data', machine.data);
        else machine.signal('SIGKILL');
      },
    });
    const url = await bmc.listen(address);
    const ca = join(world.cloud.data, '..', 'bmc.pem');
    writeFileSync(ca, tls.ca);
    const said = join(world.cloud.data, '..', 'bmc-password');
    writeFileSync(said, credentials.password);
    const steer = (...args: string[]) =>
      first.must(bothy, 'bmc', args[0]!, machine.name, ...args.slice(1), '--data', first.data);
    await steer('set', '--url', url, '--user', credentials.user, '--password-file', said, '--ca', ca);
    assert.match(await steer('test'), /power\s+on/);
    await steer('accept');
  }
});

/** The network of one machine with real OVN, Open vSwitch, nft and HAProxy, in a network namespace of its own. Needs root. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DesiredNetwork } from '../../contract/host/index.ts';
import { type NetworkId, newId, type PortId } from '../../contract/ids.ts';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { findEngine, stopEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { MetadataService } from '../../host/metadata/index.ts';
import { getKernel } from '../../host/network/command.ts';
import {
  type HostNetwork,
  metadataPaths,
  proxyEngine,
  purgeHostNetwork,
  resolverEngines,
} from '../../host/network/index.ts';
import { stopResolvers } from '../../host/network/resolver.ts';
import { floatingIp, serverOn, writeNorthbound } from './host-northbound.ts';
import { missing, TestMachine } from './live-machine.ts';

const skip = await missing();
describe('the network of a machine', { skip: skip ?? false, timeout: 240_000 }, () => {
  const network: DesiredNetwork = {
    id: newId<NetworkId>(),
    mtu: 1442,
    metadataPort: { id: newId<PortId>(), mac: 'fa:16:3e:00:01:02', ips: ['10.1.0.2/24'] },
    names: {
      domain: 'openstacklocal',
      hosts: [
        { name: 'a.openstacklocal', ips: ['10.1.0.11', 'fd00:1::11'] },
        { name: 'b.openstacklocal', ips: ['10.1.0.12'] },
      ],
    },
  };
  /** Somebody else's, with a router to the first; one of its guests has an address of the first network. */
  const foreign: DesiredNetwork = {
    ...network,
    id: newId<NetworkId>(),
    metadataPort: { id: newId<PortId>(), mac: 'fa:16:3e:00:02:02', ips: ['10.2.0.2/24', '10.1.0.3/24'] },
  };
  const server = serverOn(network.id, '11');
  const other = serverOn(network.id, '12');
  const port = server.ports[0]!;
  let machine: TestMachine;
  let driver: HostNetwork;
  let metadata: MetadataService;
  let guest: string;

  before(async () => {
    machine = new TestMachine();
    await machine.start();
    driver = machine.driver();
    await driver.start();
    metadata = new MetadataService({ socket: metadataPaths(machine.runDirectory).socket, proxyUser: 'nobody' });
    await metadata.start();
    metadata.update([server, other, serverOn(foreign.id, '11')]);
    await writeNorthbound(machine, network, [server, other], foreign);
  });

  after(async () => {
    await metadata?.stop();
    await driver?.stop();
    await machine?.remove();
  });

  test('the machine is prepared, and preparing it again changes nothing', async () => {
    const external = driver.names.externalBridge;
    // The kernel is still asking whether it is alone with its link-local address where the machine is quick.
    const seen = async () =>
      (await machine.run('ip', ['addr', 'show', 'dev', external])).replace(/valid_lft.*|tentative /g, '');
    const first = await seen();
    assert.match(first, /172\.24\.4\.1\/24/);
    assert.match(first, /fd0b:724::1\/64/);
    await driver.prepareMachine();
    assert.equal(await seen(), first);
  });

  const offered = async () => {
    const database = `--db=unix:${hostSockets(machine.runDirectory).ovsdb}`;
    const datapaths = await machine.run('ovs-vsctl', [
      database,
      '--bare',
      '--columns=capabilities',
      'list',
      'Datapath',
    ]);
    assert.match(datapaths, /ct_zero_snat=/);
    return datapaths.includes('ct_zero_snat=true');
  };

  test('what OVN must not use of the userspace datapath is not offered to it', async () => {
    await waitUntil('it to be withdrawn', async () => !(await offered()), { timeoutMs: 5000 });
  });

  test('a port is plugged, and plugging it again is the same port', async () => {
    const plugged = await driver.ensurePort(port);
    assert.deepEqual(await driver.ensurePort(port), plugged);
    assert.equal(plugged.vnetHeader, driver.datapath.type === 'system');
    assert.deepEqual(await driver.listPorts(), [
      { id: port.id, tap: plugged.tap, linkExists: true, plugged: true, error: null },
    ]);
    guest = await machine.guest('a', plugged.tap, port, ['169.254.169.254 via 10.1.0.2', 'default via 10.1.0.1']);
  });

  test('a guest gets its metadata by IPv4 and IPv6', async () => {
    await driver.ensureNetworks([network]);
    const seen = await metadataOf('169.254.169.254');
    assert.equal(seen.uuid, server.id);
    assert.equal(seen.name, server.name);
    assert.equal((await metadataOf('fe80::a9fe:a9fe%eth0')).uuid, server.id);
  });

  test('names are answered where the guest finds its metadata, by IPv4 and IPv6', async () => {
    const script = join(import.meta.dirname, 'ask-name.ts');
    for (const at of ['10.1.0.2', '169.254.169.254', 'fe80::a9fe:a9fe%eth0']) {
      const asked = async () => machine.run(process.execPath, [script, 'udp', at, 'b.openstacklocal', 'A'], guest);
      await waitUntil(`an answer of ${at}`, async () => (await asked()).includes('A 10.1.0.12'), { timeoutMs: 20_000 });
    }
  });

  test('what OVN marked as a guest’s own router advertisement is spoiled before another guest gets it', async () => {
    const rules = await machine.run('nft', ['list', 'ruleset']);
    assert.match(
      rules,
      new RegExp(`chain e_${driver.names.tap(port.id)} {[^}]*dscp 0x3f icmpv6 type nd-router-advert`),
    );
  });

  test('headers that a guest sends do not make it another guest', async () => {
    const headers = { 'X-Forwarded-For': ['10.1.0.12', '10.1.0.12'], 'X-Bothy-Network': newId() };
    assert.equal((await metadataOf('169.254.169.254', headers)).uuid, server.id);
  });

  test('metadata and names of another network answer nobody who comes by a router, its own address on that network or not', async () => {
    await driver.ensureNetworks([network, foreign]);
    const within = driver.names.namespace(foreign.id);
    const arrived = async () => {
      const tcp = (await machine.run('cat', ['/proc/net/snmp'], within))
        .split('\n')
        .filter((line) => /^Tcp:/.test(line));
      return Number(tcp[1]!.split(' ')[tcp[0]!.split(' ').indexOf('InSegs')]);
    };
    await machine.run('ip', ['route', 'replace', '169.254.169.254', 'via', '10.1.0.1'], guest);
    const before = await arrived();
    await waitUntil(
      'a question to arrive there',
      async () => {
        assert.equal(await machine.connects('169.254.169.254', 80, guest), false);
        return (await arrived()) > before;
      },
      { timeoutMs: 20_000 },
    );
    assert.equal(await machine.connects('10.2.0.2', 53, guest), false);
    await machine.run('ip', ['route', 'replace', '169.254.169.254', 'via', '10.1.0.2'], guest);
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
    await driver.ensureNetworks([network]);
  });

  test('a network whose resolver is down carries everything but names, which are answered again by the next one', async () => {
    const asked = () =>
      machine.run(
        process.execPath,
        [join(import.meta.dirname, 'ask-name.ts'), 'udp', '10.1.0.2', 'b.openstacklocal', 'A'],
        guest,
      );
    const named = async () => (await asked()).includes('A 10.1.0.12');
    await machine.listen(8081, guest);
    await stopResolvers(machine.runDirectory);
    assert.equal(await named(), false);
    assert.equal(await machine.connects(floatingIp, 8081), true);
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
    await driver.ensureNetworks([network], { thorough: true });
    await waitUntil('names', named, { timeoutMs: 20_000 });
  });

  test('the machine reaches the guest by its floating IP; the guest reaches no address of the machine', async () => {
    await machine.listen(8080);
    await machine.listen(8080, guest);
    await waitUntil('the floating IP', () => machine.connects(floatingIp, 8080), { timeoutMs: 10_000 });
    for (const address of ['172.24.4.1', '10.99.0.1', '10.1.0.2', '169.254.169.254']) {
      assert.equal(await machine.connects(address, 8080, guest), false, `TCP to ${address}`);
    }
  });

  test('the kernel hears nothing from a tap', async () => {
    // The tap's own link-local address and the machine's address, asked for directly on the guest's link.
    const tap = driver.names.tap(port.id);
    assert.doesNotMatch(await machine.run('ip', ['addr', 'show', 'dev', tap]), /inet6/);
    await machine.run('ip', ['neigh', 'flush', 'dev', 'eth0'], guest);
    await machine.run('ip', ['addr', 'add', '10.99.0.77/24', 'dev', 'eth0'], guest);
    await machine.connects('10.99.0.1', 8080, guest);
    assert.doesNotMatch(await machine.run('ip', ['neigh', 'show', '10.99.0.1'], guest), /lladdr/);
    await machine.run('ip', ['addr', 'del', '10.99.0.77/24', 'dev', 'eth0'], guest);
  });

  test('after ovs-vswitchd and ovn-controller were killed and started, everything works again by itself', async () => {
    const names = ['ovs-vswitchd', 'ovn-controller'];
    for (const name of names) process.kill(findEngine(machine.engine(name))!, 'SIGKILL');
    await waitUntil('their end', () => names.every((name) => !findEngine(machine.engine(name))), { timeoutMs: 5000 });
    const start = performance.now();
    for (const name of names) await machine.startEngine(name);
    await waitUntil('the floating IP', () => machine.connects(floatingIp, 8080), { timeoutMs: 15_000 });
    console.log(`# floating IP answered ${Math.round(performance.now() - start)} ms after the restart`);
    await waitUntil('what it offers anew to be withdrawn', async () => !(await offered()), { timeoutMs: 5000 });
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
    assert.equal(await machine.connects('172.24.4.1', 8080, guest), false);
  });

  test('a port that is to be plugged while the switch or its database is frozen fails soon, and is plugged when that goes on', async () => {
    const late = serverOn(network.id, '13').ports[0]!;
    const plug = () =>
      driver.ensurePort(late).then(
        () => true,
        () => false,
      );
    for (const name of ['ovs-database', 'ovs-vswitchd']) {
      const pid = findEngine(machine.engine(name))!;
      process.kill(pid, 'SIGSTOP');
      try {
        assert.equal(await plug(), false, name);
        assert.ok(
          (await driver.portCounters()).some(({ portId }) => portId === port.id),
          'the kernel counts on',
        );
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await waitUntil('the port to be plugged', plug, { timeoutMs: 30_000 });
      await waitUntil('the floating IP', () => machine.connects(floatingIp, 8080), { timeoutMs: 15_000 });
      await driver.removePort(late.id);
    }
    assert.deepEqual(
      (await driver.listPorts()).map(({ id }) => id),
      [port.id],
    );
  });

  test('a host process that starts anew finds what is there', async () => {
    await driver.stop();
    driver = machine.driver();
    await driver.start();
    assert.deepEqual(
      (await driver.listPorts()).map(({ id, plugged }) => ({ id, plugged })),
      [{ id: port.id, plugged: true }],
    );
    await driver.ensureNetworks([network]);
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
  });

  test('a guest that connects while HAProxy is dead is not refused, and is answered by the next one', async () => {
    await stopEngine(proxyEngine(machine));
    const asking = machine.get('169.254.169.254', '/openstack/latest/meta_data.json', guest);
    await driver.ensureNetworks([network], { thorough: true });
    assert.equal((await asking).status, 200);
  });

  test('a namespace that somebody deleted is made anew, and HAProxy listens in the new one', async () => {
    await machine.run('ip', ['netns', 'del', driver.names.namespace(network.id)]);
    // HAProxy may hold the namespace, and with it the veth, for as long as it likes: the driver copes.
    await driver.ensureNetworks([network], { thorough: true });
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
  });

  test('a second network is added without an interruption of the first, and removed again', async () => {
    const engine = proxyEngine(machine);
    const proxy = findEngine(engine);
    const second = {
      ...network,
      id: newId<NetworkId>(),
      metadataPort: { ...network.metadataPort, id: newId<PortId>() },
    };
    await driver.ensureNetworks([network, second]);
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
    assert.equal(findEngine(engine), proxy, 'the same master');
    await driver.ensureNetworks([network]);
    assert.equal((await metadataOf('169.254.169.254')).uuid, server.id);
    assert.equal((await machine.leftovers()).includes(driver.names.namespace(second.id)), false);
  });

  test('a tap that somebody deleted is made anew', async () => {
    const tap = driver.names.tap(port.id);
    await machine.run('ip', ['link', 'del', tap]);
    assert.deepEqual(
      (await driver.listPorts()).map(({ linkExists }) => linkExists),
      [false],
    );
    await driver.ensurePort(port);
    assert.deepEqual(await driver.listPorts(), [{ id: port.id, tap, linkExists: true, plugged: true, error: null }]);
  });

  test('a port is removed, any number of times; without networks there is no HAProxy', async () => {
    await driver.removePort(port.id);
    await driver.removePort(port.id);
    assert.deepEqual(await driver.listPorts(), []);
    await driver.ensureNetworks([]);
    assert.equal(findEngine(proxyEngine(machine)), undefined);
    assert.deepEqual(resolverEngines(machine.runDirectory), []);
    assert.deepEqual(
      (await machine.leftovers()).filter((name) => /^....[tmv][0-9a-f]{9}$/.test(name)),
      [],
    );
  });

  test('with uplink nat a guest reaches what is behind the machine, but not its neighbours; a purge turns it off', async () => {
    const plugged = await driver.ensurePort(port);
    await machine.removeGuest(guest);
    guest = await machine.guest('b', plugged.tap, port, ['default via 10.1.0.1']);
    const outside = await machine.outside('192.0.2.1/24', '192.0.2.2/24', '198.51.100.1');
    await machine.listen(80, outside);
    assert.equal(await machine.connects('198.51.100.1', 80, guest), false, 'no way out without uplink');
    await driver.stop();
    Object.assign(machine.options, { uplink: 'nat' });
    driver = machine.driver();
    await driver.start();
    const forwarding = () => getKernel('net/ipv4/ip_forward', { netns: machine.netns });
    assert.equal(await forwarding(), '1');
    await waitUntil('the way out', () => machine.connects('198.51.100.1', 80, guest), { timeoutMs: 10_000 });
    assert.equal(await machine.connects('192.0.2.2', 80, guest), false, 'a neighbour of the machine');
    assert.equal(await machine.connects('172.24.4.1', 8080, guest), false, 'the machine');
    await driver.prepareMachine();
    const { tag, runDirectory, netns } = machine;
    // A host that sees its bridges go makes the machine ready again, at once: what a purge leaves is seen without one.
    await driver.stop();
    await purgeHostNetwork({ tag, runDirectory, netns });
    assert.equal(await forwarding(), machine.forwardingAtStart);
    await machine.startEngine('ovn-controller');
    driver = machine.driver();
    await driver.start();
    await purgeHostNetwork({ tag, runDirectory, netns });
    await machine.startEngine('ovn-controller');
    // It hears of the purge in its own time, and until then takes bridges that are gone for its own; a host looks again by itself.
    await waitUntil('the driver to hear of it', async () => (await driver.listPorts()).length === 0, {
      timeoutMs: 10_000,
    });
    await driver.prepareMachine();
  });

  test('a purge finds what a crash left over, and leaves nothing', async () => {
    await driver.ensurePort(port);
    await driver.ensureNetworks([network]);
    await driver.stop();
    await machine.run('ip', ['tuntap', 'add', 'dev', `${machine.tag}t012345678`, 'mode', 'tap']);
    assert.notDeepEqual(await machine.leftovers(), []);
    const { tag, runDirectory, netns } = machine;
    await purgeHostNetwork({ tag, runDirectory, netns });
    assert.deepEqual(await machine.leftovers(), []);
    await purgeHostNetwork({ tag, runDirectory, netns });
  });

  async function metadataOf(host: string, headers: Record<string, string | string[]> = {}) {
    let answer = { status: 0, body: '' };
    const answered = async () => {
      answer = await machine.get(host, '/openstack/latest/meta_data.json', guest, headers);
      return true;
    };
    await waitUntil(`metadata at ${host}`, answered, { timeoutMs: 10_000 });
    assert.equal(answer.status, 200);
    return JSON.parse(answer.body);
  }
});

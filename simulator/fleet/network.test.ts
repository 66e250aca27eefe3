/** The real network driver over a simulated kernel and switch. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostId, newId, type PortId } from '../../contract/ids.ts';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { exampleNetwork, exampleServer } from '../../host/metadata/testing.ts';
import { HostNetwork } from '../../host/network/index.ts';
import { patienceMs } from '../../test/support/until.ts';
import { FakeSwitch } from './switch.ts';

async function networkWorld(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bn-'));
  const { ovsdb } = hostSockets(directory);
  mkdirSync(dirname(ovsdb), { recursive: true });
  const fake = new FakeSwitch();
  await fake.listen(ovsdb);
  const commands = fake.kernel.commands();
  const network = new HostNetwork({
    ...{ tag: 'sim', hostId: newId<HostId>(), hostname: 'h', runDirectory: directory, logDirectory: directory },
    ...{ southbound: 'unix:/nowhere', guestUser: 'guest', proxyUser: 'proxy', datapath: 'netdev', uplink: 'none' },
    encapsulation: { ip: '127.0.0.1', type: 'geneve' },
    machine: commands,
    serveMetadata: async (networks) => {
      fake.served = networks;
    },
  });
  t.after(async () => {
    await network.stop();
    await fake.close();
    rmSync(directory, { recursive: true });
  });
  await network.start();
  return { fake, network, commands };
}

const somePort = (id = newId<PortId>()) => ({ ...exampleServer().ports[0]!, id });

test('a port is plugged, seen and removed', async (t) => {
  const { fake, network } = await networkWorld(t);
  const port = somePort();
  const { tap, vnetHeader } = await network.ensurePort(port);
  assert.deepEqual([[...fake.taps], fake.pluggedPorts, vnetHeader], [[tap], [port.id], false]);
  assert.deepEqual(fake.kernel.nftables().chains('netdev bothy_guard_sim'), [
    `g_${tap}`,
    'first_fragments',
    `e_${tap}`,
  ]);
  assert.deepEqual(await network.listPorts(), [{ id: port.id, tap, linkExists: true, plugged: true, error: null }]);
  await network.removePort(port.id);
  assert.deepEqual([fake.taps.size, fake.pluggedPorts, await network.listPorts()], [0, [], []]);
});

test('a tap that is being made is listed with its port, never as a leftover', async (t) => {
  const { fake, network } = await networkWorld(t);
  const port = somePort();
  let done = false;
  const plugged = network.ensurePort(port).then(() => {
    done = true;
  });
  let seen = 0;
  while (!done) {
    for (const { id } of await network.listPorts()) {
      seen++;
      assert.equal(id, port.id);
    }
  }
  await plugged;
  assert.ok(seen > 0);
  assert.equal(fake.taps.size, 1);
});

test('plugging and removing the same port at once leaves what was asked for last', async (t) => {
  const { fake, network } = await networkWorld(t);
  const port = somePort();
  await Promise.all([network.ensurePort(port), network.ensurePort(port), network.removePort(port.id)]);
  assert.deepEqual([fake.taps.size, fake.pluggedPorts], [0, []]);
  await Promise.all([network.removePort(port.id), network.ensurePort(port)]);
  assert.deepEqual([fake.taps.size, fake.pluggedPorts], [1, [port.id]]);
});

test('a device that vanished under the switch is an error there, and mended by the next plug', async (t) => {
  const { fake, network } = await networkWorld(t);
  const port = somePort();
  await network.ensurePort(port);
  fake.kernel.reset();
  const [broken] = await until(network, ([found]) => found?.plugged === false);
  assert.match(broken?.error ?? '', /No such device/);
  await network.ensurePort(port);
  assert.deepEqual([(await network.listPorts())[0]?.plugged, fake.taps.size], [true, 1]);
});

test('metadata endpoints are made once, and removed whole', async (t) => {
  const { fake, network } = await networkWorld(t);
  const wanted = exampleNetwork();
  await network.ensureNetworks([wanted]);
  const made = fake.kernel.history.length;
  assert.equal(fake.kernel.namespaces.length, 1);
  assert.equal(fake.served.length, 1);
  await network.ensureNetworks([wanted]);
  assert.ok(fake.kernel.history.slice(made).every((line) => !line.includes('batch')));
  await network.ensureNetworks([]);
  assert.deepEqual([fake.kernel.namespaces, fake.kernel.devices(), fake.served], [[], ['lo'], []]);
});

test('commands of a severed process never happen', async (t) => {
  const { fake, network, commands } = await networkWorld(t);
  const plugging = network.ensurePort(somePort());
  commands.sever();
  const first = await Promise.race([
    plugging.then(() => 'plugged'),
    new Promise((resolve) => setTimeout(resolve, 20, 'never')),
  ]);
  assert.equal(first, 'never');
  assert.equal(fake.taps.size, 0);
});

test('what the tools refuse, the simulated ones refuse', async () => {
  const machine = new FakeSwitch().kernel.commands();
  const fails = (command: string, args: string[], words: RegExp, input?: string) =>
    assert.rejects(machine.run(command, args, { input }), (error: { stderr?: string }) =>
      words.test(error.stderr ?? ''),
    );
  await fails('ip', ['-j', '-d', 'link', 'show', 'dev', 'none'], /does not exist/);
  await fails('ip', ['-batch', '-'], /Cannot find device/, 'link del dev none\n');
  await fails('ip', ['-batch', '-'], /not a valid ifname/, 'tuntap add dev sixteen-letters-x mode tap user u\n');
  await fails('ip', ['netns', 'del', 'none'], /No such file/);
  await fails('nft', ['-f', '-'], /No such file/, 'delete table inet none\n');
  await fails('nft', ['-f', '-'], /syntax error/, 'do something\n');
  // A table that is named alone is made, so that one script can make it anew.
  await machine.run('nft', ['-f', '-'], {
    input: 'table inet t\ndelete table inet t\ntable inet t {\n  chain c {\n  }\n}\n',
  });
  await fails('rm', ['-rf', '/'], /does not know/);
});

type Listed = Awaited<ReturnType<HostNetwork['listPorts']>>;

async function until(network: HostNetwork, holds: (listed: Listed) => boolean): Promise<Listed> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const listed = await network.listPorts();
    if (holds(listed)) return listed;
    assert.ok(performance.now() < deadline, JSON.stringify(listed));
  }
}

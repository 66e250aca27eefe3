/** Two machines, each a network namespace, joined by a cable: guests reach each other through a tunnel. Needs root. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DesiredPort } from '../../contract/host/index.ts';
import { type NetworkId, newId, type PortId, type SubnetId } from '../../contract/ids.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import type { HostNetwork } from '../../host/network/index.ts';
import { configReached, raiseConfig } from '../../protocols/ovsdb/index.ts';
import { missing, TestMachine } from './live-machine.ts';

const skip = await missing();
const card = 'cable0';

for (const version of [4, 6])
  describe(`the network of two machines, with tunnels by IPv${version}`, {
    skip: skip ?? false,
    timeout: 60_000,
  }, () => {
    const machines: TestMachine[] = [];
    const drivers: HostNetwork[] = [];

    before(async () => {
      machines.push(new TestMachine());
      machines.push(new TestMachine(machines[0]));
      for (const machine of machines) await machine.start();
      await machines[0]!.cable(machines[1]!, card);
      for (const [index, machine] of machines.entries()) {
        const ip = version === 4 ? `10.9.0.${index + 1}` : `fd00:9::${index + 1}`;
        machine.options.encapsulation.ip = ip;
        machine.options.underlay = { device: card, address: `${ip}/${version === 4 ? 24 : 64}` };
        drivers.push(machine.driver());
        await drivers[index]!.start();
      }
    });

    after(async () => {
      for (const driver of drivers) await driver.stop();
      for (const machine of [...machines].reverse()) await machine.remove();
    });

    test('guests on both reach each other, with full frames', async () => {
      const ports = ['11', '12'].map(portOn);
      await writeSwitch(machines[0]!, ports);
      const guests: string[] = [];
      for (const [index, port] of ports.entries()) {
        const { tap } = await drivers[index]!.ensurePort(port);
        guests.push(await machines[index]!.guest('a', tap, port, []));
      }
      await machines[1]!.listen(8080, guests[1]!);
      await waitUntil('the other guest', () => machines[0]!.connects('10.1.0.12', 8080, guests[0]!), {
        timeoutMs: 15_000,
      });
      const bulk = `require('net').createServer(s=>s.end(Buffer.alloc(300000,97))).listen(8081,()=>console.log('up'))`;
      await machines[1]!.background(bulk, guests[1]!);
      const read = `let n=0;require('net').connect(8081,'10.1.0.12').on('data',d=>n+=d.length).on('end',()=>console.log(n))`;
      assert.equal((await machines[0]!.run(process.execPath, ['-e', read], guests[0]!)).trim(), '300000');
    });
  });

function portOn(tail: string): DesiredPort {
  const example = exampleServer().ports[0]!;
  return {
    ...example,
    id: newId<PortId>(),
    networkId: newId<NetworkId>(),
    mac: `fa:16:3e:00:02:${tail}`,
    fixedIps: [{ ...example.fixedIps[0]!, ip: `10.1.0.${tail}`, subnetId: newId<SubnetId>() }],
  };
}

async function writeSwitch({ northbound }: TestMachine, ports: DesiredPort[]): Promise<void> {
  const tx = northbound.transaction();
  const rows = ports.map(({ id, mac, fixedIps }) => {
    const address = `${mac} ${fixedIps[0]!.ip}`;
    return tx.insert('Logical_Switch_Port', { name: id, addresses: [address], port_security: [address] });
  });
  tx.insert('Logical_Switch', { name: 'net', ports: rows });
  const number = raiseConfig(tx);
  await configReached(northbound, number(await northbound.transact(tx)), { timeoutMs: 10_000 });
}

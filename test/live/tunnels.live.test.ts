/**
 * Two machines, each a network namespace, with their tunnels' cards on a switch between them: what each finds out of the way to the other when it is cut,
 * filtered or too narrow, and when that is mended. Needs root.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { TunnelReport } from '../../contract/host/index.ts';
import { stopEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import type { HostNetwork } from '../../host/network/index.ts';
import { missing, TestMachine } from './live-machine.ts';

const skip = await missing();
const execute = promisify(execFile);
const card = 'cable0';

for (const version of [4, 6]) {
  describe(`tunnels by IPv${version} that are tried`, { skip: skip ?? false, timeout: 180_000 }, () => {
    const machines: TestMachine[] = [];
    const drivers: HostNetwork[] = [];
    const told: (TunnelReport | undefined)[] = [];
    let between = '';
    const ip = (...args: string[]) => execute('ip', args);
    const inside = (...args: string[]) => ip('netns', 'exec', between, ...args);

    before(async () => {
      machines.push(new TestMachine());
      machines.push(new TestMachine(machines[0]));
      for (const machine of machines) await machine.start();
      between = `bt${machines[0]!.tag}sw`;
      await ip('netns', 'add', between);
      await ip('-n', between, 'link', 'add', 'sw', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
      await ip('-n', between, 'link', 'set', 'sw', 'mtu', '1600', 'up');
      for (const [index, machine] of machines.entries()) {
        const peer = ['peer', 'name', `c${index}`, 'mtu', '1600', 'netns', between];
        await ip('-n', machine.netns, 'link', 'add', card, 'mtu', '1600', 'type', 'veth', ...peer);
        await ip('-n', between, 'link', 'set', `c${index}`, 'master', 'sw', 'up');
        const address = version === 4 ? `10.9.0.${index + 1}` : `fd00:9::${index + 1}`;
        machine.options.encapsulation.ip = address;
        machine.options.underlay = { device: card, address: `${address}/${version === 4 ? 24 : 64}` };
        machine.options.tunnelTiming = { roundMs: 1000, waitMs: 1200 };
        drivers.push(machine.driver());
        drivers[index]!.onTunnels((found) => {
          told[index] = found;
        });
        await drivers[index]!.start();
      }
    });

    after(async () => {
      for (const driver of drivers) await driver.stop();
      for (const machine of [...machines].reverse()) await machine.remove();
      await ip('netns', 'del', between);
    });

    const hostId = (index: number) => machines[index]!.options.hostId;
    const both = (what: string, fault: 'silent' | 'narrow' | undefined) =>
      waitUntil(
        what,
        () =>
          Promise.resolve(
            told.length === 2 &&
              told.every((found, index) => {
                const [one] = found?.broken ?? [];
                return found?.tried === 1 && one?.fault === fault && (!one || one.hostId === hostId(1 - index));
              }),
          ),
        { timeoutMs: 30_000 },
      );

    test('each finds the other, with whole frames', async () => {
      await both('both to have tried', undefined);
      assert.deepEqual(
        told.map((found) => [found!.peers, found!.tried, found!.faults]),
        [
          [1, 1, 0],
          [1, 1, 0],
        ],
      );
      assert.deepEqual(drivers[0]!.tunnelEnd, {
        address: machines[0]!.options.encapsulation.ip,
        mtu: version === 4 ? 1500 : 1520,
      });
    });

    test('a filter of UDP 6081 between them makes both silent to each other, until it is gone', async () => {
      await inside('nft', 'table bridge f { chain c { type filter hook forward priority 0; udp dport 6081 drop; }; }');
      await both('both to be silent', 'silent');
      await inside('nft', 'delete table bridge f');
      await both('both to hear again', undefined);
    });

    test('a way that is narrower than a whole frame is called narrow', async () => {
      await ip('-n', between, 'link', 'set', 'c1', 'mtu', version === 4 ? '1450' : '1470');
      await both('both to find it narrow', 'narrow');
      await ip('-n', between, 'link', 'set', 'c1', 'mtu', '1600');
      await both('both to hear whole frames again', undefined);
    });

    test('a machine that is no host yet finds whether tunnels would get through, before anything is changed', async () => {
      const joiner = `bt${machines[0]!.tag}jn`;
      const [own, other] = version === 4 ? ['10.9.0.7', '10.9.0.1'] : ['fd00:9::7', 'fd00:9::1'];
      await ip('netns', 'add', joiner);
      try {
        const peer = ['peer', 'name', 'c7', 'mtu', '1600', 'netns', between];
        await ip('-n', joiner, 'link', 'add', 'eth7', 'mtu', '1600', 'type', 'veth', ...peer);
        await ip('-n', between, 'link', 'set', 'c7', 'master', 'sw', 'up');
        await ip('netns', 'exec', joiner, 'ethtool', '-K', 'eth7', 'tx', 'off');
        await ip('-n', joiner, 'link', 'set', 'eth7', 'up');
        const length = version === 4 ? '24' : '64';
        await ip('-n', joiner, 'addr', 'add', `${own}/${length}`, 'dev', 'eth7', ...(version === 6 ? ['nodad'] : []));
        const module = new URL('../../cli/cloud/try-tunnels.ts', import.meta.url).href;
        const script = `import { tryEnd } from '${module}';
          console.log([...(await tryEnd('${own}', '${other}'))].sort().join());`;
        const tried = async () => {
          const args = ['netns', 'exec', joiner, process.execPath, '--input-type=module', '-e', script];
          return (await ip(...args)).stdout.trim();
        };
        assert.equal(await tried(), 'short,whole');
        await ip('-n', between, 'link', 'set', 'c7', 'mtu', version === 4 ? '1450' : '1470');
        assert.equal(await tried(), 'short');
        await ip('-n', between, 'link', 'set', 'c7', 'mtu', '1600');
        await inside(
          'nft',
          'table bridge f { chain c { type filter hook forward priority 0; udp dport 6081 drop; }; }',
        );
        assert.equal(await tried(), '');
        await inside('nft', 'delete table bridge f');
        assert.equal(await tried(), 'short,whole');
      } finally {
        await ip('netns', 'del', joiner);
      }
    });

    test('another ovs-vswitchd, without flows, is told them again', async () => {
      const vswitchd = machines[1]!.engine('ovs-vswitchd');
      await stopEngine(vswitchd);
      await waitUntil('the other to be silent', () => Promise.resolve(told[0]?.broken[0]?.fault === 'silent'), {
        timeoutMs: 30_000,
      });
      await machines[1]!.startEngine(vswitchd.name);
      const again = () => told[0]?.faults === 0 && (drivers[1]!.tunnels?.oldestMs ?? Number.NaN) < 3000;
      await waitUntil('both to try again', () => Promise.resolve(again()), { timeoutMs: 30_000 });
    });
  });
}

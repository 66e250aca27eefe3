/**
 * What meters tell beside what a guest's own card has counted: the same bytes and packets, over kill -9 of the host process and of ovs-vswitchd and
 * after the port was unplugged and plugged again. Real Open vSwitch and PostgreSQL. Needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DesiredPort } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { type Site, TestSites } from '../../control/network/reachability/testing.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { missing, TestMachine } from './live-machine.ts';
import type { Wish, Word } from './meters-host.ts';

const skip = await missing();

interface Passed {
  rx: [bytes: number, packets: number];
  tx: [bytes: number, packets: number];
}

describe('meters of ports', { skip: skip ?? false, timeout: 240_000 }, () => {
  const addresses = { a: '10.1.0.211', b: '10.1.0.212' } as const;
  let machine: TestMachine;
  let sites: TestSites;
  let at: Site;
  let host: ChildProcess;
  const ports = {} as Record<'a' | 'b', DesiredPort>;
  const guests = {} as Record<'a' | 'b', string>;
  let plugs = 0;

  before(async () => {
    machine = new TestMachine();
    await machine.start();
    sites = await TestSites.open();
    at = await sites.site('10.1.0.0/24');
    for (const who of ['a', 'b'] as const) {
      const { id } = await at.guest();
      const example = exampleServer().ports[0]!;
      const fixedIps = [{ ...example.fixedIps[0]!, ip: addresses[who], prefixLength: 24 }];
      const mac = `fa:16:3e:00:02:0${who}`;
      ports[who] = { ...example, id: id as PortId, mac, mtu: 1442, fixedIps };
    }
    await writeSwitch();
    host = await start();
    for (const who of ['a', 'b'] as const) await plug(who);
    const echo = `const s=require('dgram').createSocket('udp4');
      s.on('message',(m,{port,address})=>s.send(m,port,address)).bind(9000,()=>console.log('up'))`;
    await machine.background(echo, guests.b);
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 20_000 });
  });

  after(async () => {
    host?.kill('SIGKILL');
    await machine?.remove();
    await sites?.[Symbol.asyncDispose]();
  });

  test('a meter tells what the guest’s own card counted, to the byte', async () => {
    await agrees('a');
    const before = await metered('a');
    await talk(50, 1000);
    await agrees('a');
    const after = await metered('a');
    // 14 bytes of Ethernet, 20 of IPv4, 8 of UDP; neighbour discovery may come on top.
    assert.ok(after.tx[0] - before.tx[0] >= 50 * 1042 && after.tx[1] - before.tx[1] >= 50);
    assert.ok(after.tx[0] - before.tx[0] < 50 * 1042 + 1000);
    await agrees('b');
  });

  test('nothing is lost or counted twice when the host process is killed while packets pass', async () => {
    const sending = talk(400, 1000);
    for (let times = 0; times < 3; times++) {
      host.kill('SIGKILL');
      await once(host, 'exit');
      host = await start();
    }
    await sending;
    await agrees('a');
    await agrees('b');
  });

  test('nothing is lost or counted twice when ovs-vswitchd is killed and comes back', async () => {
    for (const name of ['ovs-vswitchd', 'ovn-controller']) {
      process.kill(findEngine(machine.engine(name))!, 'SIGKILL');
      await waitUntil('its end', () => !findEngine(machine.engine(name)), { timeoutMs: 5000 });
      await machine.startEngine(name);
    }
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 30_000 });
    await agrees('a');
    await agrees('b');
  });

  test('a port that is unplugged and plugged again goes on where it was, also when the host is killed right after', async () => {
    await agrees('a');
    const before = await metered('a');
    const card = await carded('a');
    await machine.removeGuest(guests.a);
    await ask({ unplug: ports.a.id });
    host.kill('SIGKILL');
    await once(host, 'exit');
    host = await start();
    await plug('a');
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 20_000 });
    const grown = async () => {
      const [now, fresh] = [await metered('a'), await carded('a')];
      return (['rx', 'tx'] as const).every((way) => now[way][0] >= card[way][0] + fresh[way][0]);
    };
    await waitUntil('the sum of both cards', grown, { timeoutMs: 20_000 });
    const now = await metered('a');
    const fresh = await carded('a');
    for (const way of ['rx', 'tx'] as const) {
      assert.ok(now[way][0] >= before[way][0] && now[way][1] >= before[way][1]);
      // Neighbour discovery aside, nothing counts twice.
      assert.ok(now[way][0] - card[way][0] - fresh[way][0] < 1000, `${way}: ${now[way][0]} bytes`);
    }
  });

  /** Datagrams of `a`, 10 ms apart; `b` sends each back. True where any came back. */
  async function talk(count: number, size: number): Promise<boolean> {
    const script = `const s=require('dgram').createSocket('udp4');let [sent,back]=[0,0];s.on('message',()=>back++).on('error',()=>{});
      const t=setInterval(()=>{if(sent++<${count})s.send(Buffer.alloc(${size}),9000,'${addresses.b}');
      else if(back>=${count}||sent>${count}+50)process.exit(back>0?0:1)},10)`;
    return machine.succeeds(process.execPath, ['-e', script], guests.a);
  }

  /** Waits for the same figures on both sides; a guest may say something at any time. */
  async function agrees(who: 'a' | 'b'): Promise<void> {
    let [meter, card]: [Passed | undefined, Passed | undefined] = [undefined, undefined];
    const same = async () => {
      [meter, card] = [await metered(who), await carded(who)];
      return JSON.stringify(meter) === JSON.stringify(card);
    };
    await waitUntil('meter and card to agree', same, { timeoutMs: 20_000 }).catch(() => assert.deepEqual(meter, card));
  }

  async function metered(who: 'a' | 'b'): Promise<Passed> {
    const [row] = await sites.network.meters.list(at.caller, { ids: [ports[who].id] });
    if (!row) return { rx: [0, 0], tx: [0, 0] };
    return { rx: [row.rx_bytes, row.rx_packets], tx: [row.tx_bytes, row.tx_packets] };
  }

  /** As the guest's kernel counted. */
  async function carded(who: 'a' | 'b'): Promise<Passed> {
    const [link] = JSON.parse(await machine.run('ip', ['-j', '-s', 'link', 'show', 'dev', 'eth0'], guests[who]));
    const { rx, tx } = link.stats64;
    return { rx: [rx.bytes, rx.packets], tx: [tx.bytes, tx.packets] };
  }

  async function plug(who: 'a' | 'b'): Promise<void> {
    const tap = await ask({ plug: ports[who] });
    guests[who] = await machine.guest(`${who}${++plugs}`, tap, ports[who], []);
    // QEMU fills frames up to 60 bytes, which the card does not count: without ARP there are none so short.
    const other = who === 'a' ? 'b' : 'a';
    const neighbour = [addresses[other], 'lladdr', ports[other].mac, 'dev', 'eth0', 'nud', 'permanent'];
    await machine.run('ip', ['neigh', 'replace', ...neighbour], guests[who]);
  }

  /** A host process; what it tells is recorded as control would, and answered. */
  async function start(): Promise<ChildProcess> {
    const argument = JSON.stringify({ options: machine.options, bootId: 'boot' });
    const child = fork(join(import.meta.dirname, 'meters-host.ts'), [argument]);
    child.on('message', async (word: Word) => {
      if (!('meters' in word)) return;
      const { sequence, readings } = word.meters;
      await sites.network.meters.recordReadings(machine.options.hostId as never, readings);
      if (child.connected) child.send({ recorded: sequence } satisfies Wish, () => {});
    });
    await said(child, (word) => 'ready' in word);
    return child;
  }

  async function ask(wish: Wish): Promise<string> {
    const answer = said(host, (word) => 'done' in word);
    host.send(wish);
    return ((await answer) as Word & { done: string }).done;
  }

  function said(child: ChildProcess, matches: (word: Word) => boolean): Promise<Word> {
    return new Promise((resolve, reject) => {
      const hear = (word: Word) => {
        if (!matches(word)) return;
        child.off('message', hear);
        resolve(word);
      };
      child.on('message', hear);
      child.once('exit', () => reject(new Error('the host process has ended')));
    });
  }

  async function writeSwitch(): Promise<void> {
    const tx = machine.northbound.transaction();
    const addressed = Object.values(ports).map(({ id, mac, fixedIps }) =>
      tx.insert('Logical_Switch_Port', { name: id, addresses: [`${mac} ${fixedIps[0]!.ip}`] }),
    );
    tx.insert('Logical_Switch', { name: 'net', ports: addressed });
    await machine.northbound.transact(tx);
  }
});

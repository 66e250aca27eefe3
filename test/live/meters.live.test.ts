/**
 * What meters tell beside what a guest's own card has counted: the same bytes and packets, over kill -9 of the host process and of ovs-vswitchd and
 * after the port was unplugged and plugged again; and what metering labels name of it. Real Open vSwitch and PostgreSQL. Needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DesiredPort } from '../../contract/host/index.ts';
import { newId, type PortId } from '../../contract/ids.ts';
import type { MeteringLabelRuleWish } from '../../control/network/metering-label/service.ts';
import { HostSet } from '../../control/network/ovn/intent/gateway.ts';
import { meteringRows } from '../../control/network/ovn/intent/metering.ts';
import { loadModel } from '../../control/network/ovn/load.ts';
import type { PortRow } from '../../control/network/ovn/model.ts';
import { unit } from '../../control/network/ovn/units.ts';
import { type Site, TestSites } from '../../control/network/reachability/testing.ts';
import { testAdmin } from '../../control/network/testing.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import type { Columns } from '../../protocols/ovsdb/index.ts';
import { missing, TestMachine } from './live-machine.ts';
import type { Wish, Word } from './meters-host.ts';

const skip = await missing();

interface Passed {
  rx: [bytes: number, packets: number];
  tx: [bytes: number, packets: number];
}

describe('meters', { skip: skip ?? false, timeout: 240_000 }, () => {
  const addresses = { a: '10.1.0.211', b: '10.1.0.212' } as const;
  let machine: TestMachine;
  let sites: TestSites;
  let at: Site;
  let host: ChildProcess;
  const ports = {} as Record<'a' | 'b', DesiredPort>;
  const guests = {} as Record<'a' | 'b', string>;
  let plugs = 0;
  /** What a tap had taken before its guest's card listened: the other's multicast listener reports, where they were quick. */
  const early: Record<'a' | 'b', Passed> = { a: { rx: [0, 0], tx: [0, 0] }, b: { rx: [0, 0], tx: [0, 0] } };
  /** Of the second guest. */
  let floating = '';
  /** What the second guest sends and gets by its floating IP, that of it that goes to the machine, and what does not come from there. */
  const labels = { all: '', narrow: '', without: '' };
  const inside = { mac: '02:00:00:00:01:01', address: '10.1.0.1' };

  before(async () => {
    machine = new TestMachine();
    Object.assign(machine.options.external!, { addresses: ['203.0.113.254/24'] });
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
    floating = await at.floating(ports.b.id);
    await makeLabels();
    await writeNorthbound();
    host = await start();
    for (const who of ['a', 'b'] as const) await plug(who);
    const echo = `const s=require('dgram').createSocket('udp4');
      s.on('message',(m,{port,address})=>s.send(m,port,address)).bind(9000,()=>console.log('up'))`;
    await machine.background(echo, guests.b);
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 20_000 });
    for (const who of ['a', 'b'] as const) {
      early[who] = await standing(() => beyondCard(who));
      const { rx, tx } = early[who];
      assert.ok(rx[0] >= 0 && rx[0] < 1000, `${who}: ${rx[0]} bytes before the card listened`);
      assert.deepEqual(tx, [0, 0]);
    }
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

  test('meters of a floating IP and of its router tell each packet, over kill -9 of the host and of ovs-vswitchd', async () => {
    await waitUntil('the floating IP', () => talk(1, 100, floating, machine.netns), { timeoutMs: 30_000 });
    // What was under way then has been counted when the figures stand.
    const first = await standing();
    await talk(100, 1000, floating, machine.netns);
    const all = await reached(first, 100);
    host.kill('SIGKILL');
    await once(host, 'exit');
    await talk(50, 1000, floating, machine.netns);
    host = await start();
    const more = await reached(all, 50);
    await restartSwitch();
    await waitUntil('the floating IP', () => talk(1, 100, floating, machine.netns), { timeoutMs: 30_000 });
    const again = await standing();
    for (const way of ['rx', 'tx'] as const) assert.ok(again[way][1] > more[way][1]);
    await talk(20, 1000, floating, machine.netns);
    await reached(again, 20);
    const router = await metered(at.router);
    const last = await standing();
    for (const way of ['rx', 'tx'] as const) {
      // ARP comes on top.
      assert.ok(router[way][1] >= last[way][1] && router[way][1] < last[way][1] + 60, `${way}: ${router[way][1]}`);
    }
  });

  test('each label tells the packets that its rules name, over kill -9 of the host, though another names them too', async () => {
    await waitUntil('the floating IP', () => talk(1, 100, floating, machine.netns), { timeoutMs: 30_000 });
    const first = await standing(() => metered(labels.all));
    const narrow = await metered(labels.narrow);
    await talk(30, 1000, floating, machine.netns);
    const all = await reached(first, 30, labels.all);
    host.kill('SIGKILL');
    await once(host, 'exit');
    await talk(20, 1000, floating, machine.netns);
    host = await start();
    await reached(all, 20, labels.all);
    const to = ([bytes, packets]: [number, number]) => [bytes + 50 * 1042, packets + 50];
    assert.deepEqual(await metered(labels.narrow), { rx: [0, 0], tx: to(narrow.tx) });
    assert.deepEqual(await metered(labels.without), { rx: [0, 0], tx: [0, 0] });
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
    await restartSwitch();
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 30_000 });
    await agrees('a');
    await agrees('b');
  });

  test('a switch, a southbound database or a host process that is frozen holds up no other meter, and all is counted when it goes on', async () => {
    await waitUntil('the floating IP', () => talk(1, 100, floating, machine.netns), { timeoutMs: 30_000 });
    const first = await standing();
    const sockets = readdirSync(`/proc/${host.pid}/fd`).length;
    const before = await metered('a');
    await frozen(findEngine(machine.engine('ovs-vswitchd'))!, async () => {
      await talk(10, 1000);
      const told = async () => (await metered('a')).tx[1] >= before.tx[1] + 10;
      await waitUntil('what the guest sends', told, { timeoutMs: 30_000 });
    });
    await waitUntil('the two to talk', () => talk(1, 100), { timeoutMs: 30_000 });
    await waitUntil('the floating IP', () => talk(1, 100, floating, machine.netns), { timeoutMs: 30_000 });
    let last = await standing();
    assert.ok(last.rx[1] >= first.rx[1] && last.tx[1] >= first.tx[1]);
    await frozen(findEngine(machine.engine('ovn-southbound'))!, async () => {
      await talk(20, 1000, floating, machine.netns);
      // Longer than the silence that ends the host's connection.
      await new Promise((resolve) => setTimeout(resolve, 12_000));
      await talk(20, 1000, floating, machine.netns);
    });
    last = await reached(last, 40);
    await frozen(host.pid!, () => talk(20, 1000, floating, machine.netns));
    await reached(last, 20);
    await agrees('a');
    await agrees('b');
    // A question that is being answered just now has one open, too.
    const open = () => readdirSync(`/proc/${host.pid}/fd`).length;
    await waitUntil(`no more than ${sockets} files to be open`, async () => open() <= sockets + 3, {
      timeoutMs: 30_000,
    });
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

  async function frozen(pid: number, meanwhile: () => Promise<unknown>): Promise<void> {
    process.kill(pid, 'SIGSTOP');
    try {
      await meanwhile();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }

  async function restartSwitch(): Promise<void> {
    for (const name of ['ovs-vswitchd', 'ovn-controller']) {
      process.kill(findEngine(machine.engine(name))!, 'SIGKILL');
      await waitUntil('its end', () => !findEngine(machine.engine(name)), { timeoutMs: 5000 });
      // One that is just ending may have nothing of a process any more but its lock, which the next one refuses to share.
      const start = () =>
        machine.startEngine(name).then(
          () => true,
          () => false,
        );
      await waitUntil(`${name} to be back`, start, { timeoutMs: 30_000 });
    }
  }

  /** What is read, once it has not changed for two beats of the host; the floating IP's meter. */
  async function standing(read = async () => metered(await floatingId())): Promise<Passed> {
    let [now, before] = [await read(), ''];
    const stands = async () => {
      before = JSON.stringify(now);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      now = await read();
      return JSON.stringify(now) === before;
    };
    await waitUntil('the meter to stand', stands, { timeoutMs: 30_000 });
    return now;
  }

  /** So many datagrams more, each way, and not one else. */
  async function reached(before: Passed, count: number, of?: string): Promise<Passed> {
    const id = of ?? (await floatingId());
    const to = ([bytes, packets]: readonly [number, number]) => [bytes + count * 1042, packets + count];
    const wanted = { rx: to(before.rx), tx: to(before.tx) };
    let now = before;
    const there = async () => {
      now = await metered(id);
      return JSON.stringify(now) === JSON.stringify(wanted);
    };
    await waitUntil('the meter to tell them', there, { timeoutMs: 20_000 }).catch(() => assert.deepEqual(now, wanted));
    return now;
  }

  async function floatingId(): Promise<string> {
    return (await sites.network.floatingIps.list(at.caller, {})).find(({ floating_ip }) => floating_ip === floating)!
      .id;
  }

  /** Datagrams, 10 ms apart; `b` sends each back. True where any came back. */
  async function talk(count: number, size: number, to: string = addresses.b, from = guests.a): Promise<boolean> {
    const script = `const s=require('dgram').createSocket('udp4');let [sent,back]=[0,0];s.on('message',()=>back++).on('error',()=>{});
      const t=setInterval(()=>{if(sent++<${count})s.send(Buffer.alloc(${size}),9000,'${to}');
      else if(back>=${count}||sent>${count}+50)process.exit(back>0?0:1)},10)`;
    return machine.succeeds(process.execPath, ['-e', script], from);
  }

  /** Waits for the same figures on both sides; a guest may say something at any time. */
  async function agrees(who: 'a' | 'b'): Promise<void> {
    let beyond: Passed | undefined;
    const same = async () => {
      beyond = await beyondCard(who);
      return JSON.stringify(beyond) === JSON.stringify(early[who]);
    };
    await waitUntil('meter and card to agree', same, { timeoutMs: 20_000 }).catch(() =>
      assert.deepEqual(beyond, early[who]),
    );
  }

  /** What the meter tells more than the card of the guest. */
  async function beyondCard(who: 'a' | 'b'): Promise<Passed> {
    const [meter, card] = [await metered(who), await carded(who)];
    const less = (way: 'rx' | 'tx'): [number, number] => [meter[way][0] - card[way][0], meter[way][1] - card[way][1]];
    return { rx: less('rx'), tx: less('tx') };
  }

  /** @param of a guest, or the id of something else */
  async function metered(of: string): Promise<Passed> {
    const id = of === 'a' || of === 'b' ? ports[of].id : of;
    const [row] = await sites.network.meters.list(at.caller, { ids: [id] });
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
    guests[who] = await machine.guest(`${who}${++plugs}`, tap, ports[who], [`default via ${inside.address}`]);
    // QEMU fills frames up to 60 bytes, which the card does not count: without ARP there are none so short.
    const other = who === 'a' ? 'b' : 'a';
    for (const { mac, address } of [inside, { mac: ports[other].mac, address: addresses[other] }]) {
      const neighbour = [address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent'];
      await machine.run('ip', ['neigh', 'replace', ...neighbour], guests[who]);
    }
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

  async function makeLabels(): Promise<void> {
    const { meteringLabels } = sites.network;
    const [inside, machineOutside] = ['10.1.0.0/24', '203.0.113.254/32'];
    const rules: Record<keyof typeof labels, Omit<MeteringLabelRuleWish, 'metering_label_id'>[]> = {
      all: (['ingress', 'egress'] as const).map((direction) => ({ direction, remote_ip_prefix: inside })),
      narrow: [{ direction: 'egress', source_ip_prefix: inside, destination_ip_prefix: machineOutside }],
      without: [
        { direction: 'ingress', destination_ip_prefix: inside },
        { direction: 'ingress', source_ip_prefix: machineOutside, excluded: true },
      ],
    };
    for (const name of ['all', 'narrow', 'without'] as const) {
      const [label] = await meteringLabels.create(testAdmin(), [{ name, project_id: at.caller.projectId! }]);
      labels[name] = label!.id;
      const wishes = rules[name].map((rule) => ({ ...rule, metering_label_id: label!.id }));
      await meteringLabels.createRules(testAdmin(), wishes);
    }
  }

  /** The policies of the router that count for the labels, as the projection writes them. */
  async function policies(gatewayId: string): Promise<Columns[]> {
    const { database } = sites.db;
    const model = await loadModel(database.query, [unit('router', at.router)], new HostSet([]));
    const self = { table: 'Logical_Router', owner: unit('router', at.router), key: 'router' };
    const gateway = { id: gatewayId } as PortRow;
    return meteringRows(self, model.routers.get(at.router)!, [gateway]).map(({ columns }) => columns);
  }

  /** A switch with both guests, a router with the floating IP, and the network outside, as the projection would name them. */
  async function writeNorthbound(): Promise<void> {
    const tx = machine.northbound.transaction();
    const toRouter = (name: string) => ({ type: 'router', addresses: ['router'], options: { 'router-port': name } });
    const gatewayId = newId();
    const [near, gateway] = [`router-port-${newId()}`, `router-port-${gatewayId}`];
    const addressed = Object.values(ports).map(({ id, mac, fixedIps }) =>
      tx.insert('Logical_Switch_Port', { name: id, addresses: [`${mac} ${fixedIps[0]!.ip}`] }),
    );
    addressed.push(tx.insert('Logical_Switch_Port', { name: 'net-r', ...toRouter(near) }));
    tx.insert('Logical_Switch', { name: 'net', ports: addressed });
    const physical = { type: 'localnet', addresses: ['unknown'], options: { network_name: 'physnet1' } };
    const external = [
      tx.insert('Logical_Switch_Port', { name: 'ext-phys', ...physical }),
      tx.insert('Logical_Switch_Port', { name: 'ext-r', ...toRouter(gateway) }),
    ];
    tx.insert('Logical_Switch', { name: 'ext', ports: external });
    const chassis = { name: 'gw', chassis_name: machine.options.hostId, priority: 1 };
    const outer = { name: gateway, mac: '02:00:00:00:01:02', networks: ['203.0.113.251/24'] };
    tx.insert('Logical_Router', {
      name: `router-${at.router}`,
      ports: [
        tx.insert('Logical_Router_Port', { name: near, mac: inside.mac, networks: [`${inside.address}/24`] }),
        tx.insert('Logical_Router_Port', { ...outer, gateway_chassis: [tx.insert('Gateway_Chassis', chassis)] }),
      ],
      policies: (await policies(gatewayId)).map((columns) => tx.insert('Logical_Router_Policy', columns)),
      nat: [tx.insert('NAT', { type: 'dnat_and_snat', external_ip: floating, logical_ip: addresses.b })],
    });
    await machine.northbound.transact(tx);
  }
});

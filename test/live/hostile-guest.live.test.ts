/**
 * A hostile guest by its frames, on real OVN: what it says in another's name, as DHCP server or router, from addresses that are not its own, and
 * what it hides behind headers, in fragments and behind tags. The witness is a packet socket on the card of each guest that should not hear it.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { eui64 } from '../../control/network/ovn/address.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const frames = join(import.meta.dirname, 'hostile-frames.py');
const host = newId();
const [v4, v6] = ['10.1.0.0/24', 'fd00:1::/64'];
const gateway = {
  mac: 'fa:16:3e:00:01:01',
  v4: '10.1.0.1',
  v6: 'fd00:1::1',
  local: eui64('fe80::/64', 'fa:16:3e:00:01:01'),
};

/** Who there is, by the last byte of each address; the groups of the two hostile ones differ in whether connections are tracked. */
const guests = { tracked: 11, untracked: 12, open: 13, openUntracked: 14, strict: 15, strictUntracked: 16 } as const;
type Guest = keyof typeof guests;
const victims = ['open', 'openUntracked', 'strict', 'strictUntracked'] as const;

const facts = (who: Guest) => {
  const mac = `fa:16:3e:00:01:${guests[who]}`;
  return { mac, v4: `10.1.0.${guests[who]}`, v6: eui64(v6, mac), local: eui64('fe80::/64', mac) };
};

let world: ProjectedLab;
const ports: Record<string, string> = {};
const at: Record<string, Endpoint> = {};
/** Kinds that are said as they are, and that port security stops. Not solicitations, which OVN answers itself, nor what connections are tracked for. */
const plain = [
  ...['ARP reply for the neighbour', 'ARP reply for the gateway', 'gratuitous ARP for the neighbour'],
  ...['gratuitous ARP for the gateway', "ARP question in the gateway's name", 'ARP reply in a foreign frame'],
  ...['ARP reply with a foreign hardware address', 'advertisement of the neighbour', 'advertisement of the gateway'],
  ...['advertisement of the neighbour to all', 'advertisement of the gateway to all', 'router advertisement'],
  ...["advertisement of the gateway's local address", 'advertisement of its own address at a foreign one'],
  ...['router advertisement to one', 'DHCPv4 offer to all', 'DHCPv4 offer'],
  ...['DHCPv6 advertisement', 'datagram from a foreign IPv4 address', 'datagram in a foreign frame'],
  ...["datagram from the neighbour's IPv4 address", "datagram from the neighbour's IPv6 address"],
  ...['datagram from a foreign IPv6 address', "datagram from the gateway's local address"],
];
/** What each victim has heard since the last look. */
const heard: Record<string, string[]> = {};

async function projected(): Promise<void> {
  const units = Object.values(ports).map((id) => unit('port', id));
  await world.projector.reached(units, { timeoutMs: 20_000 });
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  const { cloud, lab } = world;
  const group = async (stateful: boolean, ...rules: Record<string, unknown>[]) => {
    const id = await cloud.securityGroup({ stateful });
    for (const ethertype of ['IPv4', 'IPv6']) for (const rule of rules) await cloud.rule(id, { ethertype, ...rule });
    return id;
  };
  const port80 = [{ protocol: 'tcp' }, { protocol: 'udp' }].map((rule) => ({
    ...rule,
    port_range_min: 80,
    port_range_max: 80,
  }));
  const [open, openUntracked] = [await group(true, {}), await group(false, {})];
  const [strict, strictUntracked] = [await group(true, ...port80), await group(false, ...port80)];
  const groups = { tracked: open, untracked: openUntracked, open, openUntracked, strict, strictUntracked };
  const network = await cloud.network();
  const subnet = await cloud.subnet(network, v4, { gateway_ip: gateway.v4 });
  const modes = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' };
  const subnet6 = await cloud.subnet(network, v6, { gateway_ip: gateway.v6, ...modes });
  const router = await cloud.router();
  const own = [
    { subnet, ip: gateway.v4 },
    { subnet: subnet6, ip: gateway.v6 },
  ];
  const owner = { device_owner: 'network:router_interface', device_id: router };
  ports.gateway = await cloud.port(network, own, { ...owner, mac: gateway.mac });
  for (const who of Object.keys(guests) as Guest[]) {
    const { mac, v4, v6 } = facts(who);
    const addresses = [
      { subnet, ip: v4 },
      { subnet: subnet6, ip: v6 },
    ];
    ports[who] = await cloud.port(network, addresses, { mac }, [groups[who]]);
    const fixed = { addresses: [`${v4}/24`, `${v6}/64`], gateways: [gateway.v4, gateway.v6] };
    at[who] = lab.endpoint(who.toLowerCase(), { iface: ports[who]!, mac, ...fixed });
  }
  await world.projector.reached([unit('router', router)], { timeoutMs: 20_000 });
  await projected();
  for (const who of victims) await listen(who);
});

after(() => world?.[Symbol.asyncDispose]());

async function listen(who: Guest): Promise<void> {
  const child: ChildProcess = world.lab.spawnInside(at[who]!.namespace, 'python3', frames, 'hear');
  heard[who] = [];
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (data) => {
      heard[who]!.push(...String(data).trim().split('\n'));
      resolve();
    });
  });
}

/** What this victim hears of these kinds, of all where none is named. What is honest is said in the end, and has come when all has. */
async function said(by: Guest, to: (typeof victims)[number], ...kinds: string[]): Promise<string[]> {
  const { lab } = world;
  const neighbour = facts(to === 'open' ? 'openUntracked' : 'open');
  const all = JSON.stringify({ own: facts(by), victim: facts(to), neighbour, gateway, nobody: '10.1.0.99' });
  heard[to] = [];
  const say = (...kinds: string[]) => lab.inside(at[by]!.namespace, 'python3', frames, 'say', all, ...kinds);
  say(...kinds);
  // Frames that are read at once leave in any order: when a second end has come, which was sent after the first had, nothing else is on its way.
  for (let times = 1; times <= 2; times++) {
    say('the end');
    await lab.until('the end of it', () => heard[to]!.filter((kind) => kind === 'the end').length >= times);
  }
  return [...new Set(heard[to])].filter((kind) => kind !== 'the end').sort();
}

/** Whatever rules let in: ARP and neighbour discovery are no matter of theirs. */
const always = ['honest ARP', 'honest neighbour advertisement'];
const honest = [...always, 'honest datagram by IPv4', 'honest datagram by IPv6'];
/** To all who let in everything, each port is open: for these what else comes in fragments is as honest. */
const inFragments = ['TCP cut after 1200', 'UDP cut after 1200'];
/** Connection tracking, which sees that these are too short for fragments, is only for who has rules that ask for it. */
const tiny = ['TCP cut after 8', 'TCP cut after 24'];

test('what a guest says in another’s name, as router or DHCP server, or hides behind headers, tags and in fragments, no other hears', {
  skip,
}, async () => {
  for (const by of ['tracked', 'untracked'] as const) {
    for (const to of victims) {
      const closed = to.startsWith('strict');
      const short = by === 'untracked' && to === 'openUntracked' ? tiny : [];
      const expected = closed ? always : [...honest, ...inFragments, ...short];
      assert.deepEqual(await said(by, to), expected.sort(), `${by} to ${to}`);
    }
  }
});

test('connections are committed as the userspace datapath can bear it', { skip }, () => {
  const { lab } = world;
  const flows = lab.inside(lab.hostNamespace, 'ovs-ofctl', 'dump-flows', join(lab.directory, 'host', 'br-int.mgmt'));
  assert.match(flows, /ct\(commit/);
  assert.doesNotMatch(flows, /nat\(src\)/);
});

test('nobody believed any of it, the router neither', { skip }, () => {
  const { lab } = world;
  const hostile = [facts('tracked'), facts('untracked')];
  for (const who of victims) {
    const inside = (...args: string[]) => lab.run('ip', '-n', at[who]!.namespace, ...args);
    assert.doesNotMatch(inside('-6', 'route'), /fd66:6:|via fe80:.*:1[12] /, who);
    for (const line of inside('neigh').split('\n')) {
      const liar = hostile.find(({ mac }) => line.includes(mac));
      if (liar) assert.ok([liar.v4, liar.v6, liar.local].includes(line.split(' ')[0]!), `${who}: ${line}`);
    }
  }
  const bound = lab.run('ovn-sbctl', `--db=${lab.southbound}`, '--bare', '--columns=ip,mac', 'find', 'MAC_Binding');
  for (const one of bound.trim().split('\n\n')) {
    const [ip, mac] = one.split('\n');
    const liar = hostile.find((own) => own.mac === mac);
    if (liar) assert.ok([liar.v4, liar.v6, liar.local].includes(ip!), one);
  }
});

test('the same frames are heard where nothing stops them, so they are what they say', { skip }, async () => {
  const { cloud, lab } = world;
  const disguises = ['unfinished', 'hidden', 'half hidden', 'fragments'];
  const disguised = ['router advertisement', 'redirect', 'DHCPv6 advertisement'];
  const hidden = disguised.flatMap((kind) => disguises.map((how) => `${kind}: ${how}`));
  const chain = `e_${at.openUntracked!.veth}`;
  lab.inside(lab.hostNamespace, 'nft', 'flush', 'chain', 'netdev', `bothy_guard_${lab.tag}`, chain);
  assert.deepEqual(await said('untracked', 'openUntracked', ...hidden), hidden.sort());

  await cloud.run(sql`delete from port_security_group where port_id = ${ports.tracked}`);
  await cloud.run(sql`update port set port_security_enabled = false where id = ${ports.tracked}`);
  await projected();
  lab.run('ovn-nbctl', `--db=${lab.northbound}`, '--wait=hv', '--timeout=15', 'sync');
  assert.deepEqual(await said('tracked', 'open', ...plain), [...plain].sort());
});

/** Which ports are open, of clouds made by a seed: what is said of all at once is what each port is answered by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.ts';
import type { NetworkRow, PortRow, RouterRow, SecurityGroupRow, SubnetRow } from '../ovn/model.ts';
import { type ForwardingGround, Ground } from './ground.ts';
import { openPorts } from './open-ports.ts';
import type { End, Question } from './question.ts';
import { reach } from './reach.ts';

const last = 65_535;
const outside = '203.0.113.200';
const floating = '203.0.113.10';

/** Around these, where ranges of rules and of forwardings meet, or nearly. */
const somePort = (at: Random) => at.pick([1, 22, 80, 100, 1000, 30_000, 60_999, last]) + at.pick([0, 0, 1, 2]);

function range(at: Random): [number, number] {
  const [one, other] = [somePort(at), somePort(at)].map((port) => Math.min(port, last)) as [number, number];
  return one < other ? [one, other] : [other, one];
}

function group(at: Random, id: string): SecurityGroupRow {
  const rules = Array.from({ length: at.below(9) }, (_, n) => {
    const [port_range_min, port_range_max] = at.chance(0.15) ? [null, null] : range(at);
    const remote = at.below(6);
    return {
      ...{ id: `${id}.${n}`, direction: at.pick(['ingress', 'egress'] as const), ethertype: 'IPv4' as const },
      ...{ protocol: at.pick(['tcp', 'tcp', '6', 'udp']), port_range_min, port_range_max },
      remote_group_id: remote === 0 ? at.pick(['g0', 'g1']) : null,
      remote_address_group_id: remote === 1 ? 'known' : null,
      remote_ip_prefix: remote === 2 ? at.pick(['10.0.0.0/24', '10.0.1.0/24', `${outside}/32`]) : null,
    };
  });
  if (at.chance(0.6)) {
    const all = { protocol: null, port_range_min: null, port_range_max: null };
    const nobody = { remote_group_id: null, remote_address_group_id: null, remote_ip_prefix: null };
    rules.push({ id: `${id}.all`, direction: 'egress', ethertype: 'IPv4', ...all, ...nobody } as never);
  }
  return { id, name: id, stateful: at.chance(0.7), rules };
}

const port = (id: string, network_id: string, ip: string, over: Partial<PortRow> = {}): PortRow =>
  ({
    ...{ id, network_id, ips: [{ subnet_id: `${network_id}4`, ip }], device_id: '', device_owner: 'compute:nova' },
    ...{ admin_state_up: true, observed_up: true, port_security_enabled: true, allowed_address_pairs: [] },
    ...{ security_group_ids: [], ...over },
  }) as unknown as PortRow;

function cloud(at: Random): Ground {
  const subnet = (network_id: string, cidr: string, gateway_ip: string) =>
    ({
      id: `${network_id}4`,
      network_id,
      ip_version: 4,
      cidr,
      gateway_ip,
      host_routes: [],
      address_scope_id: null,
    }) as unknown as SubnetRow;
  const network = (id: string, external: boolean) =>
    ({ id, external, admin_state_up: true, provider_network_type: external ? 'flat' : 'geneve' }) as NetworkRow;
  const router = { id: 'r', admin_state_up: true, enable_snat: at.chance(0.5), gateway_network_id: 'x', routes: [] };
  const groups = () => ['g0', 'g1', 'g2'].filter(() => at.chance(0.5));
  const guests = [
    port('a', 'n0', '10.0.0.5', { security_group_ids: groups() }),
    port('b', 'n0', '10.0.0.6', { security_group_ids: groups(), port_security_enabled: at.chance(0.9) }),
    port('c', 'n1', '10.0.1.5', { security_group_ids: groups() }),
  ];
  const forwardings = Array.from({ length: at.below(4) }, (_, n): ForwardingGround => {
    const [first, end] = range(at);
    const [external_first, external_last] = at.chance(0.5) ? [first, first] : [first, Math.min(end, first + 500)];
    const length = external_last - external_first;
    const inside = Math.min(somePort(at), last - length);
    const [internal_first, internal_last] = [inside, at.chance(0.3) ? inside : inside + length];
    const to = at.pick(guests);
    const ranges = { external_first, external_last, internal_first, internal_last };
    return { protocol: n === 3 ? 'udp' : 'tcp', ...ranges, port_id: to.id, fixed_ip: to.ips[0]!.ip };
  });
  const stands = at.chance(0.4) ? at.pick(guests) : undefined;
  const own = { device_id: 'r', device_owner: 'network:router_interface' };
  return new Ground({
    networks: [network('n0', false), network('n1', false), network('x', true)],
    subnets: [subnet('n0', '10.0.0.0/24', '10.0.0.1'), subnet('n1', '10.0.1.0/24', '10.0.1.1')].concat(
      subnet('x', '203.0.113.0/24', '203.0.113.254'),
    ),
    routers: [router as unknown as RouterRow],
    ports: [
      ...guests,
      port('i0', 'n0', '10.0.0.1', own),
      port('i1', 'n1', '10.0.1.1', own),
      port('gw', 'x', '203.0.113.2', { device_id: 'r', device_owner: 'network:router_gateway' }),
    ],
    floatingIps: [
      {
        ...{ id: 'f', floating_network_id: 'x', floating_ip: floating, port_id: stands?.id ?? null, router_id: 'r' },
        ...{ fixed_ip: stands?.ips[0]?.ip ?? null, ...(!stands && forwardings.length > 0 && { forwardings }) },
      },
    ],
    securityGroups: ['g0', 'g1', 'g2'].map((id) => group(at, id)),
    addressGroups: [{ id: 'known', name: '', addresses: ['10.0.0.6/32', '203.0.113.0/24'] }],
  });
}

test('what is said of all ports at once is what each is answered by itself', () => {
  const known = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const at = new Random(seed);
    const ground = cloud(at);
    const from = at.pick<End>([{ port: 'a' }, { port: 'b' }, { port: 'c' }, { address: outside }]);
    const to = at.pick<End>([
      { port: 'a' },
      { port: 'b' },
      { port: 'c' },
      { address: floating },
      { address: floating },
    ]);
    const question: Question = { from, to, version: 4, protocol: 6, port: null };
    const { open } = openPorts(ground, question);
    known.add(open.length === 0 ? 'none' : open.length === 1 ? 'one range' : 'several');
    const near = [...ground.securityGroups.values()].flatMap(({ rules }) =>
      rules.flatMap((rule) => [rule.port_range_min ?? 1, rule.port_range_max ?? last]),
    );
    const bounds = ground.floatingIps.flatMap(({ forwardings = [] }) =>
      forwardings.flatMap((one) => {
        const shift = one.external_first - one.internal_first;
        return [one.external_first, one.external_last, ...near.map((inside) => inside + shift)];
      }),
    );
    const ports = new Set([1, last, ...[...near, ...bounds].flatMap((bound) => [bound - 1, bound, bound + 1])]);
    for (const port of ports) {
      if (port < 1 || port > last) continue;
      const alone = reach(ground, { ...question, port }).reachable;
      const among = open.some(([first, end]) => first <= port && port <= end);
      assert.equal(among, alone, `seed ${seed}, port ${port}: ${JSON.stringify({ from, to, open })}`);
    }
  }
  assert.deepEqual([...known].sort(), ['none', 'one range', 'several']);
});

/** GET /native/v1/reachability: whether one end reaches another, by which way, what stops it and what would open it. */
import { Type } from 'typebox';
import type { IpVersion } from '../../control/kit/address.ts';
import type { ReachabilityService, Stop, StopReason, Told } from '../../control/network/reachability/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { reachabilityDocument } from './documents.ts';
import { numberText, parameters } from './query.ts';

const endText = Type.String({ minLength: 1, maxLength: 64, examples: ['192.0.2.7'] });

const ask = {
  summary: 'Ask whether one end reaches another, and why',
  rights: 'caller',
  query: parameters({
    from: endText,
    to: endText,
    protocol: Type.Optional(Type.String({ minLength: 1, maxLength: 16, examples: ['tcp'] })),
    port: Type.Optional(numberText(1, 65_535)),
    version: Type.Optional(Type.Enum(['4', '6'])),
  }),
  answers: { 200: reachabilityDocument },
} as const;

export function reachabilityRoutes(app: Boundary, service: ReachabilityService): void {
  app.get('/v1/reachability', ask, async (request) => {
    const { from, to, protocol, port, version } = request.query;
    const told = await service.ask(callerOf(request), {
      ...{ from, to },
      ...(protocol !== undefined && { protocol }),
      ...(port !== undefined && { port: Number(port) }),
      ...(version !== undefined && { version: Number(version) as IpVersion }),
    });
    return { reachability: document(told) };
  });
}

const document = ({ openPorts, stops, ...told }: Told) => ({
  ...told,
  open_ports: openPortsOf(openPorts),
  stops: stopsOf(stops),
});

export const openPortsOf = (ranges: Told['openPorts']) => ranges?.map(([first, last]) => ({ first, last })) ?? null;

export const stopsOf = (stops: readonly Stop[]) => stops.map((stop) => ({ ...stop, message: stopSentence(stop) }));

const named: Readonly<Record<Stop['kind'], string>> = {
  port: 'port',
  network: 'network',
  router: 'router',
  floating_ip: 'floating IP',
  outside: 'outside',
  security_group: 'security group',
  subnet: 'subnet',
};

const sentences: Readonly<Record<StopReason, (what: string) => string>> = {
  port_disabled: (what) => `${what} is switched off (admin_state_up)`,
  network_disabled: (what) => `${what} is switched off (admin_state_up)`,
  router_disabled: (what) => `${what} is switched off (admin_state_up)`,
  port_not_up: (what) => `${what} is plugged into nothing that runs: its server is off, or on its way`,
  no_address: (what) => `${what} has no address of that IP version`,
  egress_rule_missing: (what) => `no egress rule of ${what} lets it out`,
  ingress_rule_missing: (what) => `no ingress rule of ${what} lets it in`,
  tracked_one_way: (what) =>
    `at ${what} a stateless rule lets the connection out untracked, so a stateful one takes its answer for invalid`,
  no_gateway: (what) => `${what} names no gateway`,
  gateway_unknown: (what) => `on ${what} nobody has the address of the gateway`,
  no_route: (what) => `${what} has no route to there`,
  address_of_nat64: (what) => `${what} keeps that address for translating (NAT64), and tells nobody whose it is`,
  address_unknown: (what) => `nobody has that address on ${what}`,
  behind_nat: (what) => `${what} lets in nobody to addresses behind its translation; a floating IP would`,
  router_serves_nothing: (what) => `the address is that of ${what} itself, which answers to a ping alone`,
  no_gateway_host: (what) => `no host has the physical network that the gateway of ${what} is on`,
  segments_apart: (what) =>
    `the two are on different segments of ${what}, which nothing of the cloud joins; a router of the fabric would`,
  host_without_segment: (what) => `a host of the two has none of the physical networks of ${what}`,
  floating_ip_unassigned: (what) => `${what} stands for no port`,
  port_not_forwarded: (what) => `${what} has port forwardings, and none for that port`,
  local_ip_without_port: (what) =>
    `the address is a local IP's alone, of ${what}, and leads to no port of the asker's host there`,
  local_ip_not_allowed: (what) => `${what} is passed a local IP that is none of its allowed address pairs`,
  answer_from_another_address: (what) =>
    `the answer of ${what} comes back another way than past the router that translated the question`,
  loop: (what) => `routers send it round, ${what} among them`,
  beyond_sight: () => 'something that is not yours does not let it through',
};

const stopSentence = ({ kind, id, reason }: Stop): string =>
  sentences[reason](id === null ? named[kind] : `${named[kind]} ${id}`);

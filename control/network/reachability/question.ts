/** What is asked, and the words of the answer: shapes, and how one of them is made. The native API speaks them as they are. */
import type { IpVersion } from '../../kit/address.ts';
import type { PortRow } from '../ovn/model.ts';

/** Addresses in canonical text. */
export interface Packet {
  version: IpVersion;
  source: string;
  destination: string;
  /** IANA's number. */
  protocol: number;
  /**
   * Of TCP, UDP and their like. An answer goes to a port that its asker's system chose: 'ephemeral', one of 32768 to 60999 (Linux' default).
   * Null: the protocol has none, or any is meant.
   */
  destinationPort: number | 'ephemeral' | null;
  /** ICMP's type, code 0. */
  icmpType: number | null;
}

/** One end: a port of the cloud, by the one of its addresses or by whichever fits; or an address, whoever has it. */
export type End = { port: string; address?: string } | { address: string; port?: undefined };

export interface Question {
  from: End;
  to: End;
  version: IpVersion;
  protocol: number;
  port: number | null;
}

export type HopKind = 'port' | 'network' | 'router' | 'floating_ip' | 'outside' | 'security_group_rule';

/** A thing that the packet passes, in order. */
export interface Hop {
  kind: HopKind;
  id: string | null;
  /** What happens there: 'leaves', 'allowed', 'enters', 'route', 'snat', 'dnat', 'arrives', … */
  does: string;
  /** As the packet leaves it. */
  source: string;
  destination: string;
  /** Of a router: where to next. */
  via?: string;
}

export type StopKind = Exclude<HopKind, 'security_group_rule'> | 'security_group' | 'subnet';

/** What ends the way. */
export interface Stop {
  /** The way there, or the answer's way back. */
  way: 'there' | 'back';
  kind: StopKind;
  id: string | null;
  /** See README.md. */
  reason: StopReason;
  /** Any one of them opens this stop; none: nothing that an API does alone. */
  opens: Opening[];
}

export type StopReason =
  | 'port_disabled'
  | 'port_not_up'
  | 'no_address'
  | 'network_disabled'
  | 'egress_rule_missing'
  | 'ingress_rule_missing'
  | 'tracked_one_way'
  | 'no_gateway'
  | 'gateway_unknown'
  | 'address_unknown'
  | 'address_of_nat64'
  | 'router_disabled'
  | 'no_route'
  | 'no_gateway_host'
  | 'segments_apart'
  | 'host_without_segment'
  | 'behind_nat'
  | 'router_serves_nothing'
  | 'floating_ip_unassigned'
  | 'port_not_forwarded'
  | 'local_ip_without_port'
  | 'local_ip_not_allowed'
  | 'answer_from_another_address'
  | 'loop'
  | 'beyond_sight';

/** A request to one of the network's resources that takes the stop away. */
export interface Opening {
  action: 'create' | 'update';
  resource: 'security_group_rule' | 'port' | 'router' | 'network';
  /** Of what is updated. */
  id: string | null;
  values: Record<string, unknown>;
}

/** What this cloud does not decide, and the answer rests on. */
export type Assumption =
  | 'outside_answers'
  | 'outside_routes_here'
  | 'any_default_route'
  | 'any_of_nat64'
  | 'on_one_segment'
  | 'guest_forwards'
  | 'guest_has_address'
  | 'answer_untracked';

/** Where a way ended. */
export type Arrival = { at: 'port'; port: PortRow } | { at: 'router' } | { at: 'outside'; network: string };

export interface Answer {
  reachable: boolean;
  there: Hop[];
  back: Hop[];
  /** In the order of the way; the first is what stops a packet today. */
  stops: Stop[];
  assumptions: Assumption[];
}

export const update = (resource: Opening['resource'], id: string, values: Record<string, unknown>): Opening => ({
  action: 'update',
  resource,
  id,
  values,
});

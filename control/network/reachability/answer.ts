/** What one question of several ways is answered with: a server's cards, both IP versions, all ports of a protocol. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import { type IpVersion, parseIp } from '../../kit/address.ts';
import { protocols } from '../security-group/rules.ts';
import type { Ground } from './ground.ts';
import { openPorts, type PortRange } from './open-ports.ts';
import type { Answer, End, Question } from './question.ts';
import { reach } from './reach.ts';

/** Of TCP, UDP and their like: those that have ports. */
const withPorts = new Set(['tcp', 'udp', 'udplite', 'sctp', 'dccp'].map((name) => protocols[name]!));

export interface Asked {
  /** The id of a port or a server, or an address. */
  from: string;
  to: string;
  /** Default: that of an address among the ends; else 4 where it gets there, else 6. */
  version?: IpVersion;
  /** A name of IANA's that rules know, or a number 0 to 255. Default: ICMP's echo. */
  protocol?: string;
  /** Default: all of the protocol's. */
  port?: number;
}

export interface Told extends Answer {
  from: End;
  to: End;
  version: IpVersion;
  protocol: number;
  /** Null: it has none, or none was named. */
  port: number | null;
  /** Where no port was named of a protocol that has some: those that get there. */
  openPorts: PortRange[] | null;
}

/** How it is asked for, whoever asks whom. */
export type Shape = Omit<Question, 'from' | 'to' | 'version'>;

export interface Ways {
  from: readonly End[];
  to: readonly End[];
  versions: readonly IpVersion[];
  shape: Shape;
}

/** The first way that gets there, else the first of all: a server's cards and the IP versions are alternatives. */
export function answerOf(ground: Ground, { from, to, versions, shape }: Ways): Told {
  let first: Told | undefined;
  for (const version of versions) {
    for (const pair of from.flatMap((one) => to.map((other) => ({ from: one, to: other })))) {
      const found = decide(ground, { ...pair, version, ...shape });
      if (found.reachable) return found;
      // Where an end has no address of a version, nothing was tried.
      if (!first || first.stops[0]?.reason === 'no_address') first = found;
    }
  }
  return first!;
}

function decide(ground: Ground, question: Question): Told {
  const { from, to, version, protocol, port } = question;
  const which = { from, to, version, protocol, port };
  if (port !== null || !withPorts.has(protocol)) return { ...reach(ground, question), ...which, openPorts: null };
  const { open, answer } = openPorts(ground, question);
  return { ...answer, ...which, openPorts: open };
}

/** @throws CloudError `invalid` */
export function readShape({ protocol: given = 'icmp', port }: Pick<Asked, 'protocol' | 'port'>): Shape {
  const name = given.toLowerCase();
  const protocol = Object.hasOwn(protocols, name) ? protocols[name]! : /^\d{1,3}$/.test(name) ? Number(name) : 256;
  if (protocol > 255) throw new CloudError('invalid', 'reachability_protocol_unknown', { protocol: given });
  if (port !== undefined && !withPorts.has(protocol)) {
    throw new CloudError('invalid', 'reachability_protocol_without_ports', { protocol: given });
  }
  return { protocol, port: port ?? null };
}

/** @throws CloudError `invalid` where the ends, or one and what was asked, are of different versions */
export function versionsOf(ends: readonly End[], wanted: IpVersion | undefined): readonly IpVersion[] {
  const named = new Set(ends.flatMap((end) => (end.address === undefined ? [] : parseIp(end.address)!.version)));
  if (wanted !== undefined) named.add(wanted);
  if (named.size > 1) throw new CloudError('invalid', 'reachability_versions_differ', {});
  return named.size === 0 ? [4, 6] : [...named];
}

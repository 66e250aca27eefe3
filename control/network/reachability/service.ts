/** The question as a dialect may put it: who asks, about ends as people name them. Reads only. */
import { CloudError } from '../../../contract/errors.ts';
import { type IpVersion, parseIp } from '../../kit/address.ts';
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { protocols } from '../security-group/rules.ts';
import { findEnds, requireOwnEnd } from './ends.ts';
import type { Ground } from './ground.ts';
import { loadGround } from './load.ts';
import { openPorts, type PortRange } from './open-ports.ts';
import type { Answer, End, Question } from './question.ts';
import { reach } from './reach.ts';
import { asSeen } from './sight.ts';

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

type Shape = Omit<Question, 'from' | 'to' | 'version'>;

export class ReachabilityService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /**
   * @throws CloudError `invalid` for what can be no question; `not_found` for an end that the caller does not see; `conflict` for an
   * address that several of its ports have
   */
  async ask(caller: Caller, asked: Asked): Promise<Told> {
    if (!isAdmin(caller)) requireProject(caller, 'ask for reachability');
    const shape = readShape(asked);
    const db = this.#database.query;
    const [from, to] = await Promise.all([
      findEnds(db, caller, 'from', asked.from),
      findEnds(db, caller, 'to', asked.to),
    ]);
    const versions = versionsOf([...from, ...to], asked.version);
    await requireOwnEnd(db, caller, from, to);
    const ground = await loadGround(db, [...from, ...to]);
    const told = firstReachable(
      from.flatMap((one) => to.map((other) => ({ from: one, to: other }))),
      versions,
      (question) => decide(ground, { ...question, ...shape }),
    );
    return { ...told, ...(await asSeen(this.#database, caller, told)) };
  }
}

/** The first way that gets there, else the first of all: a server's cards and the IP versions are alternatives. */
function firstReachable(
  pairs: readonly Pick<Question, 'from' | 'to'>[],
  versions: readonly IpVersion[],
  told: (question: Omit<Question, keyof Shape>) => Told,
): Told {
  let first: Told | undefined;
  for (const version of versions) {
    for (const pair of pairs) {
      const found = told({ ...pair, version });
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
function versionsOf(ends: readonly End[], wanted: IpVersion | undefined): readonly IpVersion[] {
  const named = new Set(ends.flatMap((end) => (end.address === undefined ? [] : parseIp(end.address)!.version)));
  if (wanted !== undefined) named.add(wanted);
  if (named.size > 1) throw new CloudError('invalid', 'reachability_versions_differ', {});
  return named.size === 0 ? [4, 6] : [...named];
}

/**
 * Whether a packet gets there and its answer back: a pure function of the cloud's rows (ground.ts). A connection is what a tenant means by
 * "can A reach B": so both ways count, with what routers and rules remember of the first for the second.
 */
import { parseIp, within } from '../../kit/address.ts';
import type { PortRow } from '../ovn/model.ts';
import type { Ground } from './ground.ts';
import type { Answer, Arrival, Assumption, Packet, Question, Stop } from './question.ts';
import { Walk } from './walk.ts';

const [icmp, icmpv6] = [1, 58];
const echo = { request: { 4: 8, 6: 128 }, reply: { 4: 0, 6: 129 } } as const;

export interface Reached {
  answer: Answer;
  /** The last port, from the question's own, to which it is reachable, or not, as it is here. Less than that one: nobody knows. */
  until: number;
}

/** @throws where the question names a port that is not among the rows: a defect of the caller */
export const reach = (ground: Ground, question: Question): Answer => reachFrom(ground, question).answer;

/** The same, with what it says of the ports that follow. */
export function reachFrom(ground: Ground, question: Question): Reached {
  const { version } = question;
  const [from, to] = [portOf(ground, question.from), portOf(ground, question.to)];
  const source = question.from.address ?? sourceOf(ground, from!, question);
  const destination = question.to.address ?? destinationOf(ground, to!, from, version);
  if (source === undefined || destination === undefined) {
    const port = source === undefined ? from! : to!;
    const stop: Stop = { way: 'there', kind: 'port', id: port.id, reason: 'no_address', opens: [] };
    return { answer: { reachable: false, there: [], back: [], stops: [stop], assumptions: [] }, until: 65_535 };
  }
  const isIcmp = question.protocol === icmp || question.protocol === icmpv6;
  const packet: Packet = {
    ...{ version, source, destination },
    protocol: isIcmp ? (version === 4 ? icmp : icmpv6) : question.protocol,
    destinationPort: isIcmp ? null : question.port,
    icmpType: isIcmp ? echo.request[version] : null,
  };
  const there = new Walk(ground, packet);
  const arrival = from ? there.fromPort(from) : there.fromOutside();
  if (!arrival) return reached(there);
  return comeBack(ground, { packet, from, there, arrival });
}

interface Arrived {
  packet: Packet;
  from: PortRow | undefined;
  there: Walk;
  arrival: Arrival;
}

function comeBack(ground: Ground, { packet, from, there, arrival }: Arrived): Reached {
  // A router's answer to a ping comes from where the packet went in; nothing on the way asks again.
  if (arrival.at === 'router') return reached(there);
  const seen = there.packet;
  const reply: Packet = {
    ...seen,
    source: seen.destination,
    destination: seen.source,
    destinationPort: seen.destinationPort === null ? null : 'ephemeral',
    icmpType: seen.icmpType === null ? null : echo.reply[seen.version],
  };
  const back = new Walk(ground, reply, there);
  if (arrival.at === 'outside') there.assumptions.add('outside_answers');
  if (there.assumptions.has('guest_forwards')) return reached(there);
  const home = arrival.at === 'port' ? back.fromPort(arrival.port) : back.fromOutside(arrival.network);
  if (!home) return reached(there, back);
  const { source, destination } = back.packet;
  if (source !== packet.destination || destination !== packet.source) {
    const stop: Stop = { way: 'back', kind: 'outside', id: null, reason: 'answer_from_another_address', opens: [] };
    if (from) [stop.kind, stop.id] = ['port', from.id];
    back.stops.push(stop);
  }
  return reached(there, back);
}

function reached(there: Walk, back?: Walk): Reached {
  const all = answer(there, back);
  const until = all.reachable ? there.samePorts : Math.max(there.stoppedPorts, back?.stoppedPorts ?? 0);
  // A way that only this port goes tells nothing of others.
  return { answer: all, until: there.samePorts === 0 ? 0 : until };
}

function answer(there: Walk, back?: Walk): Answer {
  const stops = [...there.stops, ...(back?.stops ?? [])];
  const assumptions = new Set<Assumption>([...there.assumptions, ...(back?.assumptions ?? [])]);
  return {
    reachable: stops.length === 0,
    there: there.hops,
    back: back?.hops ?? [],
    stops,
    assumptions: [...assumptions].sort(),
  };
}

function portOf(ground: Ground, end: Question['from']): PortRow | undefined {
  if (end.port === undefined) return undefined;
  const port = ground.ports.get(end.port);
  if (!port) throw new Error(`the question's port ${end.port} is not among its rows`);
  return port;
}

/** A guest sends from the address that is on the network of what it sends to, else from its first one. */
function sourceOf(ground: Ground, from: PortRow, { to, version }: Question): string | undefined {
  const own = ground.addressesOf(from, version);
  const { address, port } = to;
  const wanted = address === undefined ? (ground.ports.get(port!)?.ips.map(({ ip }) => ip) ?? []) : [address];
  return (own.find(({ subnet }) => wanted.some((address) => isOn(subnet.range, address))) ?? own[0])?.ip;
}

function destinationOf(ground: Ground, to: PortRow, from: PortRow | undefined, version: 4 | 6): string | undefined {
  const own = ground.addressesOf(to, version);
  const near = from ? ground.addressesOf(from, version).map(({ subnet }) => subnet.id) : [];
  return (own.find(({ subnet }) => near.includes(subnet.id)) ?? own[0])?.ip;
}

const isOn = (range: Parameters<typeof within>[0], address: string): boolean =>
  parseIp(address)?.version === range.version && within(range, address);

/**
 * Which logical flows of OVN each packet of a router's gateway, of a floating IP, or of what metering labels name, passes exactly once each way. Read of the southbound database
 * as northd of OVN 23.03 writes it; a flow that says something else meters nothing. Pure.
 *
 *   lr_in_admission  eth.dst == … && inport == "router-port-…" [&& is_chassis_resident(…)]   what the gateway takes in
 *   lr_out_delivery  outport == "router-port-…"                                              what it gives out
 *   lr_in_unsnat     ip && ip4.dst == <floating IP> && …                                     to it, before anything is translated
 *   lr_out_undnat    ip && ip4.src == <fixed IP> && …                                        from it, likewise
 *
 *   lr_in_policy     inport == "router-port-…" && ip4 && ip4.src == <prefix> && …           a policy that counts for labels, as control writes it
 *
 * Both flows of one NAT row carry the beginning of its UUID as a hint, and the flow of a policy that of the policy's.
 */
import { map, type OvsdbClient, type Row, text } from '../../protocols/ovsdb/index.ts';
import type { RouterCounter } from '../host-network.ts';

const meteredStages = ['lr_in_admission', 'lr_out_delivery', 'lr_in_unsnat', 'lr_out_undnat', 'lr_in_policy'] as const;

export const southboundTables = {
  Logical_Flow: ['logical_datapath', 'match', 'external_ids'],
  Datapath_Binding: ['external_ids'],
} as const;

/** Flows of these stages alone are copied: of the tens of thousands a few for each router and floating IP. */
export const southboundConditions = {
  Logical_Flow: meteredStages.map((stage) => ['external_ids', 'includes', ['map', [['stage-name', stage]]]]),
};

export interface RouterFlows {
  routerId: string;
  /** With neither of the two: what passes the router's gateway. */
  floatingIp?: string;
  counted?: RouterCounter['counted'];
  /** What the flows are of, among all that have been. */
  key: string;
  /** As OVN gives them to the switch. */
  rx: number[];
  tx: number[];
}

export function routerFlows({ replica }: Pick<OvsdbClient, 'replica'>): RouterFlows[] {
  const routers = new Map<string, string>();
  for (const [uuid, row] of replica.rows('Datapath_Binding')) {
    const id = /^router-([0-9a-f-]{36})$/.exec(map(row, 'external_ids').name ?? '')?.[1];
    if (id !== undefined) routers.set(uuid, id);
  }
  const rows = [...replica.rows('Logical_Flow').values()].flatMap((row) => {
    const routerId = routers.get((row.logical_datapath as string | null) ?? '');
    return routerId === undefined ? [] : [{ routerId, ...flowOf(row) }];
  });
  const gateways = new Set(rows.flatMap(({ match }) => /"cr-(router-port-[0-9a-f-]{36})"/.exec(match)?.[1] ?? []));
  const found = new Map<string, RouterFlows>();
  const of = (flows: Omit<RouterFlows, 'rx' | 'tx'>) => {
    const known = found.get(flows.key) ?? { ...flows, rx: [], tx: [] };
    found.set(flows.key, known);
    return known;
  };
  const addresses = new Map<string, string>();
  for (const { stage, routerId, hint, match, cookie } of rows) {
    const counted = stage === 'lr_in_policy' && hint ? countedOf(match) : undefined;
    if (counted) of({ routerId, counted, key: `${routerId}/policy/${hint}` })[wayOf[counted.direction]].push(cookie);
    const port = /(?:in|out)port == "(router-port-[0-9a-f-]{36})"/.exec(match)?.[1] ?? '';
    const key = `${routerId}/${port}`;
    if (stage === 'lr_in_admission' && match.startsWith('eth.dst == ') && gateways.has(port))
      of({ routerId, key }).rx.push(cookie);
    if (stage === 'lr_out_delivery' && gateways.has(port)) of({ routerId, key }).tx.push(cookie);
    const floatingIp = /ip[46]\.dst == ([0-9a-f.:]+) /.exec(match)?.[1];
    if (stage !== 'lr_in_unsnat' || !floatingIp || !hint) continue;
    addresses.set(`${routerId}/${hint}`, floatingIp);
    of({ routerId, floatingIp, key: `${routerId}/${hint}` }).rx.push(cookie);
  }
  for (const { stage, routerId, hint, cookie } of rows) {
    const floatingIp = addresses.get(`${routerId}/${hint}`);
    if (stage === 'lr_out_undnat' && floatingIp)
      of({ routerId, floatingIp, key: `${routerId}/${hint}` }).tx.push(cookie);
  }
  // The address that a whole subnet leaves by is nobody's floating IP: nothing is turned back into it one to one.
  return [...found.values()].filter(({ floatingIp, tx }) => floatingIp === undefined || tx.length > 0);
}

const wayOf = { ingress: 'rx', egress: 'tx' } as const;

/** Undefined: a policy that is none of the labels'. An end that is not named is every address. */
function countedOf(match: string): RouterFlows['counted'] {
  const found =
    /^(in|out)port == "router-port-[0-9a-f-]{36}" && ip([46])(?: && ip\2\.src == ([0-9a-f.:/]+))?(?: && ip\2\.dst == ([0-9a-f.:/]+))?$/.exec(
      match,
    );
  if (!found) return undefined;
  const [, way, version, source, destination] = found;
  const every = version === '4' ? '0.0.0.0/0' : '::/0';
  return {
    direction: way === 'in' ? 'ingress' : 'egress',
    source: source ?? every,
    destination: destination ?? every,
  };
}

function flowOf(row: Row) {
  const ids = map(row, 'external_ids');
  return {
    stage: ids['stage-name'],
    hint: ids['stage-hint'],
    match: text(row, 'match'),
    // ovn-controller: the first 32 bits of the logical flow's UUID.
    cookie: Number.parseInt(row._uuid.slice(0, 8), 16),
  };
}

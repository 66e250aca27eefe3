/** Agents, availability zones and addresses in use: what administrators and the client's pickers look at. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import type {
  HostBandwidthUse,
  NetworkHost,
  NetworkInventory,
  NetworkUse,
} from '../../../control/network/inventory.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { type Attributes, badRequest, boolean, nullable, readPut, text } from './attributes.ts';
import { many, putBody } from './contracts.ts';
import type { RawQuery } from './list-query.ts';
import { time } from './resource.ts';
import { shortList, shortQuery } from './short-list.ts';

const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

function agentView(host: NetworkHost) {
  const seen = host.last_seen_at ?? host.created_at;
  return {
    id: host.id,
    agent_type: 'OVN Controller agent',
    binary: 'ovn-controller',
    host: host.name,
    topic: 'n/a',
    availability_zone: host.availability_zone,
    alive: host.connected,
    // As with OVN in Neutron: it cannot be switched off.
    admin_state_up: true,
    description: host.agent_description,
    configurations: { 'bridge-mappings': host.physical_networks, ...bandwidthsOf(host) },
    resources_synced: null,
    created_at: agentTime(host.created_at),
    started_at: agentTime(host.created_at),
    heartbeat_timestamp: agentTime(seen),
  };
}

/** In the words of Neutron's other agents; what is promised of it, Placement would tell. */
function bandwidthsOf({ bandwidths }: NetworkHost) {
  if (!bandwidths) return {};
  const by = (of: (one: HostBandwidthUse) => object) =>
    Object.fromEntries(bandwidths.map((one) => [one.physical_network || 'rp_tunnelled', of(one)]));
  return {
    resource_provider_bandwidths: by(({ egress_kbps: egress, ingress_kbps: ingress }) => ({ egress, ingress })),
    promised_bandwidths: by(({ used_egress_kbps: egress, used_ingress_kbps: ingress }) => ({ egress, ingress })),
  };
}

/** Agents' times have a space where others have a T. */
const agentTime = (at: Date): string => time(at).replace('T', ' ').replace('Z', '');

/** JSON's numbers end before IPv6 does; Python reads any integer, so the digits go out whole. */
class BigNumber {
  readonly #value: bigint;
  constructor(value: bigint) {
    this.#value = value;
  }
  toJSON(): unknown {
    return this.#value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(this.#value)
      : (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(this.#value.toString());
  }
}

const useView = (use: NetworkUse) => ({
  network_id: use.network_id,
  network_name: use.network_name,
  project_id: use.project_id,
  tenant_id: use.project_id,
  total_ips: new BigNumber(use.subnets.reduce((sum, { total }) => sum + total, 0n)),
  used_ips: use.subnets.reduce((sum, { used }) => sum + used, 0),
  subnet_ip_availability: use.subnets.map(({ used, total, ...subnet }) => ({
    ...subnet,
    total_ips: new BigNumber(total),
    used_ips: used,
  })),
});

const bandwidthShown = Type.Record(Type.String(), a.record({ egress: a.integer, ingress: a.integer }));

const agentAnswer = a.record({
  id: a.id,
  ...Object.fromEntries(
    ['agent_type', 'binary', 'host', 'topic', 'availability_zone', 'description', 'created_at', 'started_at']
      .concat('heartbeat_timestamp')
      .map((name) => [name, a.text]),
  ),
  alive: a.boolean,
  admin_state_up: a.boolean,
  configurations: a.record({
    'bridge-mappings': a.texts,
    resource_provider_bandwidths: Type.Optional(bandwidthShown),
    promised_bandwidths: Type.Optional(bandwidthShown),
  }),
  resources_synced: a.nothing,
});
/** May be greater than JavaScript's integers. */
const count = Type.Number();
const useAnswer = a.record({
  network_id: a.id,
  network_name: a.text,
  project_id: a.id,
  tenant_id: a.id,
  total_ips: count,
  used_ips: a.integer,
  subnet_ip_availability: a.list({
    subnet_id: a.id,
    subnet_name: a.text,
    cidr: a.text,
    ip_version: a.one(4, 6),
    total_ips: count,
    used_ips: a.integer,
  }),
});
const agentFilters = [
  ...(['id', 'agent_type', 'binary', 'topic', 'host', 'availability_zone'] as const),
  ...(['admin_state_up', 'alive', 'description'] as const),
];
const zoneFilters = ['name', 'resource', 'state'] as const;
const zoneAnswer = a.record({ name: a.text, resource: a.text, state: a.text });
const queryOf = (...names: string[]) =>
  Type.Object(Object.fromEntries(names.map((name) => [name, Type.Optional(many)])));
const attributes: Attributes = {
  description: { to: 'agent_description', put: true, read: nullable(text(255)) },
  admin_state_up: { put: true, read: boolean },
};
const changeOf = (body: unknown) =>
  readPut('agent', attributes, body) as { agent_description?: string | null; admin_state_up?: boolean };
const contracts = {
  agents: {
    summary: 'List agents: hosts of the network, for administrators',
    rights: 'caller',
    query: shortQuery(...agentFilters),
    answers: { 200: a.record({ agents: Type.Array(Type.Partial(agentAnswer)) }) },
  },
  agent: { summary: 'Show an agent', rights: 'admin', answers: { 200: a.record({ agent: agentAnswer }) } },
  change: {
    summary: 'Change the description of an agent',
    rights: 'admin',
    body: putBody({ single: 'agent', attributes }),
    answers: { 200: a.record({ agent: agentAnswer }) },
    explain: { body: changeOf },
  },
  remove: { summary: 'Delete an agent: refused, it goes with its host', rights: 'admin', answers: { 204: null } },
  zones: {
    summary: 'List availability zones',
    rights: 'caller',
    query: shortQuery(...zoneFilters),
    answers: { 200: a.record({ availability_zones: Type.Array(Type.Partial(zoneAnswer)) }) },
  },
  uses: {
    summary: 'List addresses used and free',
    rights: 'admin',
    query: queryOf('network_id', 'network_name', 'project_id', 'tenant_id', 'ip_version'),
    answers: { 200: a.record({ network_ip_availabilities: Type.Array(useAnswer) }) },
  },
  use: {
    summary: 'Show addresses used and free in a network',
    rights: 'admin',
    answers: { 200: a.record({ network_ip_availability: useAnswer }) },
  },
} as const;

const noAgent = (id: string) => new CloudError('not_found', 'agent_not_found', { id: id.slice(0, 80) });

function agentId(request: FastifyRequest): string {
  const { id } = request.params as { id: string };
  const parsed = parseId(id);
  if (parsed === undefined) throw noAgent(id);
  return parsed;
}

export function addInventory(app: Boundary, inventory: NetworkInventory): void {
  app.get('/v2.0/agents', contracts.agents, async (request) => {
    const agents = (await inventory.hosts(callerOf(request))).map(agentView);
    return { agents: shortList(agents, request.query as RawQuery, agentFilters) };
  });
  app.get('/v2.0/agents/:id', contracts.agent, async (request) => {
    const { id } = request.params as { id: string };
    const host = await inventory.host(callerOf(request), parseId(id) ?? '');
    if (!host) throw noAgent(id);
    return { agent: agentView(host) };
  });
  app.put('/v2.0/agents/:id', contracts.change, async (request) => {
    const { admin_state_up: up, agent_description: note } = changeOf(request.body);
    if (up === false) throw badRequest('Bad agent request: OVN agent status cannot be updated.');
    const change = note === undefined ? {} : { agent_description: note ?? '' };
    return { agent: agentView(await inventory.describe(callerOf(request), agentId(request), change)) };
  });
  app.delete('/v2.0/agents/:id', contracts.remove, (request) => inventory.remove(callerOf(request), agentId(request)));
  app.get('/v2.0/availability_zones', contracts.zones, async (request) => {
    const zones = (await inventory.zones()).flatMap((name) =>
      ['network', 'router'].map((resource) => ({ name, resource, state: 'available' })),
    );
    return { availability_zones: shortList(zones, request.query as RawQuery, zoneFilters) };
  });
  app.get('/v2.0/network-ip-availabilities', contracts.uses, async (request) => {
    const raw = request.query as RawQuery;
    const filter: Parameters<NetworkInventory['addresses']>[1] = {};
    const [network, name, project, version] = [
      one(raw.network_id),
      one(raw.network_name),
      one(raw.project_id ?? raw.tenant_id),
      one(raw.ip_version),
    ];
    const ids = [network, project].filter((id) => id !== undefined);
    if (ids.some((id) => parseId(id) === undefined)) return { network_ip_availabilities: [] };
    if (network !== undefined) filter.networkId = parseId(network)!;
    if (name !== undefined) filter.networkName = name;
    if (project !== undefined) filter.projectId = parseId(project)!;
    if (version !== undefined) filter.ipVersion = version === '6' ? 6 : 4;
    return { network_ip_availabilities: (await inventory.addresses(callerOf(request), filter)).map(useView) };
  });
  app.get('/v2.0/network-ip-availabilities/:id', contracts.use, async (request) => {
    const { id } = request.params as { id: string };
    const networkId = parseId(id);
    if (networkId === undefined) throw notFound('network', id.slice(0, 80));
    return { network_ip_availability: useView(await inventory.addressesOf(callerOf(request), networkId)) };
  });
}

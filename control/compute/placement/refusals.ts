/**
 * What a host says that refuses a server, in one table: in words, with numbers and names, what would end it, and how far away that is.
 * Pure. A refusal that is not in the table does not compile.
 */
import { isReached } from '../../network/segment/reach.ts';
import type { PlacementGroup } from './groups.ts';
import { unmet } from './host-wish.ts';
import type { Failed, HostCapacity, HostVerdict, PlacementRequest, Refusal } from './request.ts';

type Told = Omit<Failed, 'check'>;

export interface Asked {
  request: PlacementRequest;
  host: HostCapacity;
  /** What is left there. */
  free: HostVerdict['free'];
  group?: PlacementGroup | undefined;
}

interface Meaning {
  /** What the tenant hears of 'a host' or 'every host'. */
  says: string;
  /** What the tenant could do, from their side. */
  fix: string;
  /**
   * How far away its end is: a smaller wish is nearer than another one, what who asks can change alone is nearer than what others must
   * do, and that is nearer than a machine that must be mended.
   */
  cost: number;
  tell(asked: Asked): Told;
  /** What administrators could do, with names and numbers. */
  change(failed: Told, host: string): string;
}

const missing = ({ wanted, there }: Told): number => Number(wanted) - Number(there);
const listed = (value: Told['there']): string => (Array.isArray(value) ? value.join(', ') || 'nothing' : `${value}`);

/** Whose word it was, as far as it is known. */
function whose({ said }: Told): string {
  const { reason = null, by = null } = said ?? {};
  const who = by === null ? '' : ` by ${by.user_name} at ${by.at}`;
  return `${who}${reason === null ? '' : `, because of: ${reason}`}`;
}

const smaller = { cost: 1 };
const otherwise = { cost: 5 };
const byOthers = { cost: 10 };
const repaired = { cost: 15 };

export const meanings: Readonly<Record<Refusal, Meaning>> = {
  other_host_requested: {
    says: 'is not the requested host',
    fix: 'do not ask for a certain host',
    ...otherwise,
    tell: ({ request, host }) => ({ wanted: request.only ?? request.requested_host_id ?? '', there: host.id }),
    change: (_, host) => `do not ask for a certain host, or ask for ${host}`,
  },
  excluded: {
    says: 'is left out by who asks',
    fix: 'let the host that was left out be used',
    ...otherwise,
    tell: () => ({}),
    change: (_, host) => `do not leave ${host} out`,
  },
  volumes_elsewhere: {
    says: 'does not have the volumes of the server',
    fix: 'use volumes that are where there is room for the server',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: request.volume_host_id ?? '', there: host.id }),
    change: (_, host) => `move its volumes to ${host}`,
  },
  volumes_refused: {
    says: 'has no pool that takes the volumes of the server',
    fix: 'use smaller volumes or another volume type',
    ...otherwise,
    tell: () => ({}),
    change: (_, host) => `pools on ${host} that take its volumes`,
  },
  other_zone: {
    says: 'is in another availability zone',
    fix: 'do not ask for a certain availability zone, or ask for another',
    ...otherwise,
    tell: ({ request, host }) => ({ wanted: request.availability_zone ?? '', there: host.availability_zone }),
    change: ({ there }, host) => `ask for availability zone '${there}', where ${host} is`,
  },
  disabled: {
    says: 'is closed for new servers',
    fix: 'ask the administrators to open a host',
    ...byOthers,
    tell: ({ host }) => ({ said: { reason: host.disabled_reason ?? null, by: host.disabled_by ?? null } }),
    change: (told, host) => `open ${host}, closed for new servers${whose(told)}`,
  },
  forced_down: {
    says: 'is down by an administrator’s word',
    fix: 'ask the administrators to take back that a host is down',
    ...byOthers,
    tell: ({ host }) => ({ said: { reason: null, by: host.forced_down_by ?? null } }),
    change: (told, host) => `take back that ${host} is down, said${whose(told)}`,
  },
  disconnected: {
    says: 'is not connected',
    fix: 'try again when the hosts are back',
    ...repaired,
    tell: ({ host }) => ({ there: host.last_seen == null ? null : new Date(host.last_seen).toISOString() }),
    change: ({ there }, host) => `bring ${host} back, ${there === null ? 'never seen yet' : `last seen at ${there}`}`,
  },
  in_standby: {
    says: 'is switched off while nobody needs it',
    fix: 'try again when the host has been woken',
    ...byOthers,
    tell: ({ host: { standby } }) => ({ wanted: 0, there: standby?.seconds ?? 0, unit: 's' }),
    change: ({ there }, host) => `wait some ${there} s until ${host}, which is in standby, has been woken`,
  },
  too_few_vcpus: {
    says: 'has too few vCPUs free',
    fix: 'use a flavor with fewer vCPUs or delete a server',
    ...smaller,
    tell: ({ request, free }) => ({ wanted: request.vcpus, there: free.vcpus, unit: 'vcpus' }),
    change: (told, host) => `${missing(told)} more vCPUs on ${host}`,
  },
  too_little_memory: {
    says: 'has too little memory free',
    fix: 'use a flavor with less memory or delete a server',
    ...smaller,
    tell: ({ request, free }) => ({ wanted: request.memory_mib, there: free.memory_mib, unit: 'MiB' }),
    change: (told, host) => `${missing(told)} MiB more memory on ${host}`,
  },
  too_little_disk: {
    says: 'has too little disk free',
    fix: 'use a flavor with a smaller disk or delete a server',
    ...smaller,
    tell: ({ request, free }) => ({ wanted: request.disk_gib, there: free.disk_gib, unit: 'GiB' }),
    change: (told, host) => `${missing(told)} GiB more disk on ${host}`,
  },
  kept_for_lost_hosts: {
    says: 'keeps what it has free for servers of a host that may be lost',
    fix: 'use a smaller flavor or delete a server',
    ...smaller,
    tell: ({ host: { kept } }) => ({
      wanted: [],
      there: [`${kept?.vcpus ?? 0} vCPUs`, `${kept?.memory_mib ?? 0} MiB`, `${kept?.disk_gib ?? 0} GiB`],
    }),
    change: ({ there }, host) =>
      `more room on ${host}, which keeps ${listed(there)} for servers of a host that may be lost`,
  },
  too_little_bandwidth: {
    says: 'has too little bandwidth left to promise',
    fix: 'use ports with a lower minimum bandwidth or delete a server that has one',
    ...smaller,
    tell: ({ request, free }) => scarcest(request, free),
    change: (told, host) => `${missing(told)} kbit/s more to promise on ${host}`,
  },
  network_not_reached: {
    says: 'does not reach one segment of each of the ports’ networks, with addresses left',
    fix: 'use networks that more hosts reach',
    ...byOthers,
    tell: ({ request, host: { physical_networks: there = [] } }) => ({
      wanted: (request.reach ?? []).filter((one) => !isReached(there, [one])).map(({ any }) => any.join(' or ')),
      there,
    }),
    change: ({ wanted, there }, host) =>
      `let ${host} reach ${listed(wanted)}, alone of its network; it reaches ${listed(there)}`,
  },
  tunnel_broken: {
    says: 'has no tunnel that carries whole frames to each host that the server’s networks are on',
    fix: 'ask the administrators to mend the tunnels between the hosts',
    ...repaired,
    tell: ({ request, host }) => ({
      wanted: [],
      there: (host.broken_tunnels ?? [])
        .filter(({ host_id }) => request.peers?.includes(host_id))
        .map(({ name, fault }) => `${name} (${fault})`),
    }),
    change: ({ there }, host) =>
      `let UDP 6081 pass between ${host} and ${listed(there)}, both ways, with packets of 1500 bytes (by IPv6 1520)`,
  },
  volume_unopenable: {
    says: 'can not open a volume of the server',
    fix: 'use volumes that are well',
    ...repaired,
    tell: ({ request }) => ({ wanted: [], there: request.unopenable ?? [] }),
    change: ({ there }, host) => `let ${host} open ${listed(there)}`,
  },
  image_unreachable: {
    says: 'gets the image from nobody: the hosts that have it are away',
    fix: 'use an image that a host has which is there',
    ...repaired,
    tell: () => ({}),
    change: (_, host) => `bring back a host that has the image, then ${host} gets it`,
  },
  unable_to_migrate: {
    says: 'takes no part in migrations of this kind',
    fix: 'ask the administrators for a host that takes part in migrations',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: request.migration ?? '', there: host.migrations ?? [] }),
    change: ({ wanted }, host) => `a newer Bothy on ${host}, which takes part in ${wanted} migrations`,
  },
  trait_missing: {
    says: 'does not have a trait that the flavor or the image requires',
    fix: 'use a flavor and an image that do not require the trait',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: unmet(host, request.host_wish ?? {}).missing, there: host.traits ?? [] }),
    change: ({ wanted }, host) => `drop trait ${listed(wanted)} of the flavor or image, or give it to ${host}`,
  },
  trait_forbidden: {
    says: 'has a trait that the flavor or the image forbids',
    fix: 'use a flavor and an image that do not forbid the trait',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: [], there: unmet(host, request.host_wish ?? {}).forbidden }),
    change: ({ there }, host) => `let the flavor or image allow trait ${listed(there)}, or take it from ${host}`,
  },
  other_aggregate: {
    says: 'is in no aggregate of the kind that the flavor asks for',
    fix: 'use a flavor for another kind of hosts',
    ...byOthers,
    tell: ({ request, host }) => {
      const { elsewhere } = unmet(host, request.host_wish ?? {});
      const there = (host.aggregates ?? []).flatMap((one) => Object.entries(one).map((pair) => pair.join('=')));
      return { wanted: elsewhere.map((key) => `${key}=${request.host_wish!.aggregate![key]}`), there };
    },
    change: ({ wanted }, host) => `put ${host} into an aggregate with ${listed(wanted)}`,
  },
  machine_type_unserved: {
    says: 'does not have the machine type',
    fix: 'use an image that asks for a machine type that more hosts have',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: request.machine?.type ?? '', there: host.machine_types ?? [] }),
    change: ({ wanted }, host) => `a QEMU with machine type ${wanted} on ${host}`,
  },
  cpu_model_differs: {
    says: 'has another model of processor for guests',
    fix: 'ask the administrators for a host whose guests have the same model of processor',
    ...byOthers,
    tell: ({ request, host }) => ({ wanted: request.machine?.cpu_model ?? '', there: host.cpu_model ?? null }),
    change: ({ wanted, there }, host) => `processors of model ${wanted} for guests of ${host}, which have ${there}`,
  },
  no_cpu_limits: {
    says: 'can not limit processor time',
    fix: 'use a flavor without limits of processor time',
    ...byOthers,
    tell: () => ({}),
    change: (_, host) => `let ${host} limit processor time (control groups)`,
  },
  apart_from_servers: {
    says: 'has none of the servers that it shall be beside (hint same_host)',
    fix: 'use no hint same_host, or name servers that are where there is room',
    ...otherwise,
    tell: ({ request, host }) => ({ wanted: request.beside ?? [], there: host.id }),
    change: (_, host) => `name a server that is on ${host} in the hint same_host`,
  },
  beside_servers: {
    says: 'has a server that it shall not be beside (hint different_host)',
    fix: 'use no hint different_host, or name fewer servers',
    ...otherwise,
    tell: ({ request, host }) => ({ wanted: request.away_from ?? [], there: host.id }),
    change: (_, host) => `do not name the servers on ${host} in the hint different_host`,
  },
  apart_from_group: {
    says: 'has none of the server group’s servers',
    fix: 'use a server group with the policy soft-affinity',
    ...otherwise,
    tell: ({ group }) => ({ wanted: [...(group?.hosts.keys() ?? [])] }),
    change: (_, host) => `a server group with the policy soft-affinity, then ${host} takes it`,
  },
  too_many_of_group: {
    says: 'has as many of the server group’s servers as may be on one',
    fix: 'use a server group with the policy soft-anti-affinity or delete one of its servers',
    ...otherwise,
    tell: ({ group, host }) => ({ wanted: group?.max_servers_per_host ?? 1, there: group?.hosts.get(host.id) ?? 0 }),
    change: ({ wanted, there }, host) =>
      `move a server of its group away from ${host}, which has ${there} of at most ${wanted}, or add a host`,
  },
};

/** The network and direction of which the most is missing. */
function scarcest({ bandwidth = [] }: PlacementRequest, { bandwidth: left = [] }: HostVerdict['free']): Told {
  const short = (bandwidth ?? []).flatMap(({ physical_network, ...wanted }) => {
    const there = left.find((one) => one.physical_network === physical_network);
    return (['egress_kbps', 'ingress_kbps'] as const).map((way) => ({
      ...{ wanted: wanted[way], there: there?.[way] ?? 0 },
    }));
  });
  const worst = short.sort((a, b) => missing(b) - missing(a))[0];
  return { wanted: worst?.wanted ?? 0, there: worst?.there ?? 0, unit: 'kbit/s' };
}

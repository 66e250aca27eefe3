/** What placement is asked, what it sees of hosts, and what it answers. */

import type { TunnelFault } from '../../../contract/host/index.ts';
import type { HostWordBy } from '../../host/tables.ts';
import type { Bandwidth } from '../../network/bandwidth/bandwidth.ts';
import type { Reach } from '../../network/segment/reach.ts';
import type { HostNature, HostWish } from './host-wish.ts';

/** A host that another one's tunnel does not reach, or only with short frames. */
export interface TunnelTo {
  host_id: string;
  name: string;
  fault: TunnelFault;
}

export interface Room {
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
}

export interface HostCapacity extends HostNature {
  id: string;
  name: string;
  availability_zone: string;
  enabled: boolean;
  connected: boolean;
  disabled_reason?: string | null;
  disabled_by?: HostWordBy | null;
  /** Down by an administrator's word. */
  forced_down: boolean;
  forced_down_by?: HostWordBy | null;
  /** Milliseconds since 1970; counts where the host is away. Absent: never. */
  last_seen?: number | null;
  /** Connected, or it was a moment ago: its process or ours is being restarted. */
  seen_lately: boolean;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  used_vcpus: number;
  used_memory_mib: number;
  used_disk_gib: number;
  /** It is switched off while nobody needs it, and in how many seconds it would be there; `waking`: it shall be; `wakes` false: it does not come back. Absent: it is not. */
  standby?: { wakes: boolean; waking?: boolean; seconds: number } | null;
  /** Room that it keeps for servers of hosts that may be lost; absent: none. */
  kept?: Room | null;
  holds_image: boolean;
  /** That its bridges carry. */
  physical_networks?: readonly string[];
  /** What its guests can be: machine types, and the model of their processors; empty and null: it has not said. */
  machine_types?: readonly string[];
  cpu_model?: string | null;
  /** It can limit what a guest has of its processors. */
  cpu_limits?: boolean;
  /** Of a server whose volumes are made with it: no pool there takes them all. */
  volumes_refused?: boolean;
  /** What its cards have left to promise; absent where nobody asks for any. */
  bandwidth?: readonly Bandwidth[];
  /** Hosts that its tunnels do not reach with whole frames; absent where there are none in the cloud. */
  broken_tunnels?: readonly TunnelTo[];
  /** The ways that servers may take to it; absent: it has not said. */
  migrations?: readonly string[];
}

/** Of the hosts that take a server the emptiest, so that each has its room; or the fullest, so that others stay empty. */
export type PlacementPolicy = 'spread' | 'pack';

export interface PlacementRequest {
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  availability_zone: string | null;
  requested_host_id: string | null;
  /** Its server group. */
  server_group_id?: string | null;
  /** Hosts that have the servers it shall be beside; absent: no such hint is given. */
  beside?: readonly string[] | null;
  /** Hosts that have the servers it shall not be beside. */
  away_from?: readonly string[] | null;
  /** Where its volumes are. */
  volume_host_id?: string | null;
  /** What its ports are to be promised; absent: nothing. */
  bandwidth?: readonly Bandwidth[] | null;
  /** Physical networks that its ports need; absent: none. */
  reach?: Reach | null;
  /** What its guest is, or shall be, as far as not every host can give it; absent: any. */
  machine?: MachineNeed | null;
  /** What its flavor and its image ask hosts to be; absent: anything. */
  host_wish?: HostWish | null;
  /** Hosts with which it has networks or routers in common over tunnels; absent: nobody needs to know, for all tunnels are well. */
  peers?: readonly string[] | null;
  /** Its volumes that can't be opened where they are, and why; absent: none. */
  unopenable?: readonly string[] | null;
  /** Its disk is made of an image, and no host that has it is there to give it. */
  image_lost?: boolean;
  /** The way that it is to take to another host. */
  migration?: 'cold' | 'live';
  /** Absent: `spread`. */
  policy?: PlacementPolicy;
  /** Not these. */
  exclude?: readonly string[];
  /** Only this one; as `requested_host_id`, which is what its owner asked for when it was made. */
  only?: string | null;
  /** A server that is on a host already: its own place in a server group binds it not. What it has there it keeps; all is asked of the other one. */
  moving?: { server_id: string; host_id: string | null } | null;
  /** It has lost its host, or that shall be empty: what hosts keep for such is there for it. */
  uses_reserve?: boolean;
}

/** Nothing else of a server belongs into its why-record, or tells one kind of request from another. */
export function requestOf(server: PlacementRequest): PlacementRequest {
  const { vcpus, memory_mib, disk_gib, availability_zone, requested_host_id } = server;
  return {
    ...{ vcpus, memory_mib, disk_gib, availability_zone, requested_host_id },
    ...{ server_group_id: server.server_group_id ?? null, volume_host_id: server.volume_host_id ?? null },
    ...(server.beside && { beside: server.beside }),
    ...(server.away_from && { away_from: server.away_from }),
    ...(server.bandwidth && { bandwidth: server.bandwidth }),
    ...(server.reach && { reach: server.reach }),
    ...(server.machine && { machine: server.machine }),
    ...(server.host_wish && { host_wish: server.host_wish }),
    ...(server.peers && { peers: server.peers }),
    ...(server.unopenable && { unopenable: server.unopenable }),
    ...(server.image_lost && { image_lost: server.image_lost }),
    ...(server.migration && { migration: server.migration }),
    ...(server.policy === 'pack' && { policy: server.policy }),
    ...(server.exclude?.length && { exclude: server.exclude }),
    ...(server.only != null && { only: server.only }),
    ...(server.moving && { moving: server.moving }),
    ...(server.uses_reserve && { uses_reserve: true }),
  };
}

export interface MachineNeed {
  /** One of the host's types. */
  type?: string | null;
  /** What the guest has seen of its processor it must find again. */
  cpu_model?: string | null;
  cpu_limits?: boolean;
}

export type Refusal =
  | 'volumes_elsewhere'
  | 'volumes_refused'
  | 'other_host_requested'
  | 'excluded'
  | 'other_zone'
  | 'disabled'
  | 'forced_down'
  | 'disconnected'
  | 'in_standby'
  | 'too_few_vcpus'
  | 'too_little_memory'
  | 'too_little_disk'
  | 'kept_for_lost_hosts'
  | 'too_little_bandwidth'
  | 'network_not_reached'
  | 'tunnel_broken'
  | 'volume_unopenable'
  | 'image_unreachable'
  | 'unable_to_migrate'
  | 'trait_missing'
  | 'trait_forbidden'
  | 'other_aggregate'
  | 'machine_type_unserved'
  | 'cpu_model_differs'
  | 'no_cpu_limits'
  | 'apart_from_servers'
  | 'beside_servers'
  | 'apart_from_group'
  | 'too_many_of_group';

/** A check that a host does not pass: what was asked, and what is there. */
export interface Failed {
  check: Refusal;
  wanted?: number | string | readonly string[];
  there?: number | string | readonly string[] | null;
  unit?: 'vcpus' | 'MiB' | 'GiB' | 'kbit/s' | 's';
  /** Whose word it is, where it is one's. */
  said?: { reason: string | null; by: HostWordBy | null };
}

/** What would have to be otherwise for one host to take the server. */
export interface Alternative {
  host_id: string;
  name: string;
  failed: Failed[];
  /** For administrators: with names and numbers. */
  change: string;
  /** For the tenant. */
  fix: string;
}

export interface HostVerdict {
  host_id: string;
  name: string;
  refusals: Refusal[];
  /** The same with numbers; of those that a record keeps. */
  failed?: Failed[];
  /** What is free now, for administrators. */
  free: Room & { bandwidth?: readonly Bandwidth[] };
  holds_image: boolean;
  /** What the group would rather have, by its soft policy: the host with the most goes first. 0 where there is none. */
  preference: number;
  /** Free share of the scarcest resource after the server; null where the host is refused. */
  left: number | null;
  /**
   * `left`, less the weight of a copy where the image is not there; of a server that is packed what is taken, less the same weight. The
   * highest wins, of equals the one with most left.
   */
  score: number | null;
}

export interface Placement {
  host: HostCapacity | null;
  /** No host now, but one would take the server if it were not away for the moment: worth a wait. */
  soon: boolean;
  /** No host now, but this one would take it if it were not in standby. */
  wake?: string | null;
  /** Best first; hosts that can't take it last. Cut to `verdictsKept`. */
  verdicts: HostVerdict[];
  hosts: number;
  /** How many hosts said each refusal. */
  refusals: Partial<Record<Refusal, number>>;
  /** For the tenant. */
  message: string;
  fix: string;
  /** Where there is no host: the ways out, nearest first, one of each kind. */
  alternatives: Alternative[];
}

/** A host and what is said of it. */
export interface Judged {
  host: HostCapacity;
  verdict: HostVerdict;
}

/**
 * What if a host were lost, or a rack with all of its hosts: which of their servers would be restarted where, and which would not and why. The
 * same placement as of any server, over a picture; nothing is changed. Pure, but for the turns that it leaves to others.
 */
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import {
  type HostCapacity,
  type PlacementGroup,
  type PlacementRequest,
  PlacementRound,
  requestOf,
} from '../placement/index.ts';

export interface SurvivalServer extends PlacementRequest {
  id: string;
  name: string;
  project_id: string;
  host_id: string;
  image_id: string | null;
  /** Its owner wants it restarted elsewhere. */
  restart: boolean;
  priority: number;
  /** Its own disk may be made anew of its image; one that boots from a volume has none. */
  disk_anew: boolean;
  /** Where room is kept for it. Absent: nowhere. */
  refuge_host_id?: string | null;
  /** Of the oldest of its volumes' replicas, which it would be restarted from: what was written since would be lost. Null or absent: it has none. */
  replica_age_seconds?: number | null;
  /** They are all of this one moment, as PostgreSQL writes it; null: it has none, or each is of its own. */
  replica_moment?: string | null;
}

export interface Fleet {
  hosts: readonly HostCapacity[];
  servers: readonly SurvivalServer[];
  groups: ReadonlyMap<string, PlacementGroup>;
  /** By image the hosts that hold it. */
  holders: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Hosts that are lost together. */
export interface Loss {
  kind: 'host' | 'rack' | 'feed' | 'switch';
  name: string;
  hostIds: readonly string[];
}

/** `not_wanted`: nobody has asked for it; `disk_kept`: its disk is on its host alone, and is to be kept; `no_host`: none takes it. */
export type StaysDown = 'not_wanted' | 'disk_kept' | 'no_host';

export interface Fate {
  server: SurvivalServer;
  /** Where it would be restarted; null: nowhere. */
  to: string | null;
  why: StaysDown | null;
  /** What would be in the way, and what would help, where no host takes it. */
  message: string;
  fix: string;
  change: string;
}

export interface Survival {
  loss: Loss;
  fates: Fate[];
}

/** Worked in one go, before whatever else waits for the event loop has its turn. */
const turnMs = 8;

/** One answer for each loss, in their order. */
export async function* survive(fleet: Fleet, losses: Iterable<Loss>): AsyncGenerator<Survival> {
  const round = new PlacementRound(fleet.hosts, fleet.holders, fleet.groups);
  const byHost = Map.groupBy(fleet.servers, ({ host_id }) => host_id);
  let since = performance.now();
  for (const loss of losses) {
    const servers = loss.hostIds.flatMap((id) => byHost.get(id) ?? []).sort(byPriority);
    const fates: Fate[] = [];
    /** Room only becomes less: what one of a kind was refused for the next one is refused for too. */
    const refused = new Map<string, Pick<Fate, 'message' | 'fix' | 'change'>>();
    round.lose(loss.hostIds);
    for (const server of servers) {
      fates.push(fateOf(round, server, refused));
      if (performance.now() - since < turnMs) continue;
      await turnOfOthers();
      since = performance.now();
    }
    round.restore();
    yield { loss, fates };
  }
}

/** Those first that shall be restarted first. */
const byPriority = (a: SurvivalServer, b: SurvivalServer): number => b.priority - a.priority || (a.id < b.id ? -1 : 1);

function fateOf(
  round: PlacementRound,
  server: SurvivalServer,
  refused: Map<string, Pick<Fate, 'message' | 'fix' | 'change'>>,
): Fate {
  const down = (why: StaysDown, words = nothingToSay): Fate => ({ server, to: null, why, ...words });
  if (!server.restart) return down('not_wanted');
  if (server.image_id !== null && !server.disk_anew) return down('disk_kept');
  const { moving: _, ...kind } = requestOf(server);
  const request = { ...kind, uses_reserve: true, moving: { server_id: server.id, host_id: server.host_id } };
  const key = server.server_group_id == null ? JSON.stringify(kind) : server.id;
  const known = refused.get(key);
  const kept = round.placeInRefuge(request, server.image_id, server.refuge_host_id ?? null)?.host?.id;
  if (known && kept === undefined) return down('no_host', known);
  // What is kept is for those that have a refuge; others have what is left of it.
  const spared = kept === undefined && round.keepsRoom ? { ...request, uses_reserve: false } : null;
  const to = kept ?? (spared && round.take(spared, server.image_id)) ?? round.take(request, server.image_id);
  if (to !== undefined) return { server, to, why: null, ...nothingToSay };
  const { message, fix, alternatives } = round.place(request, server.image_id);
  const words = { message, fix, change: alternatives.find(({ failed }) => !isLost(failed))?.change ?? '' };
  refused.set(key, words);
  return down('no_host', words);
}

const nothingToSay = { message: '', fix: '', change: '' };

/** That what is lost comes back is no way out of its loss. */
const isLost = (failed: readonly { check: string }[]): boolean => failed.some(({ check }) => check === 'disconnected');

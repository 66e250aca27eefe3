/**
 * Why a server is where it is, or nowhere: its last decision, and what the same question would be answered now, where it has no host. Reads
 * only. What of it a caller may see (names, numbers) the dialect decides by {@link isAdmin}.
 */
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { type DecisionRow, readDecisions } from '../../kit/decision/read-decisions.ts';
import { notFound } from '../../kit/refusal.ts';
import type { Alternative, HostVerdict, Placement, PlacementRequest, Refusal } from '../placement/index.ts';
import { reachOf } from './actions/action.ts';
import { findTarget } from './moving.ts';
import { findServer } from './store.ts';

/** What a decision about a server's host was made of; of what was decided before there were alternatives there are none. */
export interface PlacementWhy {
  outcome: 'placed' | 'no_capacity';
  message: string;
  fix: string;
  /** How many hosts there were. */
  hosts: number;
  chosenHostId: string | null;
  refusals: Partial<Record<Refusal, number>>;
  alternatives: readonly Alternative[];
  request: PlacementRequest;
  /** Best first, not all where they are many. */
  verdicts: readonly HostVerdict[];
}

export interface ServerWhy {
  hostId: string | null;
  /** Null: none was made yet, or it is older than what is kept. */
  decided: (PlacementWhy & { id: string; kind: string; at: Date }) | null;
  /** Null where it has a host. */
  now: PlacementWhy | null;
}

/** @throws CloudError `not_found`, also for a server that is hidden from the caller */
export async function whyOfServer(database: Database, caller: Caller, id: ServerId): Promise<ServerWhy> {
  const server = await findServer(database.query, reachOf(caller), id);
  if (!server) throw notFound('server', id);
  const rows = await readDecisions(database.query, { resourceId: id, limit: 1 });
  return {
    hostId: server.host_id,
    decided: rows[0] ? decided(rows[0]) : null,
    now: server.host_id === null ? await askNow(database, caller, id) : null,
  };
}

async function askNow(database: Database, caller: Caller, serverId: ServerId): Promise<PlacementWhy> {
  const { request, found } = await database.transaction(actorOf(caller), async (tx) => {
    await sql`set transaction read only`.execute(tx);
    return findTarget(tx, { serverId });
  });
  return { ...whyOf(found), request };
}

const whyOf = ({ host, hosts, message, fix, refusals, alternatives, verdicts }: Placement) => ({
  ...{ outcome: host ? ('placed' as const) : ('no_capacity' as const), message, fix, hosts },
  ...{ chosenHostId: host?.id ?? null, refusals, alternatives, verdicts },
});

type Inputs = Pick<PlacementWhy, 'request' | 'hosts' | 'verdicts'> & { chosen: string | null } & {
  alternatives?: Alternative[];
};

function decided({ id, kind, created_at: at, outcome, inputs, explanation }: DecisionRow): ServerWhy['decided'] {
  const { request, hosts, chosen, verdicts, alternatives = [] } = inputs as unknown as Inputs;
  const { message, fix, refusals } = explanation as unknown as Pick<PlacementWhy, 'message' | 'fix' | 'refusals'>;
  return {
    ...{ id, kind, at, outcome: outcome as PlacementWhy['outcome'], message, fix, hosts, refusals },
    ...{ chosenHostId: chosen, request, verdicts, alternatives },
  };
}

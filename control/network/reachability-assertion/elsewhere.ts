/**
 * Which assertions would not be true any more if ports were on another host: of what such a way is decided by a move changes that alone. Where a host is matters to a network with physical segments, for its guests meet by
 * those, and to one with local IPs, which lead to a port of the asker's host; of others nothing is read but how many they are. Reads, and refuses nothing.
 */
import { sql } from 'kysely';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { Turn } from '../../kit/projection/turn.ts';
import { readTogether } from './decide.ts';
import { type ReachabilityAssertionRow, reachabilityAssertionListing } from './reachability-assertion.ts';
import type { AssertionKind } from './tables.ts';

export interface BrokenElsewhere {
  id: string;
  name: string;
  kind: AssertionKind;
  project_id: string;
}

export interface AssertionsElsewhere {
  /** That are about a way over the networks of these ports. */
  concerned: number;
  /** Of those the ones that the place of a port can change. */
  looked_at: number;
  /** True now, and not there. */
  broken: BrokenElsewhere[];
}

/** Read at once. */
const together = 100;

interface Row extends ReachabilityAssertionRow {
  movable: boolean;
}

/** Of those that the caller sees. */
export async function assertionsElsewhere(
  db: Queryable,
  caller: Caller,
  { portIds, hostId }: { portIds: readonly string[]; hostId: string },
): Promise<AssertionsElsewhere> {
  const { from, visible } = reachabilityAssertionListing;
  const ids = sql`${[...portIds]}::uuid[]`;
  const { rows } =
    await sql<Row>`select t.*, exists (select from segment s where s.physical_network is not null and s.network_id = any(t.ground))
      or exists (select from local_ip l where l.network_id = any(t.ground)) as movable
    from ${from} where t.ground && (${ids} || array(select network_id from port where id = any(${ids}))) and ${visible(caller)}
    order by t.id`.execute(db);
  // What is untrue where it is, or unknown, no move makes so.
  const movable = rows.filter(({ movable, state }) => movable && state === 'holds');
  const places = new Map(portIds.map((id) => [id, hostId]));
  const broken: BrokenElsewhere[] = [];
  const turn = new Turn();
  for (let at = 0; at < movable.length; at += together) {
    const some = movable.slice(at, at + together);
    for (const [n, decided] of (await readTogether(db, some, places)).entries()) {
      const { id, name, kind, project_id } = some[n]!;
      if ((await decided()).state === 'violated') broken.push({ id, name, kind, project_id });
      if (turn.over) await turn.rest();
    }
  }
  return { concerned: rows.length, looked_at: movable.length, broken };
}

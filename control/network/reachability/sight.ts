/**
 * What of an answer its asker may see: what it could list itself. The rest of a way is one hop that tells no id, no address and no reason:
 * that something does or does not get through there a probe would find out as well.
 */
import { sql } from 'kysely';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { Listing } from '../../kit/listing.ts';
import { floatingIpListing } from '../floating-ip/floating-ip.ts';
import { networkListing } from '../network/network.ts';
import { portListing } from '../port/port.ts';
import { routerListing } from '../router/router.ts';
import { securityGroupListing, securityGroupRuleListing } from '../security-group/security-group.ts';
import { subnetListing } from '../subnet/subnet.ts';
import type { Answer, Hop, HopKind, Stop, StopKind } from './question.ts';

const listings: Readonly<Record<HopKind | StopKind, Listing<unknown>>> = {
  port: portListing,
  network: networkListing,
  outside: networkListing,
  subnet: subnetListing,
  router: routerListing,
  floating_ip: floatingIpListing,
  security_group: securityGroupListing,
  security_group_rule: securityGroupRuleListing,
};

type Thing = { kind: HopKind | StopKind; id: string | null };

/** @param db where statements that are asked at once share a round trip */
export async function asSeen(db: Queryable, caller: Caller, answer: Answer): Promise<Answer> {
  if (isAdmin(caller)) return answer;
  const things: Thing[] = [...answer.there, ...answer.back, ...answer.stops];
  const named = Map.groupBy(
    things.filter(({ id }) => id !== null),
    ({ kind }) => kind,
  );
  const asked = [...named].map(async ([kind, of]) => {
    const { from, visible } = listings[kind];
    const ids = [...new Set(of.map(({ id }) => id!))];
    const { rows } = await sql<{ id: string }>`select t.id from ${from}
      where ${isOneOf(sql`t.id`, ids)} and ${visible(caller)}`.execute(db);
    return rows.map(({ id }) => `${kind} ${id}`);
  });
  const seen = new Set((await Promise.all(asked)).flat());
  const isSeen = ({ kind, id }: Thing): boolean => id === null || seen.has(`${kind} ${id}`);
  return { ...answer, there: way(answer.there, isSeen), back: way(answer.back, isSeen), stops: stops(answer, isSeen) };
}

/** What lies beyond what is seen is one hop, wherever it is gone through; the packet is there as it went in. */
function way(hops: readonly Hop[], isSeen: (thing: Thing) => boolean): Hop[] {
  const told: Hop[] = [];
  for (const hop of hops) {
    const before = told.at(-1);
    if (isSeen(hop)) told.push(hop);
    else if (before?.does !== 'beyond_sight') {
      const { source = '', destination = '' } = before ?? {};
      told.push({ kind: 'outside', id: null, does: 'beyond_sight', source, destination });
    }
  }
  return told;
}

function stops({ stops: all }: Answer, isSeen: (thing: Thing) => boolean): Stop[] {
  const beyond = new Set<Stop['way']>();
  return all.flatMap((stop): Stop[] => {
    if (isSeen(stop)) return [stop];
    if (beyond.has(stop.way)) return [];
    beyond.add(stop.way);
    return [{ way: stop.way, kind: 'outside', id: null, reason: 'beyond_sight', opens: [] }];
  });
}

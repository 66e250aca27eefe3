/** What control tells `bothy doctor`: the database, the change feed, the OVN projection, the hosts it holds. */
import { sql } from 'kysely';
import { overdueHosts } from '../../control/compute/consolidation/index.ts';
import type { Evacuator } from '../../control/compute/server/index.ts';
import type { SurvivalAlarm, SurvivalWatch } from '../../control/compute/survival/index.ts';
import { countQuarantine, type HostStreams } from '../../control/host/index.ts';
import type { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import type { ControlProcess, Presence } from '../../control/kit/control-process/index.ts';
import type { Database } from '../../control/kit/database/database.ts';
import { currentIncarnation } from '../../control/kit/database/incarnation.ts';
import type { ProjectionStatus } from '../../control/kit/projection/index.ts';
import type { OvnFeatures, Projector } from '../../control/network/ovn/index.ts';
import { type LateReplicas, lateReplicas } from '../../control/storage/replication/index.ts';
import type { ClockReading, Health, HealthPart } from './health.ts';

interface Parts {
  database: Database;
  feed: ChangeFeed;
  /** Absent: another one projects. */
  projector: Projector | undefined;
  hosts: HostStreams;
  presence: Pick<Presence, 'others'>;
  survival: Pick<SurvivalWatch, 'alarms'>;
  evacuator: Pick<Evacuator, 'held'>;
}

export async function controlHealth(of: Parts): Promise<Health> {
  const { database, feed, projector, hosts, presence, survival, evacuator } = of;
  const [work, quarantine, replicas, asleep, databaseClock] = await Promise.all([
    databasePart(database),
    quarantinePart(database),
    lateReplicas(database).then(replicaParts, () => []),
    overdueHosts(database).then(standbyParts, () => []),
    clockOf(database),
  ]);
  const parts: HealthPart[] = [
    work,
    ...quarantine,
    ...replicas,
    ...asleep,
    {
      name: 'change feed',
      ok: feed.listening,
      detail: feed.listening ? 'woken by the database' : 'reads once a second: NOTIFY does not reach it',
      cure: 'it reconnects by itself; if not, look at the database above',
    },
    ...(projector ? [projectionPart(projector.status(), projector.features())] : []),
    ...presence.others.map(otherPart),
    ...survivalParts(survival.alarms),
    ...evacuationParts(evacuator),
    {
      name: 'hosts',
      // Of several control processes one may have none.
      ok: hosts.connectedHosts.length > 0 || presence.others.some(({ silent }) => !silent),
      detail: `${hosts.connectedHosts.length} connected here`,
      cure: 'see: bothy logs host',
    },
  ];
  const hostClocks = hosts.clocks.map(({ hostName, offsetMs }) => ({ of: `host ${hostName}`, offsetMs }));
  return { parts, clocks: [...databaseClock, ...hostClocks] };
}

/** Another control process; no start waits for one that is silent. */
function otherPart({ machine, url, version, silent, silentMs }: ControlProcess): HealthPart {
  const at = `${url || 'at no address that hosts are told'}, Bothy ${version}`;
  return {
    name: `control on ${machine}`,
    ok: !silent,
    detail: silent
      ? `silent for ${Math.round(silentMs / 1000)} s (${at}); its work is done by the others`
      : `lives (${at})`,
    ...(silent && {
      cure: `on ${machine}: bothy status, bothy logs control; where it is gone for good nothing is to be done`,
      forPeople: true,
    }),
  };
}

/** What nobody has asked to be restarted is no alarm; of each loss one line, the worst first. */
export function survivalParts(alarms: readonly SurvivalAlarm[]): HealthPart[] {
  return alarms
    .toSorted((a, b) => b.servers - a.servers)
    .slice(0, 3)
    .map(({ loss, servers, change }) => ({
      name: 'survival',
      ok: false,
      detail: `${servers} servers that shall be restarted elsewhere would stay down with ${loss.kind} ${loss.name}`,
      cure: `${change ?? 'their disks are there alone'}; see GET /native/v1/survival`,
      forPeople: true,
    }));
}

/** Hosts that were turned on and are not there. */
const standbyParts = (overdue: Awaited<ReturnType<typeof overdueHosts>>): HealthPart[] =>
  overdue.slice(0, 3).map(({ name, error }) => ({
    name: 'standby',
    ok: false,
    detail: `host ${name} was turned on and does not come back${error === null ? '' : `: ${error}`}`,
    cure: 'look at the machine; when its host is heard, servers may go there again',
    forPeople: true,
  }));

/** Said only where it is held: see control/compute/server/evacuator.ts. */
const evacuationParts = ({ held }: Pick<Evacuator, 'held'>): HealthPart[] =>
  held
    ? [
        {
          name: 'evacuation',
          ok: false,
          detail:
            'more than half of the hosts fell silent at once, which is more likely their network than they: no server is restarted elsewhere',
          cure: 'look at the network of the hosts; of one that is certainly off: openstack compute service set --down HOST nova-compute',
          forPeople: true,
        },
      ]
    : [];

/** How the projection is; what it only keeps is in quarantine like a host's servers: no wait of a start ends it. */
export function projectionPart(projection: ProjectionStatus, features?: OvnFeatures): HealthPart {
  const works = projection.connected && projection.failures.length === 0 && projection.databaseError === null;
  return {
    name: 'OVN projection',
    ok: works && projection.kept === 0,
    detail: [describeProjection(projection), ...(works && features ? [describeOvn(features)] : [])].join('; '),
    cure: cureOf(projection),
    ...(works && projection.kept > 0 ? { forPeople: true as const } : {}),
  };
}

function cureOf({ connected, failures, kept }: ProjectionStatus): string {
  if (!connected) return 'see: bothy logs ovn-northbound';
  if (failures.length === 0 && kept > 0) return 'bothy recover takes up what hosts have, and lets the rest go';
  return 'see: bothy logs control';
}

function describeProjection(projection: ProjectionStatus): string {
  const { connected, connectionError, databaseError, failures, pending, drift, kept, lastFullPass } = projection;
  if (!connected) return `not connected to the northbound database: ${connectionError ?? 'starting'}`;
  if (databaseError !== null) return `cannot read what shall be: ${databaseError}`;
  const named = failures.slice(0, 5).map(({ unit, error }) => `${unit}: ${error}`);
  if (named.length > 0) return `${failures.length} failing, tried again and again: ${named.join('; ')}`;
  if (kept > 0) return `${kept} networks, ports and others are kept that the database does not account for`;
  const compared = lastFullPass === null ? 'not yet' : `at ${lastFullPass.at.toISOString().slice(11, 19)} UTC`;
  return `in step, ${pending} changes under way; last compared whole ${compared}, ${drift} rows' drift mended since the start`;
}

/** Which OVN it is, and what follows from what it lacks. */
function describeOvn({ version, lacks }: OvnFeatures): string {
  const named = version === null ? 'an OVN that has not said its version' : `OVN ${version.split('-', 1)[0]}`;
  if (lacks.length === 0) return named;
  return `${named}, with which ${lacks.map(({ without }) => without).join(', and ')}`;
}

/** PostgreSQL's clock against the middle of the question and its answer; nothing where it does not answer. */
async function clockOf(database: Database): Promise<ClockReading[]> {
  try {
    const askedAt = Date.now();
    const { rows } = await sql<{ ms: number }>`
      select extract(epoch from clock_timestamp())::double precision * 1000 as ms`.execute(database.query);
    return [{ of: 'PostgreSQL', offsetMs: Math.round(rows[0]!.ms - (askedAt + Date.now()) / 2) }];
  } catch {
    return [];
  }
}

/** What waits for an administrator; nothing where nothing does, or the database does not answer (that is said elsewhere). */
async function quarantinePart(database: Database): Promise<HealthPart[]> {
  try {
    const { servers, volumes, images } = await countQuarantine(database.query);
    if (servers + volumes + images === 0) return [];
    const { at, reason } = await currentIncarnation(database.query);
    const since = at.toISOString().slice(0, 19);
    const what = `${servers} servers, ${volumes} volumes and ${images} images that the database does not account for`;
    return [
      {
        name: 'quarantine',
        ok: false,
        detail: `hosts keep ${what} (its history begins at ${since} UTC: ${reason})`,
        cure: 'bothy recover takes them up; bothy recover --list shows them',
        forPeople: true,
      },
    ];
  } catch {
    return [];
  }
}

/** Replicas that are older than they shall be; nothing where there are none. */
export function replicaParts({ replicas, late, out_of_sync: alone, why }: LateReplicas): HealthPart[] {
  const outOfSync: HealthPart = {
    ...{ name: 'replicas', ok: false, forPeople: true },
    detail: `${alone} volumes are written to without their second copy, which was given up`,
    cure: 'GET /native/v1/volumes/{id}/replica says why; it is copied anew by itself',
  };
  if (late === 0) return alone > 0 ? [outOfSync] : [];
  return [
    ...(alone > 0 ? [outOfSync] : []),
    {
      name: 'replicas',
      ok: false,
      detail: `${late} of ${replicas} replicas of volumes are older than they shall be: ${why ?? 'rounds take too long'}`,
      cure: 'GET /native/v1/volume-replicas?late=true says which and why',
      forPeople: true,
    },
  ];
}

async function databasePart(database: Database): Promise<HealthPart> {
  const name = 'work';
  const cure = 'see: bothy logs control';
  try {
    const { rows } = await sql<{ late: number; stuck: number }>`
      select (select count(*) from graphile_worker.jobs where run_at < now() - interval '1 minute' and locked_at is null and attempts < max_attempts) as late,
        (select count(*) from operation where state = 'running' and deadline < now() - interval '1 minute') as stuck`.execute(
      database.query,
    );
    const { late, stuck } = rows[0]!;
    return {
      name,
      ok: late === 0 && stuck === 0,
      detail: `${late} jobs late, ${stuck} operations past their deadline`,
      cure,
    };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: `the database does not answer: ${(error as Error).message}`,
      cure: 'see: bothy logs postgres',
    };
  }
}

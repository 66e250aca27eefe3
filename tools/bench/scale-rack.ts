/**
 * A rack is lost: its hosts say no word any more, their leases end, and control restarts their servers elsewhere; later they are back. Nothing may run twice, no host
 * may carry more than it has, and no group may be broken.
 */
import { until } from '../../test/support/until.ts';
import type { Size } from './scale-fill.ts';
import { rackOf } from './scale-fill.ts';
import { type Figures, quantile, timed, type Work } from './scale-work.ts';

export interface RackWire {
  hosts: readonly { id: string }[];
  lose(ids: readonly string[]): void;
  regain(ids: readonly string[]): void;
  allInStep(timeoutMs: number): Promise<void>;
  /** Guests that began while the same one ran elsewhere. */
  twice(): number;
}

/** Bounded, and long enough for a machine that has much else to do. */
const patienceS = 600;
const onLost = `select count(*)::integer as value from server where host_id = any($1::uuid[])
  and evacuation_policy ->> 'restart' = 'elsewhere'`;
const evacuated = `select count(*)::integer as value from server s join server_migration m on m.server_id = s.id and m.target_epoch = s.epoch
  where m.kind = 'evacuation' and m.host_id = any($1::uuid[])`;
const restarted = `${evacuated} and s.observed_state = 'running' and s.observed_generation = s.generation`;
/** By their rows, not by what is counted; counts that are wrong are among them. */
const overbooked = `with carried as (select host_id, count(*) as servers, sum(vcpus) as vcpus, sum(memory_mib) as memory_mib, sum(disk_gib + local_gib) as disk_gib
    from server where host_id is not null group by host_id)
  select count(*)::integer as value from carried c join host h on h.id = c.host_id left join host_usage u on u.host_id = h.id
  where c.vcpus > h.vcpus or c.memory_mib > h.memory_mib or c.disk_gib > h.disk_gib
    or (u.servers, u.vcpus, u.memory_mib, u.disk_gib) is distinct from (c.servers, c.vcpus, c.memory_mib, c.disk_gib)`;
const brokenGroups = `select count(*)::integer as value from (select server_group_id from server s join server_group g on g.id = s.server_group_id
  where g.policy = 'anti-affinity' and host_id is not null group by server_group_id, host_id having count(*) > 1) b`;

export async function loseRack(
  { hosts }: Size,
  { wire, work, cpu }: { wire: RackWire; work: Work; cpu(): { control: number; postgres: number } },
): Promise<Figures> {
  const lost = wire.hosts.slice(0, rackOf(hosts)).map(({ id }) => id);
  if (lost.length === 0) return {};
  const servers = await work.ask<number>(onLost, [lost]);
  const before = cpu();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  wire.lose(lost);
  const caller = steadyCaller(work);
  let first = Number.NaN;
  let given = Number.NaN;
  const look = async (): Promise<boolean> => {
    const there = await work.ask<number>(evacuated, [lost]);
    if (there > 0 && Number.isNaN(first)) first = seconds();
    if (there >= servers && Number.isNaN(given)) given = seconds();
    if (there >= servers && (await work.ask<number>(restarted, [lost])) >= servers) return true;
    if (seconds() < patienceS) return false;
    throw new Error(`after ${patienceS} s ${there} of ${servers} servers of the rack have another host`);
  };
  try {
    // By a look now and then: what is measured has the database to itself in between.
    while (!(await look())) await new Promise((resolve) => setTimeout(resolve, 200));
  } finally {
    await caller.end();
  }
  const all = seconds();
  const after = cpu();
  const answers = await caller.end();
  await assertSound(work, wire);
  wire.regain(lost);
  const back = await timed(() => wire.allInStep(600_000));
  await until('the rack to have nothing of them', async () => (await work.ask<number>(absences, [lost])) === 0, {
    timeoutMs: 600_000,
  });
  await assertSound(work, wire);
  return {
    'rack lost: hosts': lost.length,
    'rack lost: servers': servers,
    'rack lost: the first has another host, s': first,
    'rack lost: all have, s': given,
    'rack lost: all run, s': all,
    'rack lost: processor time of control for one, ms': (after.control - before.control) / servers,
    'rack lost: of PostgreSQL for one, ms': (after.postgres - before.postgres) / servers,
    'rack lost: API meanwhile, p99 ms': quantile(answers, 0.99),
    'rack back: in step, s': back / 1000,
  };
}

const absences = `select count(*)::integer as value from server_absence where host_id = any($1::uuid[])`;

async function assertSound(work: Work, wire: RackWire): Promise<void> {
  const found = {
    'guests that ran twice': wire.twice(),
    'hosts that are overbooked or counted wrong': await work.ask<number>(overbooked),
    'groups that are broken': await work.ask<number>(brokenGroups),
  };
  const wrong = Object.entries(found).filter(([, count]) => count > 0);
  if (wrong.length > 0) throw new Error(wrong.map(([what, count]) => `${count} ${what}`).join(', '));
}

/** How often it asks must not depend on how long all takes. */
export function steadyCaller(work: Work): { end(): Promise<number[]> } {
  const answers: number[] = [];
  let over = false;
  const asking = (async () => {
    while (!over) {
      const pause = new Promise((resolve) => setTimeout(resolve, 50));
      // One that is refused, or cut off, took as long as it took.
      answers.push(await timed(() => work.list().catch(() => {})));
      await pause;
    }
  })();
  return {
    async end() {
      over = true;
      await asking;
      return answers;
    },
  };
}

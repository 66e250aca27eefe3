/**
 * kill -9 of control, host, PostgreSQL and ovn-controller at random moments, and kill -STOP of control and PostgreSQL for longer than
 * any lease, while twenty servers are made and deleted: every server ends as asked, nothing is left over, and a guest that was
 * running before never notices.
 *
 * The order of kills comes from a seed (BOTHY_CHAOS_SEED), printed at the start, so that a bad run can be run again.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { childrenByParent, withDescendants } from '../../cli/supervisor/process-table.ts';
import { ensurePublicGuest } from '../support/guest-image.ts';
import { bothy, type LiveCloud, liveCloud, mustRun, notLive, run, until } from '../support/live-cloud.ts';
import { Random } from '../support/random.ts';
import { type Guest, Tenant } from '../support/tenant.ts';

const seed = Number(process.env.BOTHY_CHAOS_SEED ?? Date.now() % 1_000_000);

interface ProcessStatus {
  name: string;
  pid: number | null;
  state: string;
}

describe(`chaos, seed ${seed}`, { skip: notLive, concurrency: 1 }, () => {
  let cloud: LiveCloud;
  let tenant: Tenant;
  let witness: Guest;
  const random = new Random(seed);

  before(
    async () => {
      cloud = await liveCloud();
      await ensurePublicGuest(cloud);
      tenant = await Tenant.create(cloud, { cidr4: '10.41.0.0/24', cidr6: 'fd00:41::/64' });
      witness = await tenant.boot('witness');
    },
    { timeout: 600_000 },
  );
  after(
    async () => {
      await tenant?.[Symbol.asyncDispose]();
      await cloud?.[Symbol.asyncDispose]();
    },
    { timeout: 300_000 },
  );

  const processes = async (): Promise<ProcessStatus[]> =>
    JSON.parse(await mustRun(bothy, ['status', '--json', '--data', cloud.data])).processes;

  /** Kernel and disk objects of servers, to compare before and after. */
  const leftovers = async () => {
    const list = async (command: string, args: string[]) => (await run(command, args)).stdout;
    const taps = (await list('ip', ['-o', 'link', 'show', 'type', 'tun']))
      .split('\n')
      .filter((line) => /^\d+: [0-9a-f]{4}t/.test(line));
    const qemus = (await list('pgrep', ['-fc', `qemu-system.*${cloud.data}`])).trim();
    const folders = readdirSync(join(cloud.data, 'host', 'servers'));
    const { ports } = await tenant.client.must('GET', 'network', '/v2.0/ports');
    return { taps: taps.length, qemus, folders: folders.sort(), ports: ports.length };
  };

  const kill = async (name: string): Promise<void> => {
    const found = (await processes()).find((p) => p.name === name);
    if (found?.pid) process.kill(found.pid, 'SIGKILL');
  };

  /** Stops a process with all below it, and lets them go on after longer than a lease of leadership lasts. */
  const freeze = async (name: string): Promise<void> => {
    const found = (await processes()).find((p) => p.name === name);
    if (!found?.pid) return;
    const pids = withDescendants(found.pid, childrenByParent());
    const signal = (value: NodeJS.Signals) => {
      for (const pid of pids) {
        try {
          process.kill(pid, value);
        } catch {
          // A backend that ended meanwhile.
        }
      }
    };
    signal('SIGSTOP');
    try {
      await new Promise((resume) => setTimeout(resume, 7000));
    } finally {
      signal('SIGCONT');
    }
  };

  /** Calls fail while control or PostgreSQL are down; a client of a cloud tries again. */
  const persist = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    let last: unknown;
    const attempt = () =>
      work().then(
        (value) => ({ value }),
        (error) => {
          last = error;
          return undefined;
        },
      );
    return until(what, attempt, 90_000, 250).then(
      ({ value }) => value,
      (error) => Promise.reject(new Error(`${error.message}; last: ${last}`)),
    );
  };

  test('twenty servers made and deleted under kill -9 end as asked, and nothing is left', {
    timeout: 900_000,
  }, async () => {
    const start = `sh -c '(n=0; while :; do n=$((n+1)); echo $n > /run/counter; sleep 0.2; done) >/dev/null 2>&1 &'`;
    await tenant.ssh(witness, start);
    const bootedAt = (await tenant.ssh(witness, 'cut -d" " -f1 /proc/uptime')).stdout;
    assert.ok(Number(bootedAt) > 0);
    const before = await leftovers();
    const victims = ['control', 'host', 'postgres', 'ovn-controller'];
    const killed: string[] = [];
    const toFreeze = ['control', 'postgres'];
    let over = false;
    const killer = (async () => {
      while (!over || toFreeze.length > 0) {
        // Early, for while something stands still the load waits, and is under way when the kills go on.
        if (killed.length > 0 && toFreeze.length > 0) await freeze(toFreeze.shift()!).catch(() => {});
        const name = random.pick(victims);
        await kill(name).catch(() => {});
        killed.push(name);
        await new Promise((resume) => setTimeout(resume, 1000 + random.below(2000)));
      }
    })();

    const kept: string[] = [];
    const one = async (index: number) => {
      const name = `chaos-${index}`;
      // A request whose answer was lost may have been carried out: the name is the key by which the client finds out.
      const id = await persist(`create ${name}`, async () => {
        const { servers } = await tenant.client.must('GET', 'compute', `/servers?name=^${name}$`);
        return servers[0]?.id ?? (await tenant.create(name));
      });
      if (random.chance(0.5)) await persist(`${name} ACTIVE`, () => tenant.active(id, 60_000));
      if (index % 5 === 0) kept.push(id);
      else await persist(`${name} gone`, () => tenant.remove(id, 60_000));
    };
    const queue = Array.from({ length: 20 }, (_, index) => index);
    const workers = [0, 1, 2].map(async () => {
      for (let i = queue.shift(); i !== undefined; i = queue.shift()) await one(i);
    });
    const ends = await Promise.allSettled(workers);
    over = true;
    await killer;
    console.log(
      `# killed ${killed.length} processes: ${victims.map((v) => `${v} ${killed.filter((k) => k === v).length}`).join(', ')}`,
    );

    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const id of kept) await persist(`${id} ACTIVE`, () => tenant.active(id, 60_000));
    for (const id of kept) await persist(`${id} gone`, () => tenant.remove(id, 60_000));
    await until(
      'all processes are ready again',
      async () => (await processes()).every((p) => p.state === 'ready'),
      60_000,
    );
    await until(
      'nothing is left over',
      async () => JSON.stringify(await leftovers()) === JSON.stringify(before),
      60_000,
      500,
    ).catch(async (error) => assert.deepEqual(await leftovers(), before, String(error)));

    const count = async () => Number((await tenant.ssh(witness, 'cat /run/counter')).stdout);
    const then = await persist(
      'the witness answers',
      async () => (await count()) || Promise.reject(new Error('no count')),
    );
    await until('the counter in the guest goes on', async () => (await count()) > then, 10_000);
    const uptime = Number((await tenant.ssh(witness, 'cut -d" " -f1 /proc/uptime')).stdout);
    assert.ok(uptime > Number(bootedAt), 'the guest was never restarted');
  });
});

/**
 * `node tools/bench/projection.ts [--hosts N] [--ports N]`: what the network projection costs a control process, at a size.
 * A filled PostgreSQL, a real ovsdb-server with OVN's schema, and a process with nothing but the projector: how long
 * others wait for the event loop, memory, and what one change costs, the server's processor time too. Prints a line for each phase. Leaves nothing.
 */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { type RawBuilder, sql } from 'kysely';
import { pino } from 'pino';
import { processFlags } from '../../cli/process/definitions.ts';
import { Secret } from '../../contract/secret.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { cloudActor, Database } from '../../control/kit/database/database.ts';
import { stopTestCluster, testDatabase } from '../../control/kit/database/testing.ts';
import { Projector } from '../../control/network/ovn/index.ts';
import { fillNetworks, kinds, numberedId } from '../../control/network/test-filled.ts';
import { cpuMs } from './processor.ts';

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Reading {
  phase: string;
  ms: number;
  cpuMs: number;
  /** Of the event loop's delay, milliseconds. */
  p50: number;
  p999: number;
  longest: number;
  rssMiB: number;
  heapMiB: number;
}

/** In the process that is measured. */
async function projecting(url: string, target: string): Promise<void> {
  const database = new Database({ url: new Secret(url) });
  const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
  const feed = new ChangeFeed({ database, url: new Secret(url), log });
  await feed.start();
  const fullPassMs = Number(process.env.FULL_PASS_MS ?? 60_000);
  const projector = new Projector({ database, feed, log, northbound: { target }, fullPassMs });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const measured = async (phase: string, work: () => Promise<unknown>) => {
    delay.reset();
    delay.enable();
    const [start, cpu] = [performance.now(), process.cpuUsage()];
    await work();
    delay.disable();
    process.send?.(reading(phase, performance.now() - start, process.cpuUsage(cpu), delay));
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await wait(20);
  };
  const walks = () => projector.status().lastFullPass?.at.getTime();
  await measured('connect and compare', async () => {
    projector.start();
    await until(() => walks() !== undefined);
  });
  const first = walks();
  if (fullPassMs < 60_000) await measured('a walk in the background', () => until(() => walks() !== first));
  const change = async (statement: RawBuilder<unknown>) => {
    const before = projector.status().lastPass;
    await database.transaction(cloudActor, (tx) => statement.execute(tx));
    await until(() => projector.status().lastPass !== before && projector.status().pending === 0);
  };
  await measured('100 changed ports', async () => {
    for (let n = 0; n < 100; n++) {
      await change(sql`update port set name = name || 'x' where id = ${numberedId(kinds.port, n * 50 + 7)}`);
    }
  });
  const gone = sql`connected = false, last_seen_at = now() - interval '1 hour'`;
  await measured('a host goes', () => change(sql`update host set ${gone} where id = ${numberedId(kinds.host, 3)}`));
  await measured('a host comes', () =>
    change(sql`update host set connected = true where id = ${numberedId(kinds.host, 3)}`),
  );
  process.send?.(projector.status());
  await projector.stop();
  await feed.stop();
  await database.close();
  process.disconnect();
}

function reading(
  phase: string,
  ms: number,
  cpu: NodeJS.CpuUsage,
  delay: Pick<RecordableHistogram, 'percentile' | 'max'>,
): Reading {
  const milli = (nanoseconds: number) => Math.round(nanoseconds / 1e4) / 100;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    phase,
    ms: Math.round(ms),
    cpuMs: Math.round((cpu.user + cpu.system) / 1000),
    p50: milli(delay.percentile(50)),
    p999: milli(delay.percentile(99.9)),
    longest: milli(delay.max),
    rssMiB: Math.round(rss / 2 ** 20),
    heapMiB: Math.round(heapUsed / 2 ** 20),
  };
}

async function northbound(directory: string): Promise<{ server: ChildProcess; target: string }> {
  const [file, socket] = [join(directory, 'nb.db'), join(directory, 'nb.sock')];
  execFileSync('ovsdb-tool', ['create', file, '/usr/share/ovn/ovn-nb.ovsschema']);
  const paths = { OVS_RUNDIR: directory, OVN_RUNDIR: directory, OVS_LOGDIR: directory };
  const options = [`--remote=punix:${socket}`, `--unixctl=${join(directory, 'nb.ctl')}`, '--no-chdir', '-vconsole:off'];
  const server = spawn('ovsdb-server', [file, ...options], { env: { ...process.env, ...paths }, stdio: 'ignore' });
  while (!existsSync(socket)) await wait(10);
  return { server, target: `unix:${socket}` };
}

async function main(): Promise<void> {
  const options = { hosts: { type: 'string', default: '1000' }, ports: { type: 'string', default: '100000' } } as const;
  const { values } = parseArgs({ options });
  const size = { hosts: Number(values.hosts), projects: 500, networks: Number(values.ports) / 50, portsOfNetwork: 50 };
  const directory = mkdtempSync(join(tmpdir(), 'bothy-bench-'));
  const db = await testDatabase();
  const { server, target } = await northbound(directory);
  try {
    await fillNetworks(db.database, size);
    for (const [title, fullPassMs] of [
      ['into an empty database', 60_000],
      ['with everything there', 1000],
    ] as const) {
      console.log(`# ${size.hosts} hosts, ${values.ports} ports, ${title}`);
      const env = { ...process.env, FULL_PASS_MS: String(fullPassMs) };
      const child = fork(import.meta.filename, ['--projecting', db.url.reveal(), target], {
        env,
        execArgv: processFlags,
      });
      const pid = String(server.pid);
      let before = cpuMs([pid]);
      child.on('message', (message) => {
        const serverCpuMs = cpuMs([pid]) - before;
        before += serverCpuMs;
        console.log(JSON.stringify({ ...(message as object), serverCpuMs }));
      });
      await new Promise((resolve) => child.once('exit', resolve));
    }
  } finally {
    server.kill();
    await db[Symbol.asyncDispose]();
    stopTestCluster();
    rmSync(directory, { recursive: true, force: true });
  }
}

const [flag, url, target] = process.argv.slice(2);
if (flag === '--projecting') await projecting(url!, target!);
else await main();

/**
 * `npm run bench -- lists`: a page of 50 servers of a project with 10,000, by Nova's API: short and in detail, the first page and one in
 * the middle. The servers are rows, as a host's report leaves them; control and PostgreSQL are processes of their own. With
 * `--beside COMMIT` in turns with that commit's control on a cloud of its own. OpenStack's figure is the one of openstack-zed.ts: 50 in
 * detail, of a project that has no more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { unpackCommit } from './beside.ts';
import { references } from './openstack-zed.ts';
import { treeCpuMs } from './processor.ts';
import { fill } from './scale-fill.ts';
import { quantile, timed } from './scale-work.ts';

const size = { hosts: 10, servers: 10_000 };
const warmUps = 60;
const targetMs = 5;
/** Requests before it is the other's turn. */
const turn = 50;

interface Contender {
  name: string;
  cloud: CloudProcesses;
  middle: string;
  openstack: OpenStack;
}

/** @param options.count of requests of each kind @returns the table, and what missed its target */
export async function benchLists(options: {
  count: number;
  beside?: string | undefined;
}): Promise<{ text: string; missed: string[] }> {
  await using stack = new AsyncDisposableStack();
  const scratch = mkdtempSync(join(tmpdir(), 'bothy-bench-lists-'));
  stack.defer(() => rmSync(scratch, { recursive: true, force: true }));
  const contenders = [await open(stack, { name: 'here' })];
  if (options.beside !== undefined) {
    const source = join(scratch, 'beside');
    contenders.push(await open(stack, { name: unpackCommit(options.beside, source), source }));
  }
  const lines = [
    `50 of ${size.servers} servers of one project, ${options.count} requests each`,
    `${' '.repeat(56)}   p50 ms   p99 ms   CPU of control, PostgreSQL, ms`,
  ];
  const missed: string[] = [];
  for (const path of ['/servers', '/servers/detail']) {
    for (const page of ['first page', 'middle'] as const) {
      const results = await inTurns(contenders, { path, page, count: options.count });
      for (const [index, { all, controlMs, postgresMs }] of results.entries()) {
        const work = index === 0 ? `GET ${path}, ${page}` : `  beside ${contenders[index]!.name.slice(0, 44)}`;
        const cells = [quantile(all, 0.5), quantile(all, 0.99), controlMs, postgresMs].map(cell).join('');
        lines.push(work.padEnd(56) + cells);
      }
      if (quantile(results[0]!.all, 0.5) > targetMs) missed.push(`GET ${path}, ${page} within ${targetMs} ms`);
    }
  }
  const zed = references.find(({ metric }) => metric.startsWith('nova GET /servers/detail, 50 servers'));
  lines.push(`OpenStack Zed, all of 50 in detail, one at a time: p50 ${zed!.openstack} ms`);
  return { text: lines.join('\n'), missed };
}

async function open(stack: AsyncDisposableStack, version: { name: string; source?: string }): Promise<Contender> {
  const cloud = stack.use(
    await startCloudProcesses({
      ...{ hosts: size.hosts, fleetHosts: 0, logLevel: 'warn' },
      ...(version.source !== undefined && { source: version.source }),
      prepare: (url, hosts) => fill(url, hosts, size),
    }),
  );
  const middle = await ownAll(cloud.databaseUrl);
  const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
  stack.defer(() => openstack.close());
  await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
  return { name: version.name, cloud, middle, openstack };
}

async function inTurns(
  contenders: readonly Contender[],
  { path, page, count }: { path: string; page: 'first page' | 'middle'; count: number },
): Promise<{ all: number[]; controlMs: number; postgresMs: number }[]> {
  const states = contenders.map(({ cloud, middle, openstack }) => ({
    ...{ all: [] as number[], controlMs: 0, postgresMs: 0 },
    cpu: () => [treeCpuMs(cloud.pid('control')), treeCpuMs(cloud.pid('postgres'))] as const,
    async get() {
      const query = page === 'middle' ? `?limit=50&marker=${middle}` : '?limit=50';
      const { servers } = await openstack.must('GET', 'compute', `${path}${query}`);
      if (servers.length !== 50) throw new Error(`${servers.length} servers on a page of 50`);
    },
  }));
  for (const { get } of states) for (let n = 0; n < warmUps; n++) await get();
  for (let done = 0; done < count; done += turn) {
    for (const state of states) {
      const before = state.cpu();
      for (let n = 0; n < turn; n++) state.all.push(await timed(state.get));
      const after = state.cpu();
      state.controlMs += (after[0] - before[0]) / count;
      state.postgresMs += (after[1] - before[1]) / count;
    }
  }
  return states;
}

const cell = (value: number) => value.toFixed(1).padStart(9);

/** All servers are the administrator's project's from now on; answers the one in their middle. */
async function ownAll(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query("set session_replication_role = 'replica'");
    await client.query("update server set project_id = (select id from project where name = 'admin')");
    await client.query("update port set project_id = (select id from project where name = 'admin')");
    await client.query('vacuum analyze');
    const { rows } = await client.query('select id from server order by created_at desc, id desc offset $1 limit 1', [
      size.servers / 2,
    ]);
    return rows[0].id;
  } finally {
    await client.end();
  }
}

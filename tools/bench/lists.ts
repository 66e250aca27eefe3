/**
 * `npm run bench -- lists`: a page of 50 servers of a project with 10,000, by Nova's API: short and in detail, the first page and one in
 * the middle. The servers are rows, as a host's report leaves them; control and PostgreSQL are processes of their own. OpenStack's figure
 * is the one of openstack-zed.ts: 50 in detail, of a project that has no more.
 */
import pg from 'pg';
import { startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { references } from './openstack-zed.ts';
import { treeCpuMs } from './processor.ts';
import { fill } from './scale-fill.ts';
import { quantile, timed } from './scale-work.ts';

const size = { hosts: 10, servers: 10_000 };
const warmUps = 30;
const targetMs = 5;

/** @param count of requests of each kind @returns the table, and what missed its target */
export async function benchLists(count: number): Promise<{ text: string; missed: string[] }> {
  await using cloud = await startCloudProcesses({
    ...{ hosts: size.hosts, fleetHosts: 0, logLevel: 'warn' },
    prepare: (url, hosts) => fill(url, hosts, size),
  });
  const middle = await ownAll(cloud.databaseUrl);
  const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
  await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
  const lines = [
    `50 of ${size.servers} servers of one project, ${count} requests each        p50 ms   p99 ms   control's CPU, ms`,
  ];
  const missed: string[] = [];
  for (const path of ['/servers', '/servers/detail']) {
    for (const [name, query] of [
      ['first page', '?limit=50'],
      ['middle', `?limit=50&marker=${middle}`],
    ] as const) {
      const get = async () => {
        const { servers } = await openstack.must('GET', 'compute', `${path}${query}`);
        if (servers.length !== 50) throw new Error(`${servers.length} servers on a page of 50`);
      };
      for (let n = 0; n < warmUps; n++) await get();
      const before = treeCpuMs(cloud.pid('control'));
      const all: number[] = [];
      for (let n = 0; n < count; n++) all.push(await timed(get));
      const cpu = (treeCpuMs(cloud.pid('control')) - before) / count;
      const work = `GET ${path}, ${name}`;
      lines.push(work.padEnd(56) + [quantile(all, 0.5), quantile(all, 0.99), cpu].map(cell).join(''));
      if (quantile(all, 0.5) > targetMs) missed.push(`${work} within ${targetMs} ms`);
    }
  }
  openstack.close();
  const zed = references.find(({ metric }) => metric.startsWith('nova GET /servers/detail, 50 servers'));
  lines.push(`OpenStack Zed, all of 50 in detail, one at a time: p50 ${zed!.openstack} ms`);
  return { text: lines.join('\n'), missed };
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
    await client.query('vacuum analyze server, port');
    const { rows } = await client.query('select id from server order by created_at desc, id desc offset $1 limit 1', [
      size.servers / 2,
    ]);
    return rows[0].id;
  } finally {
    await client.end();
  }
}

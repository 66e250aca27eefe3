/** For tests of the network projection: PostgreSQL, a fake northbound database on the wire, and projectors between them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { pino } from 'pino';
import { newId } from '../../contract/ids.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import type { Database, Queryable } from '../../control/kit/database/database.ts';
import { testDatabase, untilFinal } from '../../control/kit/database/testing.ts';
import { Projector, type Unit, type UnitKind, unit } from '../../control/network/ovn/index.ts';
import { FakeDatabase, FakeNorthd, FakeOvsdbServer, northbound } from '../../simulator/ovsdb/index.ts';
import { patienceMs } from '../support/until.ts';
import { TestCloud } from './ovn-cloud.ts';

const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });

export async function ovnBench(options: { fullPassMs?: number; query?: (query: Queryable) => Queryable } = {}) {
  const db = await testDatabase();
  await sql`insert into cloud (id, region) values (${newId()}, 'test')`.execute(db.database.query);
  const directory = mkdtempSync(join(tmpdir(), 'bothy-ovn-'));
  const nb = new FakeDatabase(northbound);
  const northd = new FakeNorthd(nb);
  let server = new FakeOvsdbServer([nb]);
  const path = join(directory, 'nb.sock');
  const target = await server.listen({ path });
  const feed = new ChangeFeed({ database: db.database, url: db.url, log });
  await feed.start();
  const projectors: Projector[] = [];
  const database = seenThrough(db.database, options.query);
  const project = () => {
    const each = new Projector({
      database,
      feed,
      log,
      northbound: { target },
      leaseTiming: { renewMs: 20, retryMs: 20 },
      fullPassMs: options.fullPassMs ?? 60_000,
    });
    each.start();
    projectors.push(each);
    return each;
  };
  return {
    db,
    nb,
    northd,
    feed,
    cloud: new TestCloud(db.database),
    projector: project(),
    project,
    get server() {
      return server;
    },
    async restartServer(work: () => void) {
      await server.close();
      work();
      server = new FakeOvsdbServer([nb]);
      await server.listen({ path });
    },
    rows: (table: string) => [...nb.rows(table).values()],
    async [Symbol.asyncDispose]() {
      await Promise.all(projectors.map((each) => each.stop()));
      await feed.stop();
      northd.close();
      await server.close();
      rmSync(directory, { recursive: true, force: true });
      await db[Symbol.asyncDispose]();
    },
  };
}

/** What projectors have of the database, whatever they read seen by the test. */
function seenThrough(database: Database, seen: (query: Queryable) => Queryable = (query) => query): Database {
  const { urgent } = database;
  const transaction = database.transaction.bind(database);
  const together: Database['together'] = (work, how) => database.together((one) => work(seen(one)), how);
  return { query: seen(database.query), urgent, transaction, together } as Database;
}

export type OvnBench = Awaited<ReturnType<typeof ovnBench>>;

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await condition())) {
    if (Date.now() > end) assert.fail(`not in ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A network with a router to outside, a group, two guests and a floating IP. */
export async function smallCloud({ cloud }: { cloud: TestCloud }) {
  const host = await cloud.host();
  const ext = await cloud.external();
  const extSubnet = await cloud.subnet(ext, '203.0.113.0/24', { gateway_ip: '203.0.113.254', enable_dhcp: false });
  const net = await cloud.network({ name: '小屋 🏔 "x"; drop' });
  const subnet = await cloud.subnet(net, '10.1.0.0/24', { gateway_ip: '10.1.0.1' });
  await cloud.metadataPort(net, [{ subnet, ip: '10.1.0.2' }]);
  const router = await cloud.router();
  await cloud.interface(router, net, [{ subnet, ip: '10.1.0.1' }]);
  const gateway = await cloud.gateway(router, ext, [{ subnet: extSubnet, ip: '203.0.113.1' }]);
  const group = await cloud.securityGroup();
  const rule = await cloud.rule(group, { protocol: 'tcp', port_range_min: 80, port_range_max: 80 });
  const port = await cloud.port(net, [{ subnet, ip: '10.1.0.11' }], { host_id: host }, [group]);
  const port2 = await cloud.port(net, [{ subnet, ip: '10.1.0.12' }], {}, [group]);
  const floating = await cloud.floatingIp(
    { network: ext, subnet: extSubnet, ip: '203.0.113.11' },
    { port, ip: '10.1.0.11', router },
  );
  return { host, ext, extSubnet, net, subnet, router, gateway, group, rule, port, port2, floating };
}

/** Waits until all that is committed by now is in the northbound database. */
export async function settled(b: OvnBench): Promise<void> {
  const { query } = b.db.database;
  const end = await untilFinal(query);
  await until('the changes to be known', () => {
    b.feed.wake();
    return b.feed.position.transactionId >= end;
  });
  await until('the projector is connected', () => b.projector.status().connected);
  // Every unit by its name: one that is being written just now waits no longer and is not there yet.
  await b.projector.reached([unit('cloud', 'drop'), ...(await unitsOf(query))], { timeoutMs: patienceMs });
}

async function unitsOf(query: Queryable): Promise<Unit[]> {
  const { rows } = await sql<{ kind: UnitKind; id: string }>`
    select 'host' as kind, id from host union all select 'network', id from network
    union all select 'address_group', id from address_group union all select 'security_group', id from security_group
    union all select 'port', id from port union all select 'router', id from router`.execute(query);
  return rows.map(({ kind, id }) => unit(kind, id));
}

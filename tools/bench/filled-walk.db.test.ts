/**
 * A cloud that has lived: its database is filled, then control starts, makes all of its looks, serves one of everything that is asked for, and every route that
 * it has. PostgreSQL says of each statement what it read; none may read much more than it answers.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { explainAll, type Waste } from '../../control/kit/database/test-plans.ts';
import { numberedId } from '../../control/network/test-filled.ts';
import { aimed, type Route, reachesOf, routeList } from '../../test/fuzz/routes.ts';
import { makeVictim, type Victim } from '../../test/fuzz/victim.ts';
import type { OpenStack } from '../../test/support/openstack.ts';
import { SimulatedCloud } from '../../test/support/simulated-cloud.ts';
import { fillWhole } from './full-fill.ts';
import { fill } from './scale-fill.ts';

/** Large enough that what reads a table whole is told from what reads a page of it. */
const size = { hosts: 20, servers: 1500 };
const whole = { users: 500, images: 300, volumes: 3900, migrations: 3000, history: 6000 };
const projects = size.servers / 100;
/** So many rows for nothing are a table that was read whole. */
const much = 400;

const { routes, listen } = routeList();
let cloud: SimulatedCloud;
let plans: Awaited<ReturnType<typeof explainAll>>;

before(async () => {
  cloud = await SimulatedCloud.start();
  const hosts = Array.from({ length: size.hosts }, (_, n) => ({ id: numberedId(200, n) as never }));
  for (const { id } of hosts)
    await sql`insert into host (id, name, vcpus, memory_mib, disk_gib) values (${id}, ${id}, 640, 2000000, 100000)`.execute(
      cloud.database.query,
    );
  await fill(cloud.databaseUrl, hosts, size);
  await fillWhole(cloud.databaseUrl, whole, { projects });
  plans = await explainAll(cloud.database);
  cloud.control.kill();
  await cloud.startControl({ hooks: { onDatabase: (database) => plans.hear(database), onRoute: listen } });
});
after(() => cloud[Symbol.asyncDispose]());

/** What reads much by what it is, or is known to and left open (docs/review.md), each by how it begins. */
const known: readonly { says: RegExp; why: string }[] = [
  {
    says: /^select (null as others|\(select json_agg\(json_build_array\(s\.id)/,
    why: 'what would survive of a loss: all servers of the hosts that would be lost, as one value',
  },
  {
    says: /^with (own|guarded) as materialized/,
    why: 'the reserve: every server that shall be restarted elsewhere has a refuge',
  },
  { says: /^with recursive chains \(holder, layer_id\)/, why: 'what all pools hold is added up from all layers' },
  {
    says: /^select t\.\* from storage_message t where true/,
    why: 'open: an administrator lists the messages of all projects',
  },
  {
    says: /^select \* from \(select m\.id, m\.number/,
    why: 'open: an administrator asks for the migrations of a host or a user',
  },
  {
    says: /^select h\.id, h\.name, h\.availability_zone, h\.enabled/,
    why: 'servers at work are counted from their index: with whole tables as dear as here, from that of hosts',
  },
  { says: /^select count\(\*\) as count, coalesce\(sum\(v\.size_gib/, why: 'the sum of all volumes' },
  { says: /^select n\.id as network_id, n\.name as network_name/, why: 'addresses are counted' },
  {
    says: /^select h\.id from host h where not h\.connected and exists/,
    why: 'of each host that is away, whether one of its servers shall be restarted',
  },
  {
    says: /^(update port set observed_up|select given\.id from unnest)/,
    why: 'what OVN says of all ports, when control starts',
  },
  { says: /^select distinct f\.router_id as id from port p/, why: 'all ports of hosts that have moved' },
  {
    says: /^select t\.\*, h\.name as host_name, coalesce\(nullif/,
    why: 'in a small cloud ports are cheaper read in order than looked up twice',
  },
];

const shown = ({ table, removed, answered, statement }: Waste) =>
  `${removed} rows of ${table} for ${answered} in ${statement.replace(/\s+/g, ' ').slice(0, 300)}`;

/** One of each statement and table: the same is asked again and again. */
function wasted(): string[] {
  const found = new Map(
    plans.waste(much).map((waste) => [`${waste.table} ${waste.statement.replace(/\$\d+/g, '$').slice(0, 200)}`, waste]),
  );
  return [...found.values()]
    .filter(({ statement }) => !known.some(({ says }) => says.test(statement.replace(/\s+/g, ' ').trim())))
    .map(shown);
}

let admin: OpenStack;
let victim: Victim;

test('control starts, makes its looks and one of everything that it is asked for, and reads what that needs', async () => {
  admin = await cloud.client();
  const { flavors } = await admin.must('GET', 'compute', '/flavors');
  victim = await makeVictim(cloud, admin, flavors.find(({ name }: { name: string }) => name === 'm1.tiny').id);
  assert.deepEqual(wasted(), []);
});

for (const who of ['administrator', 'owner'] as const) {
  test(`each route answers its ${who} from what it reads, and reads little else`, async () => {
    const client = who === 'owner' ? victim.owner.client : admin;
    const found: string[] = [];
    const gets = routes.filter(({ method }) => method === 'GET');
    assert.ok(gets.length > 100, String(gets.length));
    for (const route of gets) {
      // Who may not see more asks for the same by each.
      for (const reach of reachesOf(victim).slice(0, who === 'owner' ? 2 : undefined)) await ask(client, route, reach);
      found.push(...wasted().map((waste) => `${route.url}: ${waste}`));
    }
    assert.deepEqual(found, []);
  });
}

async function ask(client: OpenStack, route: Route, reach: string): Promise<void> {
  const url = `https://127.0.0.1:${cloud.control.port}${aimed(route, victim)}${reach}`;
  const type: Record<string, string> = route.url.startsWith('/volume')
    ? { 'openstack-api-version': 'volume 3.70' }
    : { 'openstack-api-version': 'compute 2.90' };
  const answer = await client.raw('GET', url, undefined, { 'x-auth-token': client.token, ...type });
  assert.ok(answer.status < 500 || answer.status === 501, `${url}: ${answer.status}`);
}

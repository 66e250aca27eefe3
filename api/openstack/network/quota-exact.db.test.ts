/** Fifty who ask at once get as many as the quota leaves, and not one more: of everything that has one. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { networkResources as resources } from '../../../control/network/resources.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, newNetwork, newSubnet, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const caller = testCaller();
const me = api.as(caller);
let outside: string;
let network: string;
let group: string;

before(async () => {
  await sql`update quota set maximum = -1 where project_id is null`.execute(api.database.query);
  outside = await newNetwork(admin, { 'router:external': true });
  await newSubnet(admin, outside, '172.20.0.0/16', { enable_dhcp: false });
  network = await newNetwork(me);
  await newSubnet(me, network, '10.0.0.0/16');
  group = (await me.post('/security-groups', { security_group: {} })).body.security_group.id;
  await me.get('/security-groups');
});

const makers: Readonly<Record<string, (n: number) => Promise<Answer>>> = {
  networks: () => me.post('/networks', { network: {} }),
  subnets: (n) => me.post('/subnets', { subnet: { network_id: network, ip_version: 4, cidr: `10.${100 + n}.0.0/24` } }),
  ports: () => me.post('/ports', { port: { network_id: network } }),
  routers: () => me.post('/routers', { router: {} }),
  floating_ips: () => me.post('/floatingips', { floatingip: { floating_network_id: outside } }),
  security_groups: () => me.post('/security-groups', { security_group: {} }),
  security_group_rules: (n) =>
    me.post('/security-group-rules', {
      security_group_rule: {
        ...{ security_group_id: group, direction: 'ingress', protocol: 'tcp' },
        ...{ port_range_min: n + 1, port_range_max: n + 1 },
      },
    }),
  rbac_policies: () =>
    me.post('/rbac-policies', {
      rbac_policy: {
        ...{ object_type: 'network', object_id: network, action: 'access_as_shared' },
        target_tenant: others.pop(),
      },
    }),
  subnet_pools: (n) => me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: [`10.${n}.0.0/16`] } }),
  trunks: () => me.post('/trunks', { trunk: { port_id: free.pop() } }),
};
const others: string[] = [];
const free: string[] = [];

// Their own test has them: control/network/reachability-assertion.
const elsewhere = 'reachability_assertions';

test('everything that has a quota is tried', () => {
  const limited = resources.flatMap(({ usage }) => Object.keys(usage ?? {})).filter((name) => name !== elsewhere);
  const untried = limited.filter((name) => makers[name] === undefined);
  assert.deepEqual(untried, [], 'a maker for each');
});

for (const [name, make] of Object.entries(makers)) {
  test(`fifty ask for ${name} at once`, async () => {
    const database = api.database.query;
    for (let n = 0; n < 50 && name === 'rbac_policies'; n++) {
      const { rows } = await sql<{ id: string }>`insert into project (id, domain_id, name)
        select gen_random_uuid(), domain_id, gen_random_uuid()::text from project limit 1 returning id`.execute(
        database,
      );
      others.push(rows[0]!.id);
    }
    for (let n = 0; n < 50 && name === 'trunks'; n++)
      free.push((await me.post('/ports', { port: { network_id: network } })).body.port.id);
    const usage = Object.assign({}, ...resources.map((resource) => resource.usage ?? {}))[name]!;
    const used = async () => (await sql<{ used: number }>`${usage(caller.projectId!)}`.execute(database)).rows[0]!.used;
    const maximum = Number(await used()) + 5;
    await sql`insert into quota (id, project_id, resource, maximum)
      values (gen_random_uuid(), ${caller.projectId}, ${name}, ${maximum})`.execute(database);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => make(n)));
    await sql`delete from quota where project_id = ${caller.projectId} and resource = ${name}`.execute(database);
    const statuses = [...new Set(answers.map(({ status }) => status))].sort();
    assert.deepEqual(statuses, [201, 409], JSON.stringify(answers.find(({ status }) => status !== 201)?.body));
    assert.equal(answers.filter(({ status }) => status === 201).length, 5);
    assert.equal(Number(await used()), maximum);
  });
}

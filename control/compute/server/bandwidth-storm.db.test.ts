/** Minimum bandwidth while everything that changes it is done at once: what is promised is what ports were given, and no more than there is. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { Random } from '../../../test/support/random.ts';
import { until } from '../../../test/support/until.ts';
import { recordBandwidths } from '../../host/store.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { NetworkService } from '../../network/network/service.ts';
import { QosPolicyService } from '../../network/qos-policy/service.ts';
import { testNetwork } from '../../network/testing.ts';
import { TrunkService } from '../../network/trunk/service.ts';
import * as actions from './actions/index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

const physical = ['physnet-a', 'physnet-b', 'physnet-c'];
const kbps = 20_000;

let db: TestDatabase;
let cloud: ServerCloud;
let hosts: HostId[];
let policies: QosPolicyService;
let flavor: string;
let networks: string[];
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  policies = new QosPolicyService(db);
  flavor = await cloud.addFlavor();
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
  hosts = await Promise.all([1, 2].map(() => cloud.addHost({ vcpus: 1000, memoryMiB: 10_000_000 })));
  await sql`update host set physical_networks = ${physical}::text[]`.execute(db.database.query);
  const gives = physical.map((physicalNetwork) => ({ physicalNetwork, egressKbps: kbps, ingressKbps: kbps }));
  for (const host of hosts) await recordBandwidths(db.database.query, host, gives);
  networks = [];
  for (const [at, provider_physical_network] of physical.entries()) {
    const over = { provider_network_type: 'flat', provider_physical_network, shared: true } as const;
    networks.push((await testNetwork(db.database, cloud.admin, [`10.${at + 1}.0.0/16`], over)).id);
  }
});
after(() => db[Symbol.asyncDispose]());

/** What is thrown that is no refusal. */
const faults: unknown[] = [];
const told = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error) => {
    if (!(error instanceof CloudError)) faults.push(error);
    return undefined;
  });

async function port(network: string, policy: string | null): Promise<PortId> {
  const [made] = await cloud.ports.create(cloud.admin, [
    { network_id: network, qos_policy_id: policy, project_id: cloud.projectId },
  ]);
  return made!.id as PortId;
}

const server = (...ports: PortId[]): Promise<ServerId> => cloud.serverWith(flavor, ports);

async function isTrue(): Promise<void> {
  const { rows: counted } = await sql`select * from host_bandwidth u left join lateral (
      select sum(egress_kbps)::bigint as egress, sum(ingress_kbps)::bigint as ingress from port_bandwidth b
      where b.host_id = u.host_id and b.physical_network = u.physical_network) b on true
    where (used_egress_kbps, used_ingress_kbps) <> (coalesce(egress, 0), coalesce(ingress, 0))
      or used_egress_kbps > egress_kbps or used_ingress_kbps > ingress_kbps`.execute(db.database.query);
  assert.deepEqual(counted, []);
  const { rows: promised } = await sql`
    with should as (select p.id, p.host_id, coalesce(sum(r.min_kbps) filter (where r.direction = 'egress'), 0) as egress,
        coalesce(sum(r.min_kbps) filter (where r.direction = 'ingress'), 0) as ingress
      from port p join network n on n.id = p.network_id
        join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
      where p.host_id is not null group by 1, 2)
    select coalesce(s.id, b.port_id) as id, s.egress, b.egress_kbps from should s full join port_bandwidth b on b.port_id = s.id
    where (s.host_id, s.egress, s.ingress) is distinct from (b.host_id, b.egress_kbps::numeric, b.ingress_kbps::numeric)`.execute(
    db.database.query,
  );
  assert.deepEqual(promised, []);
}

/** Two transactions at once: the first does its work and waits, the second is begun and held up by it, or done. */
async function whileHeld(first: (tx: Tx) => Promise<unknown>, second: () => Promise<unknown>): Promise<void> {
  let begun: Promise<unknown> | undefined;
  await db.database.transaction(cloudActor, async (tx) => {
    await first(tx);
    let done = false;
    begun = second().finally(() => {
      done = true;
    });
    begun.catch(() => {});
    await until('the second to wait', async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db.database.query);
      return done || rows.length > 0;
    });
  });
  await begun;
}

test('a port that loses its host, its policy or itself while a rule changes is promised nothing', async () => {
  const [policy] = await policies.create(cloud.admin, [{ shared: true }]);
  await policies.createRules(cloud.admin, policy!.id, 'minimum_bandwidth', [{ min_kbps: 100 }]);
  const [rule] = (await policies.read(cloud.admin, policy!.id)).rules;
  let min_kbps = 100;
  const change = () => {
    min_kbps += 100;
    return policies.updateRule(cloud.admin, policy!.id, 'minimum_bandwidth', rule!.id, { min_kbps });
  };
  const losses = {
    host: (id: PortId) => sql`update port set host_id = null where id = ${id}`,
    policy: (id: PortId) => sql`update port set qos_policy_id = null where id = ${id}`,
    itself: (id: PortId) => sql`delete from port where id = ${id}`,
  };
  for (const [name, loss] of Object.entries(losses)) {
    const id = await port(networks[0]!, policy!.id);
    await sql`update port set host_id = ${hosts[0]} where id = ${id}`.execute(db.database.query);
    await whileHeld((tx) => loss(id).execute(tx), change);
    const { rows } = await sql`select from port_bandwidth where port_id = ${id}`.execute(db.database.query);
    assert.equal(rows.length, 0, name);
  }
  const id = await port(networks[1]!, null);
  await sql`update port set host_id = ${hosts[0]} where id = ${id}`.execute(db.database.query);
  const service = new NetworkService(db);
  await service.update(cloud.admin, networks[1]!, { qos_policy_id: policy!.id });
  await whileHeld((tx) => sql`update network set qos_policy_id = null where id = ${networks[1]}`.execute(tx), change);
  await isTrue();
});

test('servers come and go, interfaces too, and rules and policies change, all at once', {
  timeout: 120_000,
}, async () => {
  const made = await policies.create(
    cloud.admin,
    Array.from({ length: 4 }, () => ({ shared: true })),
  );
  const ids = made.map(({ id }) => id);
  for (const id of ids) await policies.createRules(cloud.admin, id, 'minimum_bandwidth', [{ min_kbps: 700 }]);
  const random = new Random(1);
  const any = <T>(list: readonly T[]): T => random.pick(list);
  const service = new NetworkService(db);
  const trunks = new TrunkService(db);
  let tag = 1;
  const life = async (n: number) => {
    for (let round = 0; round < 2; round++) {
      const order = n % 2 ? networks : networks.toReversed();
      const ports: PortId[] = [];
      for (const network of order) ports.push(await port(network, any([...ids, null])));
      const late = await port(any(networks), any(ids));
      const carried = await port(any(networks), any(ids));
      const [trunk] = await trunks.create(cloud.admin, [{ port_id: ports[0]!, project_id: cloud.projectId }]);
      const id = await told(server(...ports));
      if (id === undefined) continue;
      await Promise.all([
        told(cloud.ports.update(cloud.admin, any(ports), { qos_policy_id: any([...ids, null]) })),
        told(
          cloud.service.act(cloud.member, id, actions.attachInterface, {
            request: { portId: late },
            tag: null,
            attached: () => {},
          }),
        ),
        told(
          trunks.addSubports(cloud.admin, trunk!.id, [
            { port_id: carried, segmentation_type: 'vlan', segmentation_id: (tag++ % 4000) + 1 },
          ]),
        ),
        round % 2 ? told(cloud.service.delete(cloud.member, id)) : undefined,
        told(cloud.controller.reconcile(id)),
      ]);
      if (round % 2 === 0) await told(cloud.service.delete(cloud.member, id));
      for (const host of hosts) await told(cloud.obey(host));
      await told(cloud.controller.reconcile(id));
    }
  };
  const change = async () => {
    for (let round = 0; round < 8; round++) {
      const policy = any(ids);
      const { rules } = await policies.read(cloud.admin, policy);
      const [rule] = rules;
      if (!rule) await told(policies.createRules(cloud.admin, policy, 'minimum_bandwidth', [{ min_kbps: 600 }]));
      else if (round % 3) {
        await told(
          policies.updateRule(cloud.admin, policy, 'minimum_bandwidth', rule.id, {
            min_kbps: 100 * any([1, 3, 7, 15]),
            direction: any(['egress', 'ingress']),
          }),
        );
      } else await told(policies.deleteRule(cloud.admin, policy, 'minimum_bandwidth', rule.id));
      await told(service.update(cloud.admin, any(networks), { qos_policy_id: any([...ids, null]) }));
    }
  };
  await Promise.all([...Array.from({ length: 8 }, (_, n) => life(n)), change(), change()]);
  assert.deepEqual(faults, []);
  await isTrue();
});

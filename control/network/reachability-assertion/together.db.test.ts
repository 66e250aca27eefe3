/** Many assertions at once: each is decided as it is alone, with as few statements as one, also by what a change touches in a roundabout way. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { Random } from '../../../test/support/random.ts';
import { type Site, somebodyOutside, TestSites } from '../reachability/testing.ts';
import { decide, decideUndecided, readTogether } from './decide.ts';
import type { ReachabilityAssertionRow } from './reachability-assertion.ts';
import type { AssertionWish } from './service.ts';

let sites: TestSites;
before(async () => {
  sites = await TestSites.open();
});
after(() => sites[Symbol.asyncDispose]());

const make = (at: Site, wish: Partial<AssertionWish> & Pick<AssertionWish, 'kind' | 'from' | 'to'>) =>
  sites.network.reachabilityAssertions.create(at.caller, { protocol: 'tcp', port: 22, ...wish });
const isRefused = (error: unknown) => hasReason(error, 'reachability_assertion_violated');
const ssh = {
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: 'tcp',
  port_range_min: 22,
  port_range_max: 22,
} as const;

test('who joins a group, or whose address joins one, that a rule lets in what must never get in, is refused', async () => {
  const { ports, securityGroups, addressGroups } = sites.network;
  const at = await sites.site('10.20.0.0/24');
  const [friends] = await securityGroups.create(at.caller, [{ name: 'friends' }]);
  const [known] = await addressGroups.create(at.caller, [{ name: 'known', addresses: ['198.51.100.0/24'] }]);
  const [a, b] = [await at.guest(), await at.guest()];
  await make(at, { kind: 'never', from: a.id, to: b.id });
  for (const remote of [{ remote_group_id: friends!.id }, { remote_address_group_id: known!.id }]) {
    await securityGroups.createRules(at.caller, [{ ...ssh, security_group_id: at.group, ...remote }]);
  }
  const joining = { security_groups: [at.group, friends!.id] };
  await assert.rejects(ports.update(at.caller, a.id, joining), isRefused);
  await assert.rejects(addressGroups.addAddresses(at.caller, known!.id, [`${a.address}/32`]), isRefused);
  await addressGroups.addAddresses(at.caller, known!.id, ['198.51.100.7/32']);
  await ports.update(at.caller, (await at.guest()).id, joining);
});

test('a router’s route that leads away what must get there is refused', async () => {
  const at = await sites.site('10.21.0.0/24');
  const { id: from } = await at.guest();
  await make(at, { kind: 'must', from, to: somebodyOutside });
  const route = (destination: string) => ({ routes: [{ destination, nexthop: '10.21.0.77' }] });
  await assert.rejects(sites.network.routers.update(at.caller, at.router, route(`${somebodyOutside}/32`)), isRefused);
  await sites.network.routers.update(at.caller, at.router, route('198.51.100.0/24'));
});

/** Somebody's changes of these sites, by chance: rules, groups, addresses, routers, forwardings, floating IPs. */
async function change(at: Random, site: Site, guests: { id: string; address: string }[]) {
  const { ports, portForwardings, floatingIps, routers, securityGroups } = sites.network;
  const guest = at.pick(guests);
  const changes = [
    () => site.letIn('tcp', at.pick([1, 22, 80]), at.pick([80, 90, 65_535])),
    () =>
      securityGroups.createRules(site.caller, [{ ...ssh, security_group_id: site.group, remote_group_id: site.group }]),
    () => ports.update(site.caller, guest.id, { security_groups: at.chance(0.5) ? [] : [site.group] }),
    () => ports.update(site.caller, guest.id, { port_security_enabled: false, security_groups: [] }),
    () =>
      ports.update(site.caller, guest.id, {
        allowed_address_pairs: [{ ip_address: '10.22.0.255', mac_address: 'fa:16:3e:00:22:00' }],
      }),
    () => ports.update(site.caller, guest.id, { admin_state_up: at.chance(0.5) }),
    () => routers.update(site.caller, site.router, { admin_state_up: at.chance(0.7) }),
    () => site.floating(guest.id),
    async () => {
      const { id } = await floatingIps.create(site.caller, { floating_network_id: sites.external });
      const [external, internal] = [2222, 22].map((n) => ({ first: n, last: n })) as [never, never];
      await portForwardings.create(site.caller, id, [{ protocol: 'tcp', external, internal, port_id: guest.id }]);
    },
  ];
  await at
    .pick(changes)()
    .catch(() => {});
}

test('several of several projects, with the same addresses, are decided as each is alone', async () => {
  const at = new Random(20_261_129);
  const db = sites.db.database.query;
  const all = [];
  for (const cidr of ['10.22.0.0/24', '10.22.0.0/24', '10.23.0.0/24']) {
    const site = await sites.site(cidr);
    const guests = [];
    for (let n = 0; n < 4; n++) guests.push(await site.guest());
    all.push({ site, guests, floating: await site.floating(guests[0]!.id) });
  }
  const states = new Set<string>();
  for (const [n, { site, guests }] of all.entries()) {
    for (let of = 0; of < 7; of++) {
      const [from, to] = [
        at.pick([...guests.flatMap((one) => [one.id, one.address]), somebodyOutside]),
        at.pick(guests),
      ];
      const foreign = all[(n + of) % all.length]!.floating;
      const kind = at.pick(['must', 'never'] as const);
      const ends = { from, to: at.pick([to.id, to.address, foreign, '10.22.0.255']), on_violation: 'alarm' as const };
      await make(site, { kind, ...ends, port: at.chance(0.5) ? 22 : undefined }).catch((error) => {
        assert.ok(hasReason(error, 'reachability_ends_foreign'));
      });
    }
  }
  for (let round = 0; round < 4; round++) {
    for (const { site, guests } of all) await change(at, site, guests);
    const { rows } = await sql<ReachabilityAssertionRow>`
      select * from reachability_assertion where on_violation = 'alarm' order by id`.execute(db);
    assert.ok(rows.length > 9);
    for (const [n, decided] of (await readTogether(db, rows)).entries()) {
      const [together, alone] = [await decided(), await decide(db, rows[n]!)];
      assert.deepEqual(together, alone, `round ${round}, ${JSON.stringify(rows[n])}`);
      states.add(together.state);
    }
  }
  assert.deepEqual([...states].sort(), ['holds', 'violated']);
});

test('what a change costs does not grow with how many it may break', async () => {
  const at = await sites.site('10.24.0.0/24');
  const guests = [await at.guest(), await at.guest(), await at.guest(), await at.guest()];
  const asked = async () => {
    const statements: string[] = [];
    await sites.db.database.transaction({ actorId: newId(), requestId: null }, async (tx) => {
      await sql`update reachability_assertion set undecided = true where project_id = ${at.caller.projectId}`.execute(
        tx,
      );
      const counted = tx.withPlugin({
        transformQuery: ({ node }) => {
          statements.push(node.kind);
          return node;
        },
        transformResult: async ({ result }) => result,
      });
      await decideUndecided(counted as typeof tx);
    });
    return statements.length;
  };
  await make(at, { kind: 'never', from: guests[0]!.id, to: guests[1]!.id });
  const one = await asked();
  for (const from of guests) {
    for (const to of guests) if (from !== to) await make(at, { kind: 'never', from: from.id, to: to.id });
  }
  assert.equal(await asked(), one);
});

test('of many who change one project’s network at once each is decided in its turn, and none waits for another in a circle', async () => {
  const { ports, floatingIps, securityGroups } = sites.network;
  const at = await sites.site('10.25.0.0/24');
  const guests = await Promise.all([1, 2, 3].map(() => at.guest()));
  for (const { id: to } of guests.slice(1)) await make(at, { kind: 'never', from: guests[0]!.id, to });
  const change = async (n: number) => {
    const rule = await at.letIn('tcp', 1000 + n, 1000 + n);
    const guest = await at.guest();
    const address = await at.floating(guest.id);
    const [mine] = (await floatingIps.list(at.caller, {})).filter(({ floating_ip }) => floating_ip === address);
    await Promise.all([
      ports.update(at.caller, guest.id, { security_groups: [] }),
      ports.update(at.caller, guests[n % 3]!.id, { name: `n${n}` }),
      securityGroups.deleteRule(at.caller, rule),
      floatingIps.delete(at.caller, mine!.id),
      assert.rejects(at.letIn('tcp', 22, 22 + n), isRefused),
    ]);
    await ports.delete(at.caller, guest.id);
  };
  await Promise.all(Array.from({ length: 10 }, (_, n) => change(n)));
  const { rows } = await sql<{ deadlocks: number; undecided: number }>`select deadlocks,
    (select count(*) from reachability_assertion where undecided) as undecided
    from pg_stat_database where datname = current_database()`.execute(sites.db.database.query);
  assert.deepEqual(rows, [{ deadlocks: 0, undecided: 0 }]);
});

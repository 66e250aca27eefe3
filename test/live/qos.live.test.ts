/** QoS policies on real OVN: rates as a receiver measures them, service classes as tcpdump sees them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { type Projector, unit } from '../../control/network/ovn/index.ts';
import type { TestCloud } from '../simulated/ovn-cloud.ts';
import { type Endpoint, labMissing, type OvnLab } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const peer = join(import.meta.dirname, 'ovn-peer.ts');
const host = newId();
/** Of one guest, or of the outside. */
const inner = { r1: '10.1.0.11', r2: '10.1.0.12' } as const;
const floating = { r1: '203.0.113.11', r2: '203.0.113.12' } as const;
const outside = '203.0.113.254';
const pourPort = 90;
const serviceClass = { none: 0, af11: 10, ef: 46 } as const;

let world: ProjectedLab;
let lab: OvnLab;
let projector: Projector;
let cloud: TestCloud;
const at: Record<string, Endpoint> = {};
const ports: Record<string, string> = {};
const floatingIps: Record<string, string> = {};
let [network, router, qos] = ['', '', ''];

const limit = (direction: 'ingress' | 'egress', max_kbps: number) => ({
  ...{ kind: 'bandwidth_limit', direction, max_kbps, max_burst_kbps: 0 },
});
const mark = (dscp_mark: number) => ({ kind: 'dscp_marking', dscp_mark });

/** What the policy says from now on. */
async function rules(...list: object[]): Promise<void> {
  await cloud.run(sql`delete from qos_rule where qos_policy_id = ${qos}`);
  for (const rule of list) await cloud.insert('qos_rule', { id: newId(), qos_policy_id: qos, ...rule });
}

/** Lets one row of the cloud keep to the policy while the work runs. */
async function keeping(table: string, id: string, work: () => Promise<void>): Promise<void> {
  const column = sql.ref(table === 'router' ? 'gateway_qos_policy_id' : 'qos_policy_id');
  await cloud.run(sql`update ${sql.table(table)} set ${column} = ${qos} where id = ${id}`);
  await settled();
  await work();
  await cloud.run(sql`update ${sql.table(table)} set ${column} = null where id = ${id}`);
  await settled();
}

/** The northbound database and all hosts have what is said. */
async function settled(): Promise<void> {
  await projector.reached([unit('port', ports.r1!), unit('port', ports.r2!), unit('router', router)], {
    timeoutMs: 15_000,
  });
  lab.run('ovn-nbctl', `--db=${lab.northbound}`, '--wait=hv', '--timeout=15', 'sync');
}

/** In thousands of bits a second. */
const poured = (from: string, to: Endpoint, ms = 4000): number =>
  Number(lab.inside(to.namespace, process.execPath, peer, 'drink', from, String(pourPort), String(ms)));

function within(seen: number, rate: number): void {
  assert.ok(seen > rate * 0.85 && seen < rate * 1.15, `${seen} kbit/s of ${rate}`);
}

/** The service classes of the first packets of a transfer, as they arrive. */
function classes(from: string, to: Endpoint): number[] {
  const script = `timeout 10 tcpdump -nvi eth0 -c 5 'tcp and src host ${from}' 2>/dev/null &
    sleep 0.5; ${process.execPath} ${peer} drink ${from} ${pourPort} 300 >/dev/null; wait`;
  const text = lab.inside(to.namespace, 'sh', '-c', script);
  return [...new Set([...text.matchAll(/tos 0x([0-9a-f]+)/g)].map(([, tos]) => Number.parseInt(tos!, 16) >> 2))];
}

async function pour(on: Endpoint): Promise<void> {
  const child = lab.spawnInside(on.namespace, process.execPath, peer, 'pour', String(pourPort));
  await new Promise((resolve) => child.stdout!.once('data', resolve));
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  ({ lab, projector, cloud } = world);
  const external = await cloud.external();
  const external4 = await cloud.subnet(external, '203.0.113.0/24', { gateway_ip: outside, enable_dhcp: false });
  at.outside = lab.endpoint('out', { bridge: 'br-ex', addresses: [`${outside}/24`] });
  const group = await cloud.securityGroup({ name: 'open' });
  await cloud.rule(group, {});
  network = await cloud.network({ name: 'red' });
  const subnet = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: '10.1.0.1' });
  router = await cloud.router({ name: 'red' });
  await cloud.interface(router, network, [{ subnet, ip: '10.1.0.1' }]);
  await cloud.gateway(router, external, [{ subnet: external4, ip: '203.0.113.1' }]);
  for (const who of ['r1', 'r2'] as const) {
    const mac = cloud.mac();
    // Only the first names its host, so its floating IP is handled there, and the second's by the gateway.
    const bound = who === 'r1' ? { host_id: host } : {};
    ports[who] = await cloud.port(network, [{ subnet, ip: inner[who] }], { mac, ...bound }, [group]);
    floatingIps[who] = await cloud.floatingIp(
      { network: external, subnet: external4, ip: floating[who] },
      { port: ports[who], ip: inner[who], router },
    );
    const plug = { iface: ports[who], mac, addresses: [`${inner[who]}/24`], gateways: ['10.1.0.1'] };
    at[who] = lab.endpoint(who, plug);
  }
  qos = await cloud.insert('qos_policy', { id: newId(), project_id: cloud.project, name: 'gold' });
  await settled();
  for (const one of Object.values(at)) await pour(one);
  for (const ip of Object.values(floating))
    await lab.until(`${ip} leads inside`, () => poured(ip, at.outside!, 100) > 0);
});

after(() => world?.[Symbol.asyncDispose]());

test('a port keeps to its policy both ways and marks what it sends, and follows a rule that changes', {
  skip,
}, async () => {
  assert.ok(poured(inner.r1, at.r2!) > 40_000);
  await rules(limit('egress', 6000), mark(serviceClass.ef));
  await keeping('port', ports.r1!, async () => {
    within(poured(inner.r1, at.r2!), 6000);
    assert.deepEqual(classes(inner.r1, at.r2!), [serviceClass.ef]);
    await rules(limit('ingress', 3000));
    await settled();
    within(poured(inner.r2, at.r1!), 3000);
    assert.deepEqual(classes(inner.r1, at.r2!), [serviceClass.none]);
  });
  assert.ok(poured(inner.r1, at.r2!) > 40_000);
});

test("a port without a policy keeps to its network's", { skip }, async () => {
  await rules(limit('ingress', 5000));
  await keeping('network', network, async () => within(poured(inner.r1, at.r2!), 5000));
});

test('a floating IP keeps to its policy and marks what leaves, on the host of its guest and on the gateway', {
  skip,
}, async () => {
  for (const who of ['r1', 'r2'] as const) {
    await rules(limit('egress', 5000), mark(serviceClass.af11));
    await keeping('floating_ip', floatingIps[who]!, async () => {
      within(poured(floating[who], at.outside!), 5000);
      assert.deepEqual(classes(floating[who], at.outside!), [serviceClass.af11]);
      await rules(limit('ingress', 2000));
      await settled();
      within(poured(outside, at[who]!), 2000);
    });
  }
});

test('a gateway keeps to its policy both ways', { skip }, async () => {
  await rules(limit('ingress', 4000), limit('egress', 3000));
  await keeping('router', router, async () => {
    within(poured(outside, at.r2!), 4000);
    within(poured(floating.r2, at.outside!), 3000);
  });
});

/** NDP proxies through real OVN: outside has no route to the guests, only asks who has their addresses. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const peer = join(import.meta.dirname, 'ovn-peer.ts');
const host = newId();
const [outsideIp, gatewayIp] = ['2001:db8::fe', '2001:db8::1'];
const prefix = '2001:db8:1::/64';

let world: ProjectedLab;
let router: string;
const at: Record<string, Endpoint> = {};
const guests: Record<string, { port: string; ip: string }> = {};

/** The address that the one who answered saw, or 'closed'. */
const knock = (from: string, address: string, ms = 5000): string =>
  world.lab.inside(at[from]!.namespace, process.execPath, peer, 'knock', address, '80', String(ms)).trim();

const settled = (...units: ReturnType<typeof unit>[]) =>
  world.projector.reached([unit('router', router), ...units], { timeoutMs: 20_000 });

const proxy = (name: string) =>
  world.cloud.insert('ndp_proxy', {
    ...{ id: newId(), project_id: world.cloud.project, router_id: router },
    ...{ port_id: guests[name]!.port, ip_address: guests[name]!.ip },
  });

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  const { cloud, lab } = world;
  const outside = await cloud.external();
  const subnet = await cloud.subnet(outside, '2001:db8::/64', { gateway_ip: outsideIp, enable_dhcp: false });
  router = await cloud.router({ ndp_proxy: true });
  await cloud.gateway(router, outside, [{ subnet, ip: gatewayIp }]);
  const network = await cloud.network();
  const inside = await cloud.subnet(network, prefix, { gateway_ip: '2001:db8:1::1' });
  await cloud.interface(router, network, [{ subnet: inside, ip: '2001:db8:1::1' }]);
  const group = await cloud.securityGroup();
  await cloud.rule(group, { ethertype: 'IPv6' });
  at.outside = lab.endpoint('out', { bridge: 'br-ex', addresses: [`${outsideIp}/64`] });
  // The provider's router: the guests' prefix is on its link.
  lab.run('ip', '-n', at.outside.namespace, 'route', 'add', prefix, 'dev', 'eth0');
  for (const [index, name] of ['a', 'b'].entries()) {
    const [ip, mac] = [`2001:db8:1::1${index}`, `fa:16:3e:00:01:1${index}`];
    const port = await cloud.port(network, [{ subnet: inside, ip }], { mac, host_id: host }, [group]);
    guests[name] = { port, ip };
    at[name] = lab.endpoint(name, { iface: port, mac, addresses: [`${ip}/64`], gateways: ['2001:db8:1::1'] });
  }
  await settled(...Object.values(guests).map(({ port }) => unit('port', port)));
  for (const name of ['outside', 'a', 'b']) {
    const child = lab.spawnInside(at[name]!.namespace, process.execPath, peer, 'serve', '80');
    await once(child.stdout!, 'data');
  }
  await lab.until('guests reach their router', () => knock('a', guests.b!.ip) === guests.a!.ip);
});

after(() => world?.[Symbol.asyncDispose]());

test('without one nobody outside finds a guest', { skip }, () => {
  assert.equal(knock('outside', guests.a!.ip, 800), 'closed');
});

test('a guest with one is found from outside and finds outside, each as who it is; another is not', {
  skip,
}, async () => {
  await proxy('a');
  await settled();
  assert.equal(knock('outside', guests.a!.ip), outsideIp);
  assert.equal(knock('a', outsideIp), guests.a!.ip);
  assert.equal(knock('outside', guests.b!.ip, 800), 'closed');
});

test('where a router shall have none, or without the proxy, it is as before', { skip }, async () => {
  const { lab, cloud } = world;
  const forget = () => lab.run('ip', '-6', '-n', at.outside!.namespace, 'neigh', 'flush', 'dev', 'eth0');
  await cloud.run(sql`update router set ndp_proxy = false where id = ${router}`);
  await settled();
  forget();
  assert.equal(knock('outside', guests.a!.ip, 800), 'closed');
  await cloud.run(sql`update router set ndp_proxy = true where id = ${router}`);
  await proxy('b');
  await settled();
  assert.equal(knock('outside', guests.b!.ip), outsideIp);
  await cloud.run(sql`delete from ndp_proxy`);
  await settled();
  forget();
  assert.equal(knock('outside', guests.b!.ip, 800), 'closed');
  assert.equal(lab.run('ovn-nbctl', `--db=${lab.northbound}`, '--bare', 'list', 'NAT').trim(), '');
});

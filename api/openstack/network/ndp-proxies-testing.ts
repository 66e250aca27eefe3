/** A router that has NDP proxies, for tests. Not for production use. */
import assert from 'node:assert/strict';
import type { Answer, Me } from './testing.ts';

let networks = 0;

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as a client does
async function made(answer: Promise<Answer>): Promise<any> {
  const { status, body } = await answer;
  assert.ok(status < 300, JSON.stringify(body));
  return Object.values(body)[0];
}

/** @param me an administrator: the outside and the guests are of one address scope */
export async function proxied(me: Me) {
  const scope = (await made(me.post('/address-scopes', { address_scope: { ip_version: 6 } }))).id;
  const prefix = `fd00:${(++networks).toString(16)}::/48`;
  const pool = { prefixes: [prefix], default_prefixlen: 64, address_scope_id: scope };
  const subnetpool_id = (await made(me.post('/subnetpools', { subnetpool: { name: 'p', ...pool } }))).id;
  const network = async (over: object) => (await made(me.post('/networks', { network: over }))).id as string;
  const subnet = async (network_id: string) =>
    (await made(me.post('/subnets', { subnet: { network_id, ip_version: 6, subnetpool_id } }))).id as string;
  const outside = await network({ 'router:external': true, name: 'outside' });
  await subnet(outside);
  const inside = await network({});
  const subnet_id = await subnet(inside);
  const external_gateway_info = { network_id: outside };
  const router = (await made(me.post('/routers', { router: { external_gateway_info, enable_ndp_proxy: true } })))
    .id as string;
  await made(me.put(`/routers/${router}/add_router_interface`, { subnet_id }));
  const newPort = async () => (await made(me.post('/ports', { port: { network_id: inside } }))).id as string;
  const port = await newPort();
  const ip = (await made(me.get(`/ports/${port}`))).fixed_ips[0].ip_address as string;
  const make = (over: object = {}) =>
    me.post('/ndp_proxies', { ndp_proxy: { router_id: router, port_id: port, ...over } });
  return { outside, inside, subnet_id, router, newPort, port, ip, make };
}

/**
 * Gateways beside a router's first one, each on an external network of its own. The first is what floating IPs, port forwardings and the
 * gateway's QoS policy go by; default routes of the others count where the router says so (`default_route_ecmp`), routes to neighbours on
 * their networks always. The functions are part of a transaction that holds the router's row.
 */
import { CloudError } from '../../../contract/errors.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { holdAddresses } from '../port/create.ts';
import type { NetworkReasons } from '../reasons.ts';
import {
  checkNotByFloatingIps,
  createGateway,
  externalNetwork,
  type GatewayColumns,
  type GatewayWish,
  gatewayPorts,
  moveGateway,
  type RouterGateway,
  removeGatewayOn,
  setGateway,
} from './gateway.ts';

const refusal = (
  { id: router }: RouterGateway,
  network: string,
  why: NetworkReasons['unable_to_add_extra_gateways']['why'],
) => new CloudError('invalid', 'unable_to_add_extra_gateways', { router, network, why });

/** What is of the router, not of one gateway. */
function checkSnat(router: RouterGateway, wish: GatewayWish): void {
  if (wish.enable_snat === undefined || wish.enable_snat === router.enable_snat) return;
  throw refusal(router, wish.network_id, 'snat_differs');
}

/** A router without a gateway gets the first of them as its first one. */
export async function addGateways(
  tx: Tx,
  caller: Caller,
  router: RouterGateway,
  wishes: readonly GatewayWish[],
): Promise<Partial<GatewayColumns>> {
  const [first, ...others] = wishes;
  if (!first) return {};
  await holdAddresses(
    tx,
    wishes.map(({ network_id }) => network_id),
  );
  const columns = router.gateway_network_id === null ? await setGateway(tx, caller, router, first) : {};
  const now = { ...router, ...columns };
  for (const wish of router.gateway_network_id === null ? others : wishes) {
    checkSnat(now, wish);
    const network = await externalNetwork(tx, caller, wish);
    const taken = (await gatewayPorts(tx, router.id)).some(({ network_id }) => network_id === network.id);
    if (taken) throw refusal(router, network.id, 'network_has_one');
    await createGateway(tx, router, network, wish.external_fixed_ips);
  }
  return columns;
}

/** Each is named by its network, and by addresses of it where they are given. */
export async function removeGateways(
  tx: Tx,
  router: RouterGateway,
  wishes: readonly GatewayWish[],
): Promise<GatewayColumns> {
  let now = router;
  for (const { network_id: network, external_fixed_ips: ips } of wishes) {
    const port = (await gatewayPorts(tx, router.id)).find(({ network_id }) => network_id === network);
    const isMeant = port && (!ips?.length || ips.some(({ ip }) => ip !== undefined && port.ips.includes(ip)));
    if (!isMeant) throw new CloudError('invalid', 'unable_to_match_gateways', { router: router.id, network });
    now = { ...now, ...(await removeGatewayOn(tx, now, network)) };
  }
  return {
    gateway_network_id: now.gateway_network_id,
    enable_snat: now.enable_snat,
    gateway_qos_policy_id: now.gateway_qos_policy_id,
  };
}

/** Brings the router to these gateways, the first of which is its first one. None: it has no gateway. */
export async function replaceGateways(
  tx: Tx,
  caller: Caller,
  router: RouterGateway,
  wishes: readonly GatewayWish[],
): Promise<Partial<GatewayColumns>> {
  const [first, ...others] = wishes;
  const ids = wishes.map(({ network_id }) => network_id);
  const twice = ids.find((id, at) => ids.indexOf(id) < at);
  if (twice !== undefined) throw refusal(router, twice, 'network_has_one');
  await holdAddresses(tx, ids);
  const before = await gatewayPorts(tx, router.id);
  const gone = before.filter(({ network_id }) => !ids.includes(network_id)).map(({ network_id }) => network_id);
  // The first one last, so that nothing takes its place for the while.
  gone.sort((a, b) => Number(a === router.gateway_network_id) - Number(b === router.gateway_network_id));
  let now = { ...router };
  for (const network of gone) now = { ...now, ...(await removeGatewayOn(tx, now, network)) };
  if (!first) return { gateway_network_id: null, enable_snat: true, gateway_qos_policy_id: null };
  if (now.gateway_network_id !== null && now.gateway_network_id !== first.network_id) {
    await checkNotByFloatingIps(tx, now);
    const there = before.some(({ network_id }) => network_id === first.network_id);
    now = { ...now, gateway_qos_policy_id: null, gateway_network_id: there ? first.network_id : null };
  }
  const snat = first.enable_snat ?? router.enable_snat;
  now = { ...now, ...(await setGateway(tx, caller, now, { ...first, enable_snat: snat })) };
  for (const wish of others) {
    checkSnat(now, wish);
    const network = await externalNetwork(tx, caller, wish);
    const port = before.find(({ network_id }) => network_id === network.id);
    if (!port) await createGateway(tx, router, network, wish.external_fixed_ips);
    else if (wish.external_fixed_ips?.length) await moveGateway(tx, router, network, wish.external_fixed_ips);
  }
  return {
    gateway_network_id: now.gateway_network_id,
    enable_snat: now.enable_snat,
    gateway_qos_policy_id: now.gateway_qos_policy_id,
  };
}

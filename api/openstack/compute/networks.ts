/**
 * Until 2.35 Nova told of networks in the form of its own former ones: /os-networks and /os-tenant-networks. They are the network
 * service's; of the thirty members that there were two have a value.
 */
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import type { NetworkRow } from '../../../control/network/network/network.ts';
import type { NetworkService } from '../../../control/network/network/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';

const forAll = ['cidr', 'netmask', 'gateway', 'broadcast', 'dns1', 'dns2', 'cidr_v6', 'gateway_v6', 'netmask_v6'];
const forAdministrators = [
  ...['created_at', 'updated_at', 'deleted_at', 'deleted', 'injected', 'bridge', 'vlan', 'vpn_public_address'],
  ...['vpn_public_port', 'vpn_private_address', 'dhcp_start', 'project_id', 'host', 'bridge_interface', 'multi_host'],
  ...['priority', 'rxtx_base', 'mtu', 'dhcp_server', 'enable_dhcp', 'share_address'],
];
const each = <T>(names: readonly string[], value: T) => Object.fromEntries(names.map((name) => [name, value]));

const network = a.record({
  ...{ id: a.id, label: a.text },
  ...each(forAll, Type.Null()),
  ...each(forAdministrators, a.some(Type.Null())),
});
const tenantNetwork = a.record({ id: a.id, label: a.text, cidr: a.text });

const proxy = { rights: 'reader', versions: { to: 35 } } as const;
const contracts = {
  list: { summary: 'List networks', ...proxy, answers: { 200: a.record({ networks: a.listOf(network) }) } },
  show: { summary: 'Show a network', ...proxy, answers: { 200: a.record({ network }) } },
  listTenants: {
    ...{ summary: "List a project's networks", ...proxy },
    answers: { 200: a.record({ networks: a.listOf(tenantNetwork) }) },
  },
  showTenants: {
    summary: "Show a project's network",
    ...proxy,
    answers: { 200: a.record({ network: tenantNetwork }) },
  },
} as const;

export function networkRoutes(app: Boundary, networks: NetworkService): void {
  app.get('/os-networks', contracts.list, async (request) => {
    const caller = callerOf(request);
    return { networks: (await all(networks, caller)).map((row) => shown(caller, row)) };
  });
  app.get('/os-networks/:id', contracts.show, async (request) => {
    const caller = callerOf(request);
    return { network: shown(caller, await one(networks, caller, request.params.id)) };
  });
  app.get('/os-tenant-networks', contracts.listTenants, async (request) => ({
    networks: (await all(networks, callerOf(request))).map(tenantShown),
  }));
  app.get('/os-tenant-networks/:id', contracts.showTenants, async (request) => ({
    network: tenantShown(await one(networks, callerOf(request), request.params.id)),
  }));
}

const all = (networks: NetworkService, caller: Caller): Promise<NetworkRow[]> =>
  networks.list(caller, { sort: [{ column: 'id', descending: false }] });

async function one(networks: NetworkService, caller: Caller, text: string): Promise<NetworkRow> {
  const id = parseId(text);
  const [row] = id ? await networks.list(caller, { ids: [id] }) : [];
  if (!row) throw new Refusal('not_found', 'Network not found');
  return row;
}

const shown = (caller: Caller, { id, name }: NetworkRow) => ({
  ...{ id, label: name },
  ...each(forAll, null),
  ...(isAdmin(caller) && each(forAdministrators, null)),
});

/** Nova says `None` of the address range, as a text. */
const tenantShown = ({ id, name }: NetworkRow) => ({ id, label: name, cidr: 'None' });

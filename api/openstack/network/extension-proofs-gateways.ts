/** Proofs of what is true of a router's gateway only where OVN is told of it: by the rows that the projection would write. Not for production use. */
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { HostView } from '../../../control/network/ovn/hosts.ts';
import { desiredRows } from '../../../control/network/ovn/intent/index.ts';
import { loadModel } from '../../../control/network/ovn/load.ts';
import { unit } from '../../../control/network/ovn/units.ts';
import { type Me, newNetwork, newSubnet, type TestApi } from './testing.ts';

export function gatewayProofs(api: TestApi, admin: Me): Record<string, (me: Me) => Promise<void>> {
  /** A router of this kind with a floating IP of a guest on one of two hosts, and what OVN is told of it. */
  async function told(kind: object) {
    const query = api.database.query;
    const physical = `physical-${newId()}`;
    const hosts = [newId(), newId()];
    for (const id of hosts) {
      await sql`insert into host (id, name, availability_zone, connected, physical_networks)
        values (${id}, ${id}, 'of gateways', true, ${[physical]}::text[])`.execute(query);
    }
    const post = async (path: string, single: string, body: object) => {
      const answer = await admin.post(`/${path}`, { [single]: body });
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return answer.body[single];
    };
    const provider = { 'provider:network_type': 'flat', 'provider:physical_network': physical };
    const floating_network_id = await newNetwork(admin, { 'router:external': true, ...provider });
    await newSubnet(admin, floating_network_id, '198.51.100.0/24', { enable_dhcp: false });
    const network_id = await newNetwork(admin);
    const { id: subnet_id } = await newSubnet(admin, network_id, '10.9.0.0/24');
    const router = await post('routers', 'router', {
      external_gateway_info: { network_id: floating_network_id },
      ...kind,
    });
    await admin.put(`/routers/${router.id}/add_router_interface`, { subnet_id });
    const port = await post('ports', 'port', { network_id });
    await sql`update port set host_id = ${hosts[0]} where id = ${port.id}`.execute(query);
    await post('floatingips', 'floatingip', { floating_network_id, port_id: port.id });
    const name = unit('router', router.id);
    const view = new HostView();
    await view.refresh(query, 'all');
    const rows = desiredRows(await loadModel(query, [name], view.set), name);
    const floating = rows.find(({ table, columns }) => table === 'NAT' && columns.type === 'dnat_and_snat');
    return {
      /** The hosts that may carry the gateway. */
      chassis: rows.filter(({ table }) => table === 'Gateway_Chassis').length,
      /** The floating IP is handled on the guest's host. */
      onGuestsHost: floating?.columns.logical_port === port.id,
    };
  }

  return {
    dvr: async () => {
      assert.equal((await told({ distributed: true })).onGuestsHost, true);
      assert.equal((await told({ distributed: false })).onGuestsHost, false);
    },
    'l3-ha': async () => {
      assert.equal((await told({ ha: true })).chassis, 2);
      assert.equal((await told({ ha: false })).chassis, 1);
    },
  };
}

/**
 * Port forwardings as OVN's load balancers, each with one server behind: one row for the ports of a floating IP in one protocol. On the
 * router it takes what comes from outside, at the gateway; the caller's address stays, so the guest's security groups judge it. On each
 * network inside there is another of the same: what a guest sends to the floating IP is turned on its own host, and never leaves the
 * networks; on the router alone it would be sent to the gateway's host and out.
 */
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { IndexedModel, PortForwardingRow, PortRow } from '../model.ts';
import { idOf, unit } from '../units.ts';

export function portForwardingRows(
  model: IndexedModel,
  router: RowName,
  insidePorts: readonly PortRow[],
  gateway: PortRow | undefined,
): DesiredRow[] {
  const forwardings = gateway ? model.portForwardingsOf(idOf(router.owner)) : [];
  if (forwardings.length === 0) return [];
  const inside = [...new Set(insidePorts.map(({ network_id }) => network_id))].sort();
  const holders = [
    { suffix: '', parent: { ...router, column: 'load_balancer' } },
    ...inside.map((id) => ({
      suffix: `/${id}`,
      parent: { table: 'Logical_Switch', owner: unit('network', id), key: 'switch', column: 'load_balancer' },
    })),
  ];
  const parts = Map.groupBy(forwardings, ({ floating_ip_id, protocol }) => `${floating_ip_id}/${protocol}`);
  return [...parts].flatMap(([part, rows]) =>
    holders.map(({ suffix, parent }) => ({
      table: 'Load_Balancer',
      key: `port_forwarding/${part}${suffix}`,
      columns: {
        name: names.portForwarding(part),
        protocol: rows[0]!.protocol,
        vips: Object.fromEntries(rows.flatMap(vips)),
      },
      parent,
    })),
  );
}

/** OVN knows no ranges: each port by itself. */
function vips(row: PortForwardingRow): [vip: string, server: string][] {
  const several = row.internal_last > row.internal_first;
  return Array.from({ length: row.external_last - row.external_first + 1 }, (_, at) => [
    `${row.floating_ip}:${row.external_first + at}`,
    `${row.fixed_ip}:${row.internal_first + (several ? at : 0)}`,
  ]);
}

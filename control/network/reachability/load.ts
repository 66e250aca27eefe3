/**
 * Reads what a question is decided on, and no more: the ends, the routers and networks that a way between them can use, and of those
 * networks the ports that have an address which matters. What a cloud has beside that costs nothing. SQL only.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseIp } from '../../kit/address.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import {
  loadAddressGroups,
  loadNetworks,
  loadRouters,
  loadSecurityGroups,
  loadSubnets,
  selectPorts,
} from '../ovn/load.ts';
import type { NetworkRow, PortRow, RouterRow, SubnetRow } from '../ovn/model.ts';
import { type FloatingIpGround, Ground, isGateway } from './ground.ts';
import type { End } from './question.ts';

/** A way that may lead over more than these is not looked at; a tenant has a handful. */
const mostRouters = 64;

/** @throws CloudError `invalid` where too much hangs together for an answer */
export async function loadGround(
  db: Queryable,
  ends: readonly End[],
  /** As if whatever is off were on: what rules and routes decide, not power. */
  { asIfUp = false } = {},
): Promise<Ground> {
  const reading = new Reading(db);
  await reading.ends(ends);
  await reading.spread();
  await reading.owners();
  return reading.ground({ asIfUp });
}

class Reading {
  readonly #db: Queryable;
  readonly #ports = new Map<string, PortRow>();
  readonly #routers = new Map<string, RouterRow>();
  readonly #networks = new Map<string, NetworkRow>();
  readonly #subnets = new Map<string, SubnetRow>();
  readonly #floatingIps = new Map<string, FloatingIpGround>();
  readonly #addresses = new Set<string>();

  constructor(db: Queryable) {
    this.#db = db;
  }

  async ends(ends: readonly End[]): Promise<void> {
    const ports = ends.flatMap(({ port }) => port ?? []);
    await this.#addPorts(isOneOf(sql`id`, ports), ports.length);
    for (const port of this.#ports.values()) for (const { ip } of port.ips) this.#addresses.add(ip);
    const addresses = ends.flatMap(({ address }) => address ?? []);
    for (const address of addresses) this.#addresses.add(address);
    // An address that outsiders see: of a floating IP, or of a router.
    await this.#addPorts(
      sql`id in (select i.port_id from port_ip i join subnet s on s.id = i.subnet_id join network n on n.id = s.network_id
        where n.external and ${isOneOf(sql`i.ip`, addresses, 'inet')})`,
      addresses.length,
    );
    await this.#addFloatingIps();
  }

  /** From network to network, over the routers between them. An external network ends it: a thousand others have gateways there. */
  async spread(): Promise<void> {
    const seen = new Set<string>();
    for (;;) {
      await this.#addNetworks([...this.#ports.values()].map(({ network_id }) => network_id));
      const fresh = [...this.#networks.values()].filter(({ id, external }) => !external && !seen.has(id));
      for (const { id } of fresh) seen.add(id);
      const direct = [...this.#ports.values()].filter(({ device_owner }) => device_owner.startsWith('network:router'));
      const named = [...direct.map(({ device_id }) => device_id), ...this.#floatingRouters()];
      const wanted = [...new Set(named)].filter((id) => !this.#routers.has(id));
      if (fresh.length === 0 && wanted.length === 0) return;
      const ids = [...new Set([...wanted, ...(await this.#routersOn(fresh.map(({ id }) => id)))])].filter(
        (id) => !this.#routers.has(id),
      );
      if (ids.length === 0) continue;
      await this.#addRouters(ids);
    }
  }

  /** Who has the addresses that the way names, and who is in the groups that rules name. */
  async owners(): Promise<void> {
    for (const { nexthop } of [...this.#routers.values()].flatMap(({ routes }) => routes)) this.#addresses.add(nexthop);
    for (const { gateway_ip, host_routes } of this.#subnets.values()) {
      if (gateway_ip !== null) this.#addresses.add(gateway_ip);
      for (const { nexthop } of host_routes) this.#addresses.add(nexthop);
    }
    const [subnets, networks] = [[...this.#subnets.keys()], [...this.#networks.keys()]];
    const addresses = [...this.#addresses];
    await this.#addPorts(
      sql`id in (select i.port_id from port_ip i where ${isOneOf(sql`i.subnet_id`, subnets)}
          and ${isOneOf(sql`i.ip`, addresses, 'inet')})
        or (${isOneOf(sql`network_id`, networks)} and allowed_address_pairs <> '[]')`,
      subnets.length,
    );
    await this.#addFloatingIps();
    // Those stand for others by translation, which a rule that names a group sees.
    for (const { floating_ip, fixed_ip } of this.#floatingIps.values()) {
      this.#addresses.add(floating_ip);
      if (fixed_ip) this.#addresses.add(fixed_ip);
    }
    const gateways = [...this.#ports.values()].filter(isGateway);
    for (const { ips } of gateways) for (const { ip } of ips) this.#addresses.add(ip);
  }

  async ground({ asIfUp }: { asIfUp: boolean }): Promise<Ground> {
    const groupIds = [...new Set([...this.#ports.values()].flatMap(({ security_group_ids }) => security_group_ids))];
    const securityGroups = await loadSecurityGroups(this.#db, groupIds);
    const remote = [
      ...new Set(securityGroups.flatMap(({ rules }) => rules.flatMap(({ remote_group_id }) => remote_group_id ?? []))),
    ];
    const named = securityGroups.flatMap(({ rules }) =>
      rules.flatMap(({ remote_address_group_id }) => remote_address_group_id ?? []),
    );
    const addressGroups = await loadAddressGroups(this.#db, [...new Set(named)]);
    const addresses = [...this.#addresses].filter((address) => parseIp(address));
    await this.#addPorts(
      sql`id in (select g.port_id from port_security_group g join port_ip i on i.port_id = g.port_id
        where ${isOneOf(sql`g.security_group_id`, remote)} and ${isOneOf(sql`i.ip`, addresses, 'inet')})`,
      remote.length,
    );
    const physical = await sql<{ name: string }>`select distinct unnest(physical_networks) as name from host`.execute(
      this.#db,
    );
    return new Ground({
      networks: [...this.#networks.values()],
      subnets: [...this.#subnets.values()],
      ports: [...this.#ports.values()].map((port) => (asIfUp ? { ...port, observed_up: true } : port)),
      routers: [...this.#routers.values()],
      floatingIps: [...this.#floatingIps.values()],
      securityGroups,
      addressGroups,
      physicalNetworks: physical.rows.map(({ name }) => name),
    });
  }

  #floatingRouters = (): string[] => [...this.#floatingIps.values()].flatMap(({ router_id }) => router_id ?? []);

  async #addPorts(condition: RawBuilder<unknown>, wanted: number): Promise<void> {
    if (wanted === 0) return;
    for (const port of await selectPorts(this.#db, condition)) this.#ports.set(port.id, port);
  }

  /** Of ports at hand, and those whose own port is at hand; with them comes the port behind. */
  async #addFloatingIps(): Promise<void> {
    const ids = [...this.#ports.keys()];
    if (ids.length === 0) return;
    const { rows } = await sql<FloatingIpGround>`
      select id, floating_network_id, host(floating_ip) as floating_ip, port_id, host(fixed_ip) as fixed_ip,
        coalesce(router_id, (select f.router_id from port_forwarding f where f.floating_ip_id = floating_ip.id limit 1)) as router_id,
        (select jsonb_agg(jsonb_build_object('protocol', f.protocol, 'external_first', f.external_first, 'external_last', f.external_last,
          'port_id', f.port_id, 'fixed_ip', host(f.fixed_ip), 'internal_first', f.internal_first, 'internal_last', f.internal_last))
          from port_forwarding f where f.floating_ip_id = floating_ip.id) as forwardings
      from floating_ip where ${isOneOf(sql`port_id`, ids)} or ${isOneOf(sql`floating_port_id`, ids)}`.execute(this.#db);
    for (const row of rows) this.#floatingIps.set(row.id, row);
    const leadTo = rows.flatMap(({ port_id, fixed_ip, forwardings }) => [
      { port_id, fixed_ip },
      ...(forwardings ?? []),
    ]);
    const behind = new Set(leadTo.flatMap(({ port_id }) => (port_id && !this.#ports.has(port_id) ? port_id : [])));
    await this.#addPorts(isOneOf(sql`id`, [...behind]), behind.size);
    for (const { fixed_ip } of leadTo) if (fixed_ip) this.#addresses.add(fixed_ip);
    await this.#addNetworks(rows.map(({ floating_network_id }) => floating_network_id));
  }

  async #addNetworks(wanted: readonly string[]): Promise<void> {
    const ids = [...new Set(wanted)].filter((id) => !this.#networks.has(id));
    const [networks, subnets] = await Promise.all([loadNetworks(this.#db, ids), loadSubnets(this.#db, ids)]);
    for (const network of networks) this.#networks.set(network.id, network);
    for (const subnet of subnets) this.#subnets.set(subnet.id, subnet);
  }

  async #routersOn(networks: readonly string[]): Promise<string[]> {
    if (networks.length === 0) return [];
    const { rows } = await sql<{ id: string }>`
      select distinct device_id as id from port
      where ${isOneOf(sql`network_id`, networks)} and device_owner like 'network:router%'`.execute(this.#db);
    return rows.map(({ id }) => id);
  }

  async #addRouters(ids: readonly string[]): Promise<void> {
    if (this.#routers.size + ids.length > mostRouters) {
      throw new CloudError('invalid', 'reachability_too_wide', { limit: mostRouters });
    }
    for (const router of await loadRouters(this.#db, ids)) this.#routers.set(router.id, router);
    await this.#addPorts(
      sql`${isOneOf(sql`device_id`, ids, 'text')} and device_owner like 'network:router%' and device_id <> ''`,
      ids.length,
    );
  }
}

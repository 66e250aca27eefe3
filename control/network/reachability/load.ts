/**
 * Reads what a question is decided on, and no more: the ends, the routers and networks that a way between them can use, and of those
 * networks the ports that have an address which matters. What a cloud has beside that costs nothing. Step by step, each by what the one
 * before found; several questions take them together (rows.ts), and each has its own rows alone.
 */
import { CloudError } from '../../../contract/errors.ts';
import { canonicalIp } from '../../kit/address.ts';
import type { Queryable } from '../../kit/database/database.ts';
import type { LocalIpRow, NetworkRow, PortRow, RouterRow, SubnetRow } from '../ovn/model.ts';
import { type FloatingIpGround, Ground, isGateway } from './ground.ts';
import { embedded } from './nat64.ts';
import type { End } from './question.ts';
import { GroundReader } from './rows.ts';

/** A way that may lead over more than these is not looked at; a tenant has a handful. */
const mostRouters = 64;

/** Hosts by port. */
export type Places = ReadonlyMap<string, string>;
const nowhereElse: Places = new Map();

export interface GroundOptions {
  asIfUp?: boolean;
  reader?: GroundReader;
  places?: Places | undefined;
}

/** @throws CloudError `invalid` where too much hangs together for an answer */
export async function loadGround(
  db: Queryable,
  ends: readonly End[],
  /**
   * `asIfUp`: as if whatever is off were on: what rules and routes decide, not power. `reader`: what others read by at the same time. `places`: as if these ports were on these hosts.
   */
  { asIfUp = false, reader = new GroundReader(db), places = nowhereElse }: GroundOptions = {},
): Promise<Ground> {
  const reading = new Reading(reader, places);
  await reading.ends(ends);
  await reading.spread();
  await reading.owners();
  return reading.ground({ asIfUp });
}

class Reading {
  readonly #reader: GroundReader;
  readonly #places: Places;
  readonly #ports = new Map<string, PortRow>();
  readonly #routers = new Map<string, RouterRow>();
  readonly #networks = new Map<string, NetworkRow>();
  readonly #subnets = new Map<string, SubnetRow>();
  readonly #floatingIps = new Map<string, FloatingIpGround>();
  readonly #localIps: LocalIpRow[] = [];
  readonly #addresses = new Set<string>();

  constructor(reader: GroundReader, places: Places) {
    this.#reader = reader;
    this.#places = places;
  }

  async ends(ends: readonly End[]): Promise<void> {
    const ids = ends.flatMap(({ port }) => port ?? []);
    if (ids.length > 0) this.#add(await this.#reader.ports.ask({ ids }));
    for (const port of this.#ports.values()) for (const { ip } of port.ips) this.#addresses.add(ip);
    // Who is asked for below the prefix of NAT64 is somebody with an IPv4 address.
    const addresses = ends.flatMap(({ address }) =>
      address === undefined ? [] : [address, embedded(address) ?? []].flat(),
    );
    for (const address of addresses) this.#addresses.add(address);
    // An address that outsiders see: of a floating IP, or of a router.
    if (addresses.length > 0) this.#add(await this.#reader.portsOutside.ask({ addresses }));
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
    for (const { nexthop } of [...this.#routers.values()].flatMap(({ routes }) => routes)) this.#addAddress(nexthop);
    for (const { gateway_ip, host_routes } of this.#subnets.values()) {
      if (gateway_ip !== null) this.#addresses.add(gateway_ip);
      for (const { nexthop } of host_routes) this.#addAddress(nexthop);
    }
    const [subnets, networks] = [[...this.#subnets.keys()], [...this.#networks.keys()]];
    const addresses = [...this.#addresses];
    if (subnets.length > 0) {
      const asked = [this.#reader.owners.ask({ subnets, addresses, networks }), this.#addLocalIps(networks, addresses)];
      this.#add((await Promise.all(asked)).flat());
    }
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
    const securityGroups = groupIds.length > 0 ? await this.#reader.securityGroups.ask({ ids: groupIds }) : [];
    const rules = securityGroups.flatMap((group) => group.rules);
    const groups = [...new Set(rules.flatMap(({ remote_group_id }) => remote_group_id ?? []))];
    const named = [...new Set(rules.flatMap(({ remote_address_group_id }) => remote_address_group_id ?? []))];
    const addresses = [...this.#addresses];
    const [addressGroups, members, hosts] = await Promise.all([
      named.length > 0 ? this.#reader.addressGroups.ask({ ids: named }) : [],
      groups.length > 0 ? this.#reader.members.ask({ groups, addresses }) : [],
      this.#reader.hosts(),
    ]);
    this.#add(members);
    return new Ground({
      networks: [...this.#networks.values()],
      subnets: [...this.#subnets.values()],
      ports: [...this.#ports.values()].map((port) => (asIfUp ? { ...port, observed_up: true } : port)),
      routers: [...this.#routers.values()],
      floatingIps: [...this.#floatingIps.values()],
      localIps: this.#localIps,
      securityGroups,
      addressGroups,
      hosts,
    });
  }

  #floatingRouters = (): string[] => [...this.#floatingIps.values()].flatMap(({ router_id }) => router_id ?? []);

  #add(ports: readonly PortRow[]): void {
    for (const port of ports) {
      const place = this.#places.get(port.id);
      this.#ports.set(port.id, place === undefined ? port : { ...port, host_id: place });
    }
  }

  /** As PostgreSQL writes it, which is how rows have it. */
  #addAddress(text: string): void {
    const address = canonicalIp(text);
    if (address !== undefined) this.#addresses.add(address);
  }

  /** Of ports at hand, and those whose own port is at hand; with them comes the port behind. */
  async #addFloatingIps(): Promise<void> {
    const ports = [...this.#ports.keys()];
    if (ports.length === 0) return;
    const rows = await this.#reader.floatingIps.ask({ ports });
    for (const row of rows) this.#floatingIps.set(row.id, row);
    const leadTo = rows.flatMap(({ port_id, fixed_ip, forwardings }) => [
      { port_id, fixed_ip },
      ...(forwardings ?? []),
    ]);
    const behind = new Set(leadTo.flatMap(({ port_id }) => (port_id && !this.#ports.has(port_id) ? port_id : [])));
    if (behind.size > 0) this.#add(await this.#reader.ports.ask({ ids: [...behind] }));
    for (const { fixed_ip } of leadTo) if (fixed_ip) this.#addresses.add(fixed_ip);
    await this.#addNetworks(rows.map(({ floating_network_id }) => floating_network_id));
  }

  /** @returns the ports that they lead to on the hosts of the ends */
  async #addLocalIps(networks: readonly string[], addresses: readonly string[]): Promise<PortRow[]> {
    const rows = await this.#reader.localIps.ask({ networks, addresses });
    const found = rows.map((row) => ({
      ...row,
      leads_to: row.leads_to.map((one) => ({ ...one, host_id: this.#places.get(one.port_id) ?? one.host_id })),
    }));
    this.#localIps.push(...found);
    const hosts = new Set([...this.#ports.values()].flatMap(({ host_id }) => host_id ?? []));
    const near = found.flatMap(({ leads_to }) => leads_to.filter(({ host_id }) => hosts.has(host_id ?? '')));
    for (const { ip } of near) this.#addresses.add(ip);
    const ids = near.flatMap(({ port_id }) => (this.#ports.has(port_id) ? [] : port_id));
    return ids.length > 0 ? this.#reader.ports.ask({ ids }) : [];
  }

  async #addNetworks(wanted: readonly string[]): Promise<void> {
    const ids = [...new Set(wanted)].filter((id) => !this.#networks.has(id));
    if (ids.length === 0) return;
    const [networks, subnets] = await Promise.all([
      this.#reader.networks.ask({ ids }),
      this.#reader.subnets.ask({ networks: ids }),
    ]);
    for (const network of networks) this.#networks.set(network.id, network);
    for (const subnet of subnets) this.#subnets.set(subnet.id, subnet);
  }

  async #routersOn(networks: readonly string[]): Promise<string[]> {
    if (networks.length === 0) return [];
    return (await this.#reader.routersOn.ask({ networks })).map(({ id }) => id);
  }

  async #addRouters(ids: readonly string[]): Promise<void> {
    if (this.#routers.size + ids.length > mostRouters) {
      throw new CloudError('invalid', 'reachability_too_wide', { limit: mostRouters });
    }
    const [routers, ports] = await Promise.all([
      this.#reader.routers.ask({ ids }),
      this.#reader.routerPorts.ask({ routers: ids }),
    ]);
    for (const router of routers) this.#routers.set(router.id, router);
    this.#add(ports);
  }
}

/** For tests of the network projection: rows of the truth, as the network service would write them, in short. */
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { cloudActor, type Database } from '../../control/kit/database/database.ts';
import { testProject } from '../../control/kit/database/testing.ts';
import { eui64, macFor } from '../../control/network/ovn/address.ts';

export interface Addressed {
  subnet: string;
  ip: string;
}

export class TestCloud {
  readonly database: Database;
  readonly project: string;
  #macs = 0;

  constructor(database: Database, project = newId()) {
    this.database = database;
    this.project = project;
  }

  /** Inserts one row; columns that are arrays or objects go in as JSON, but text[] by name. */
  async insert(table: string, row: Record<string, unknown>): Promise<string> {
    if (row.project_id !== undefined) await testProject(this.database, String(row.project_id));
    const columns = Object.keys(row);
    const textArrays = new Set(['tags', 'dns_nameservers', 'physical_networks']);
    const values = columns.map((column) => {
      const value = row[column];
      if (textArrays.has(column)) return sql`${value}::text[]`;
      return value !== null && typeof value === 'object' && !(value instanceof Date) ? JSON.stringify(value) : value;
    });
    await this.database.transaction(cloudActor, (tx) =>
      sql`insert into ${sql.table(table)} (${sql.join(columns.map((c) => sql.ref(c)))}) values (${sql.join(values)})`.execute(
        tx,
      ),
    );
    return String(row.id ?? '');
  }

  async run(statement: ReturnType<typeof sql>): Promise<void> {
    await this.database.transaction(cloudActor, (tx) => statement.execute(tx));
  }

  host(physical = ['physnet1'], id = newId()): Promise<string> {
    return this.insert('host', { id, name: `host-${id}`, physical_networks: physical, connected: true });
  }

  network(row: Record<string, unknown> = {}): Promise<string> {
    return this.insert('network', { id: newId(), project_id: this.project, name: 'n', ...row });
  }

  external(row: Record<string, unknown> = {}): Promise<string> {
    return this.network({
      external: true,
      mtu: 1500,
      provider_network_type: 'flat',
      provider_physical_network: 'physnet1',
      ...row,
    });
  }

  subnet(network: string, cidr: string, row: Record<string, unknown> = {}): Promise<string> {
    const ip_version = cidr.includes(':') ? 6 : 4;
    return this.insert('subnet', {
      id: newId(),
      project_id: this.project,
      network_id: network,
      ip_version,
      cidr,
      ...row,
    });
  }

  mac(): string {
    return `fa:16:3e:00:00:${(++this.#macs).toString(16).padStart(2, '0')}`;
  }

  async port(
    network: string,
    addresses: Addressed[],
    row: Record<string, unknown> = {},
    groups: string[] = [],
  ): Promise<string> {
    const id = String(row.id ?? newId());
    await testProject(this.database, this.project);
    const mac = String(row.mac ?? macFor(id));
    await this.database.transaction(cloudActor, async (tx) => {
      const all: Record<string, unknown> = {
        id,
        project_id: this.project,
        network_id: network,
        device_owner: 'compute:nova',
        mac,
        ...row,
      };
      const columns = Object.keys(all);
      const values = columns.map((c) =>
        typeof all[c] === 'object' && all[c] !== null ? JSON.stringify(all[c]) : all[c],
      );
      await sql`insert into port (${sql.join(columns.map((c) => sql.ref(c)))}) values (${sql.join(values)})`.execute(
        tx,
      );
      for (const [position, { subnet, ip }] of addresses.entries()) {
        await sql`insert into port_ip (port_id, subnet_id, network_id, ip, position)
          values (${id}, ${subnet}, ${network}, ${ip}, ${position})`.execute(tx);
      }
      for (const group of groups) {
        await sql`insert into port_security_group (port_id, security_group_id) values (${id}, ${group})`.execute(tx);
      }
    });
    return id;
  }

  metadataPort(network: string, addresses: Addressed[]): Promise<string> {
    return this.port(network, addresses, { device_owner: 'network:distributed', device_id: `metadata-${network}` });
  }

  router(row: Record<string, unknown> = {}): Promise<string> {
    return this.insert('router', { id: newId(), project_id: this.project, name: 'r', ...row });
  }

  interface(router: string, network: string, addresses: Addressed[]): Promise<string> {
    return this.port(network, addresses, { device_owner: 'network:router_interface', device_id: router });
  }

  async gateway(router: string, network: string, addresses: Addressed[]): Promise<string> {
    await this.run(sql`update router set gateway_network_id = ${network} where id = ${router}`);
    return this.port(network, addresses, { device_owner: 'network:router_gateway', device_id: router });
  }

  /** As the router service does it: the old gateway's port goes and the new one's comes in one transaction. */
  async moveGateway(router: string, network: string, { subnet, ip }: Addressed): Promise<string> {
    const id = newId();
    await this.database.transaction(cloudActor, async (tx) => {
      await sql`delete from port where device_owner = 'network:router_gateway' and device_id = ${router}`.execute(tx);
      await sql`update router set gateway_network_id = ${network} where id = ${router}`.execute(tx);
      await sql`insert into port (id, project_id, network_id, mac, device_owner, device_id)
        values (${id}, ${this.project}, ${network}, ${macFor(id)}, 'network:router_gateway', ${router})`.execute(tx);
      await sql`insert into port_ip (port_id, subnet_id, network_id, ip) values (${id}, ${subnet}, ${network}, ${ip})`.execute(
        tx,
      );
    });
    return id;
  }

  async floatingIp(
    external: Addressed & { network: string },
    to: { port: string; ip: string; router: string },
  ): Promise<string> {
    const id = newId();
    const port = await this.port(external.network, [external], { device_owner: 'network:floatingip', device_id: id });
    return this.insert('floating_ip', {
      id,
      project_id: this.project,
      floating_network_id: external.network,
      floating_port_id: port,
      floating_ip: external.ip,
      port_id: to.port,
      fixed_ip: to.ip,
      router_id: to.router,
    });
  }

  /** A floating IP in parts. */
  async forwardedIp(external: Addressed & { network: string }): Promise<string> {
    const id = newId();
    const port = await this.port(external.network, [external], { device_owner: 'network:floatingip', device_id: id });
    return this.insert('floating_ip', {
      ...{ id, project_id: this.project, floating_network_id: external.network, floating_port_id: port },
      floating_ip: external.ip,
    });
  }

  /** @param ports external and internal ones, "first:last" or one */
  portForwarding(
    floatingIp: string,
    to: { port: string; ip: string; router: string },
    protocol: 'tcp' | 'udp',
    ports: readonly [external: string, internal: string],
  ): Promise<string> {
    const [external, internal] = ports.map((range) => range.split(':').map(Number));
    return this.insert('port_forwarding', {
      ...{ id: newId(), project_id: this.project, floating_ip_id: floatingIp, router_id: to.router, protocol },
      ...{ port_id: to.port, fixed_ip: to.ip },
      ...{ external_first: external![0], external_last: external!.at(-1) },
      ...{ internal_first: internal![0], internal_last: internal!.at(-1) },
    });
  }

  /** @param port whose address it is; absent: one of its own */
  async localIp(
    network: string,
    { subnet, ip, port }: Addressed & { port?: string },
    ip_mode: 'translate' | 'passthrough' = 'translate',
  ): Promise<string> {
    const id = newId();
    const own = { device_owner: 'network:local_ip', device_id: id };
    const local_port_id = port ?? (await this.port(network, [{ subnet, ip }], own));
    const row = { id, project_id: this.project, network_id: network, local_port_id, local_ip_address: ip, ip_mode };
    return this.insert('local_ip', row);
  }

  associate(localIp: string, network: string, to: { port: string; ip: string }): Promise<string> {
    return this.insert('local_ip_association', {
      ...{ id: newId(), project_id: this.project, local_ip_id: localIp, network_id: network },
      ...{ fixed_port_id: to.port, fixed_ip: to.ip },
    });
  }

  /** As Neutron makes them: all out, nothing in. */
  async securityGroup(row: Record<string, unknown> = {}): Promise<string> {
    const id = await this.insert('security_group', { id: newId(), project_id: this.project, name: 'sg', ...row });
    for (const ethertype of ['IPv4', 'IPv6']) await this.rule(id, { direction: 'egress', ethertype });
    return id;
  }

  rule(group: string, row: Record<string, unknown>): Promise<string> {
    const all = {
      id: newId(),
      project_id: this.project,
      security_group_id: group,
      direction: 'ingress',
      ethertype: 'IPv4',
      ...row,
    };
    return this.insert('security_group_rule', all);
  }

  async addressGroup(addresses: readonly string[]): Promise<string> {
    const id = newId();
    await testProject(this.database, this.project);
    await this.run(sql`insert into address_group (id, project_id, addresses)
      values (${id}, ${this.project}, ${[...addresses]}::cidr[])`);
    return id;
  }

  async setRoutes(router: string, routes: readonly { destination: string; nexthop: string }[]): Promise<void> {
    await this.run(sql`update router set routes = ${JSON.stringify(routes)}::jsonb where id = ${router}`);
  }

  async setHostRoutes(subnet: string, routes: readonly { destination: string; nexthop: string }[]): Promise<void> {
    await this.run(sql`update subnet set host_routes = ${JSON.stringify(routes)}::jsonb where id = ${subnet}`);
  }

  slaac(subnet: string, cidr: string, mac: string): Addressed {
    return { subnet, ip: eui64(cidr, mac) };
  }
}

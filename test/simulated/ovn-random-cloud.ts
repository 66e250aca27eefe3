/** Random changes to the truth of a cloud, as SQL: whatever services allow, and moves between parents that they don't. */
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { cloudActor, type Tx } from '../../control/kit/database/database.ts';
import type { Random } from '../support/random.ts';
import type { TestCloud } from './ovn-cloud.ts';

interface Subnet {
  id: string;
  network: string;
  prefix: string;
}

export class RandomCloud {
  readonly #cloud: TestCloud;
  readonly #random: Random;
  readonly #subnets: Subnet[] = [];
  readonly #outside: Subnet[] = [];
  #addresses = 10;

  constructor(cloud: TestCloud, random: Random) {
    this.#cloud = cloud;
    this.#random = random;
  }

  /** Two external networks, three of tenants, hosts, routers and groups. */
  async begin(): Promise<void> {
    const cloud = this.#cloud;
    for (const physical of [['physnet1'], ['physnet1', 'physnet2'], ['physnet2'], []]) await cloud.host(physical);
    for (const [index, physical] of ['physnet1', 'physnet2'].entries()) {
      const network = await cloud.external({ provider_physical_network: physical });
      const prefix = `203.0.${index}`;
      const id = await cloud.subnet(network, `${prefix}.0/24`, { gateway_ip: `${prefix}.254`, enable_dhcp: false });
      this.#outside.push({ id, network, prefix });
    }
    for (const index of [0, 1, 2]) {
      const network = await cloud.network();
      const prefix = `10.0.${index}`;
      const id = await cloud.subnet(network, `${prefix}.0/24`, { gateway_ip: `${prefix}.1` });
      await cloud.metadataPort(network, [{ subnet: id, ip: `${prefix}.2` }]);
      this.#subnets.push({ id, network, prefix });
      const router = await cloud.router();
      await cloud.interface(router, network, [{ subnet: id, ip: `${prefix}.1` }]);
      const group = await cloud.securityGroup();
      for (const _ of [0, 1]) await this.#newPort(group);
    }
  }

  /** One transaction with one to three changes; answers their names. */
  async change(): Promise<string> {
    const kinds = Object.entries(this.#changes);
    const chosen = Array.from({ length: 1 + this.#random.below(3) }, () => this.#pick(kinds));
    for (const [name, run] of chosen) if (name.startsWith('new')) await run(undefined as never);
    await this.#cloud.database.transaction(cloudActor, async (tx) => {
      for (const [name, run] of chosen) if (!name.startsWith('new')) await run(tx);
    });
    return chosen.map(([name]) => name).join(', ');
  }

  #pick<T>(list: readonly T[]): T {
    return this.#random.pick(list);
  }

  #address(subnet: Subnet): string {
    return `${subnet.prefix}.${10 + (this.#addresses++ % 240)}`;
  }

  async #newPort(group?: string): Promise<void> {
    const subnet = this.#pick(this.#subnets);
    await this.#cloud.port(
      subnet.network,
      [{ subnet: subnet.id, ip: this.#address(subnet) }],
      {},
      group ? [group] : [],
    );
  }

  /** A random row of a table, by a condition; undefined where there is none. */
  async #row(tx: Tx, table: string, where = 'true'): Promise<Record<string, string> | undefined> {
    const { rows } = await sql<Record<string, string>>`
      select * from ${sql.table(table)} where ${sql.raw(where)} order by id`.execute(tx);
    return rows.length === 0 ? undefined : this.#pick(rows);
  }

  async #set(
    tx: Tx,
    table: string,
    where: string,
    set: () => ReturnType<typeof sql> | Promise<ReturnType<typeof sql>>,
  ) {
    const row = await this.#row(tx, table, where);
    if (row) await sql`update ${sql.table(table)} set ${await set()} where id = ${row.id}`.execute(tx);
  }

  readonly #guest = "device_owner = 'compute:nova'";

  readonly #changes: Record<string, (tx: Tx) => Promise<unknown>> = {
    'new port': () => this.#newPort(),
    'new network': () => this.#cloud.network(),
    'new rule': async () => {
      const group = await this.#cloud.database.transaction(cloudActor, (tx) => this.#row(tx, 'security_group'));
      const port = 1 + this.#random.below(1000);
      if (group) await this.#cloud.rule(group.id!, { protocol: 'tcp', port_range_min: port, port_range_max: port });
    },
    'network changes': (tx) =>
      this.#set(tx, 'network', 'true', () => sql`mtu = 1300 + (mtu + 1) % 100, name = name || 'x'`),
    'subnet changes': (tx) =>
      this.#set(tx, 'subnet', 'true', () => sql`enable_dhcp = not enable_dhcp, dns_nameservers = '{9.9.9.9}'`),
    'port changes': (tx) =>
      this.#set(tx, 'port', this.#guest, () => sql`admin_state_up = not admin_state_up, name = name || 'y'`),
    'port security changes': (tx) =>
      this.#set(tx, 'port', this.#guest, () => sql`port_security_enabled = not port_security_enabled`),
    'port is bound': async (tx) => {
      const host = await this.#row(tx, 'host');
      await this.#set(tx, 'port', this.#guest, () => sql`host_id = ${host?.id ?? null}`);
    },
    'port moves to another network': (tx) => this.#movePort(tx),
    'port goes': async (tx) => {
      const port = await this.#row(tx, 'port', this.#guest);
      if (port) await sql`delete from port where id = ${port.id}`.execute(tx);
    },
    'port joins or leaves a group': (tx) => this.#member(tx),
    'rule goes': async (tx) => {
      const rule = await this.#row(tx, 'security_group_rule');
      if (rule) await sql`delete from security_group_rule where id = ${rule.id}`.execute(tx);
    },
    'group changes': (tx) => this.#set(tx, 'security_group', 'true', () => sql`stateful = not stateful`),
    'router changes': (tx) =>
      this.#set(
        tx,
        'router',
        'true',
        () => sql`enable_snat = not enable_snat, nat64 = not nat64, admin_state_up = not admin_state_up`,
      ),
    'gateway moves': (tx) => this.#moveGateway(tx),
    'interface moves to another router': async (tx) => {
      const router = await this.#row(tx, 'router');
      await this.#set(tx, 'port', "device_owner = 'network:router_interface'", () => sql`device_id = ${router!.id}`);
    },
    'floating IP comes or moves': (tx) => this.#floatingIp(tx),
    'floating IP is loosened': (tx) =>
      this.#set(tx, 'floating_ip', 'true', () => sql`port_id = null, fixed_ip = null, router_id = null`),
    'metering label comes or goes': async (tx) => {
      const label = await this.#row(tx, 'metering_label');
      if (label && this.#random.chance(0.4)) await sql`delete from metering_label where id = ${label.id}`.execute(tx);
      else {
        await sql`insert into metering_label (id, project_id, shared)
          values (${newId()}, ${this.#cloud.project}, ${this.#random.chance(0.5)})`.execute(tx);
      }
    },
    'rule of a metering label comes or goes': (tx) => this.#meteringRule(tx),
    'host comes or goes': (tx) =>
      this.#set(tx, 'host', 'true', () => sql`connected = not connected, last_seen_at = now() - interval '1 hour'`),
    'host changes': (tx) => {
      const networks = this.#pick(['{physnet1}', '{physnet2}', '{physnet1,physnet2}', '{}']);
      return this.#set(tx, 'host', 'true', () => sql`physical_networks = ${networks}::text[]`);
    },
  };

  async #movePort(tx: Tx): Promise<void> {
    const port = await this.#row(tx, 'port', this.#guest);
    const subnet = this.#pick(this.#subnets);
    if (!port) return;
    await sql`delete from port_ip where port_id = ${port.id}`.execute(tx);
    await sql`update port set network_id = ${subnet.network} where id = ${port.id}`.execute(tx);
    await this.#take(tx, port.id!, subnet);
  }

  async #take(tx: Tx, port: string, subnet: Subnet): Promise<string> {
    const ip = this.#address(subnet);
    await sql`insert into port_ip (port_id, subnet_id, network_id, ip)
      values (${port}, ${subnet.id}, ${subnet.network}, ${ip}) on conflict do nothing`.execute(tx);
    return ip;
  }

  async #member(tx: Tx): Promise<void> {
    const [port, group] = [await this.#row(tx, 'port', this.#guest), await this.#row(tx, 'security_group')];
    if (!port || !group) return;
    const { numDeletedRows } = await tx
      .deleteFrom('port_security_group')
      .where('port_id', '=', port.id as never)
      .where('security_group_id', '=', group.id as never)
      .executeTakeFirst();
    if (numDeletedRows > 0) return;
    await sql`insert into port_security_group (port_id, security_group_id) values (${port.id}, ${group.id})`.execute(
      tx,
    );
  }

  async #meteringRule(tx: Tx): Promise<void> {
    const [label, rule] = [await this.#row(tx, 'metering_label'), await this.#row(tx, 'metering_label_rule')];
    const changed = rule && this.#random.chance(0.4) ? rule.metering_label_id : label?.id;
    if (rule && changed === rule.metering_label_id)
      await sql`delete from metering_label_rule where id = ${rule.id}`.execute(tx);
    else if (label) {
      const [way, other] = [this.#pick(['ingress', 'egress']), this.#pick(['198.51.100.0/24', null])];
      await sql`insert into metering_label_rule (id, metering_label_id, direction, source_ip_prefix, destination_ip_prefix)
        values (${newId()}, ${label.id}, ${way}, ${`${this.#pick(this.#subnets).prefix}.0/24`}, ${other})`.execute(tx);
    }
    await sql`update metering_label set generation = generation + 1 where id = ${changed ?? null}`.execute(tx);
  }

  async #moveGateway(tx: Tx): Promise<void> {
    const router = await this.#row(tx, 'router');
    const to = this.#pick([...this.#outside, undefined]);
    if (!router) return;
    await sql`delete from port where device_owner = 'network:router_gateway' and device_id = ${router.id}`.execute(tx);
    await sql`update router set gateway_network_id = ${to?.network ?? null} where id = ${router.id}`.execute(tx);
    if (!to) return;
    const port = await this.#ownPort(tx, to, 'network:router_gateway', router.id!);
    await this.#take(tx, port, to);
  }

  async #ownPort(tx: Tx, { network }: Subnet, owner: string, device: string): Promise<string> {
    const id = newId();
    await sql`insert into port (id, project_id, network_id, mac, device_owner, device_id)
      values (${id}, ${this.#cloud.project}, ${network}, ${this.#cloud.mac()}, ${owner}, ${device})`.execute(tx);
    return id;
  }

  async #floatingIp(tx: Tx): Promise<void> {
    const inside = `${this.#guest} and exists (select from port_ip where port_id = port.id)
      and not exists (select from floating_ip f where f.port_id = port.id)`;
    const [port, router] = [await this.#row(tx, 'port', inside), await this.#row(tx, 'router')];
    if (!port || !router) return;
    const { rows } = await sql<{ ip: string }>`select host(ip) as ip from port_ip where port_id = ${port.id}`.execute(
      tx,
    );
    const [old, outside] = [await this.#row(tx, 'floating_ip'), this.#pick(this.#outside)];
    if (old && this.#random.chance(0.7)) {
      await sql`update floating_ip set port_id = ${port.id}, fixed_ip = ${rows[0]!.ip}, router_id = ${router.id}
        where id = ${old.id}`.execute(tx);
      return;
    }
    const id = newId();
    const own = await this.#ownPort(tx, outside, 'network:floatingip', id);
    const ip = await this.#take(tx, own, outside);
    await sql`insert into floating_ip (id, project_id, floating_network_id, floating_port_id, floating_ip, port_id, fixed_ip, router_id)
      values (${id}, ${this.#cloud.project}, ${outside.network}, ${own}, ${ip}, ${port.id}, ${rows[0]!.ip}, ${router.id})
      on conflict do nothing`.execute(tx);
  }
}

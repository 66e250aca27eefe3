/** A project with a user, network, router, security group and key, and guests in it that a test can enter by SSH. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LiveCloud, mustRun, type Output, run, until } from './live-cloud.ts';
import { OpenStack } from './openstack.ts';

export async function administrator(cloud: Pick<LiveCloud, 'adminEnvironment' | 'caFile'>): Promise<OpenStack> {
  const env = cloud.adminEnvironment;
  const client = new OpenStack({ authUrl: env.OS_AUTH_URL!, caFile: cloud.caFile });
  return client.login({ name: env.OS_USERNAME!, password: env.OS_PASSWORD!, project: env.OS_PROJECT_NAME! });
}

let serial = 0;

export interface Guest {
  id: string;
  floatingIp: string;
  /** Who enters by SSH; absent: cirros. */
  user?: string;
  ipv4: string;
  ipv6: string;
  portId: string;
}

export class Tenant implements AsyncDisposable {
  readonly client: OpenStack;
  readonly #admin: OpenStack;
  readonly #folder = mkdtempSync(join(tmpdir(), 'bothy-tenant-'));
  #made: { service: 'identity' | 'network' | 'compute'; path: string }[] = [];
  /** For the openstack client. */
  readonly environment: Readonly<Record<string, string>>;
  networkId = '';
  groupId = '';
  externalId = '';
  keyName = 'key';

  private constructor(client: OpenStack, admin: OpenStack, environment: Record<string, string>) {
    this.environment = environment;
    this.client = client;
    this.#admin = admin;
  }

  static async create(cloud: LiveCloud, options: { cidr4: string; cidr6: string }): Promise<Tenant> {
    const admin = await administrator(cloud);
    const name = `tenant-${process.pid}-${++serial}`;
    const password = `password of ${name}`;
    const { project } = await admin.must('POST', 'identity', '/v3/projects', { project: { name } });
    const { user } = await admin.must('POST', 'identity', '/v3/users', { user: { name, password } });
    const { roles } = await admin.must('GET', 'identity', '/v3/roles?name=member');
    await admin.must('PUT', 'identity', `/v3/projects/${project.id}/users/${user.id}/roles/${roles[0].id}`);
    const client = new OpenStack({ authUrl: cloud.adminEnvironment.OS_AUTH_URL!, caFile: cloud.caFile });
    const environment = { ...cloud.adminEnvironment, OS_USERNAME: name, OS_PASSWORD: password, OS_PROJECT_NAME: name };
    const tenant = new Tenant(await client.login({ name, password, project: name }), admin, environment);
    tenant.#made.push(
      { service: 'identity', path: `/v3/projects/${project.id}` },
      { service: 'identity', path: `/v3/users/${user.id}` },
    );
    await tenant.#prepare(options);
    return tenant;
  }

  async #prepare(options: { cidr4: string; cidr6: string }): Promise<void> {
    const { client } = this;
    const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name: 'net' } });
    this.networkId = network.id;
    const subnet = (body: object) =>
      client.must('POST', 'network', '/v2.0/subnets', { subnet: { network_id: network.id, ...body } });
    const v4 = (await subnet({ ip_version: 4, cidr: options.cidr4 })).subnet;
    const v6 = (await subnet({ ip_version: 6, cidr: options.cidr6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' }))
      .subnet;
    const { networks } = await client.must('GET', 'network', '/v2.0/networks?router:external=true');
    this.externalId = networks[0].id;
    const { router } = await client.must('POST', 'network', '/v2.0/routers', {
      router: { name: 'router', external_gateway_info: { network_id: this.externalId } },
    });
    for (const { id } of [v4, v6])
      await client.must('PUT', 'network', `/v2.0/routers/${router.id}/add_router_interface`, { subnet_id: id });
    const { security_group } = await client.must('POST', 'network', '/v2.0/security-groups', {
      security_group: { name: 'reachable' },
    });
    this.groupId = security_group.id;
    await this.allow({ protocol: 'tcp', port_range_min: 22, port_range_max: 22, ethertype: 'IPv4' });
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.#folder, 'key')]);
    const publicKey = readFileSync(join(this.#folder, 'key.pub'), 'utf8').trim();
    await client.must('POST', 'compute', '/os-keypairs', { keypair: { name: this.keyName, public_key: publicKey } });
    this.#made.unshift(
      { service: 'network', path: `/v2.0/networks/${network.id}` },
      { service: 'network', path: `/v2.0/security-groups/${security_group.id}` },
    );
    this.#undo = async () => {
      for (const { id } of [v4, v6]) {
        await client.call('PUT', 'network', `/v2.0/routers/${router.id}/remove_router_interface`, { subnet_id: id });
      }
      await client.call('DELETE', 'network', `/v2.0/routers/${router.id}`);
    };
  }
  #undo = async (): Promise<void> => {};

  /** Opens something in the tenant's security group; answers the rule's id. */
  async allow(rule: Record<string, unknown>): Promise<string> {
    const body = { security_group_rule: { direction: 'ingress', security_group_id: this.groupId, ...rule } };
    return (await this.client.must('POST', 'network', '/v2.0/security-group-rules', body)).security_group_rule.id;
  }

  async disallow(ruleId: string): Promise<void> {
    await this.client.must('DELETE', 'network', `/v2.0/security-group-rules/${ruleId}`);
  }

  /** Boots a guest with a floating IP and waits until SSH answers. */
  async boot(name: string, more: Record<string, unknown> = {}): Promise<Guest> {
    const id = await this.create(name, more);
    await this.active(id);
    const { ports } = await this.client.must('GET', 'network', `/v2.0/ports?device_id=${id}`);
    const { floatingip } = await this.client.must('POST', 'network', '/v2.0/floatingips', {
      floatingip: { floating_network_id: this.externalId, port_id: ports[0].id },
    });
    const ips: string[] = ports[0].fixed_ips.map((f: { ip_address: string }) => f.ip_address);
    const guest: Guest = {
      id,
      portId: ports[0].id,
      floatingIp: floatingip.floating_ip_address,
      ipv4: ips.find((ip) => !ip.includes(':'))!,
      ipv6: ips.find((ip) => ip.includes(':'))!,
    };
    await until(`SSH of ${name} answers`, async () => (await this.ssh(guest, 'true')).status === 0, 150_000, 500);
    return guest;
  }

  /** @param hints of the scheduler */
  async create(name: string, more: Record<string, unknown> = {}, hints: object = {}): Promise<string> {
    const { images } = await this.client.must('GET', 'image', '/v2/images?name=guest');
    const { flavors } = await this.client.must('GET', 'compute', '/flavors');
    const flavor = flavors.find((f: { name: string }) => f.name === 'm1.tiny') ?? flavors[0];
    const { server } = await this.client.must('POST', 'compute', '/servers', {
      server: {
        name,
        imageRef: images[0].id,
        flavorRef: flavor.id,
        networks: [{ uuid: this.networkId }],
        key_name: this.keyName,
        security_groups: [{ name: 'reachable' }],
        ...more,
      },
      'os:scheduler_hints': hints,
    });
    return server.id;
  }

  async active(id: string, deadlineMs = 90_000): Promise<void> {
    await until(
      `server ${id} is ACTIVE`,
      async () => {
        const { server } = await this.client.must('GET', 'compute', `/servers/${id}`);
        if (server.status === 'ERROR') throw new Error(`server is in ERROR: ${JSON.stringify(server.fault)}`);
        return server.status === 'ACTIVE';
      },
      deadlineMs,
      100,
    );
  }

  async remove(id: string, deadlineMs = 90_000): Promise<void> {
    await this.client.call('DELETE', 'compute', `/servers/${id}`);
    await until(
      `server ${id} is gone`,
      async () => (await this.client.call('GET', 'compute', `/servers/${id}`)).status === 404,
      deadlineMs,
      100,
    );
  }

  ssh(guest: Pick<Guest, 'floatingIp' | 'user'>, command: string, deadlineMs = 20_000): Promise<Output> {
    return run('ssh', this.#sshArguments(guest, command), { deadlineMs });
  }

  /** One SSH session that prints a rising number five times a second, for as long as its connection lives. */
  openCounter(guest: Guest): { count(): number; ended(): boolean; close(): void } {
    const loop = 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.2; done';
    const child = spawn('ssh', this.#sshArguments(guest, loop), { stdio: ['ignore', 'pipe', 'ignore'] });
    let last = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      last = Number(text.trim().split('\n').at(-1));
    });
    return { count: () => last, ended: () => child.exitCode !== null, close: () => child.kill() };
  }

  #sshArguments(guest: Pick<Guest, 'floatingIp' | 'user'>, command: string): string[] {
    const options = ['UserKnownHostsFile=/dev/null', 'StrictHostKeyChecking=no', 'ConnectTimeout=5', 'LogLevel=ERROR'];
    const key = join(this.#folder, 'key');
    return ['-i', key, ...options.flatMap((o) => ['-o', o]), `${guest.user ?? 'cirros'}@${guest.floatingIp}`, command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { servers } = await this.client.must('GET', 'compute', '/servers');
    for (const { id } of servers) await this.remove(id);
    const { floatingips } = await this.client.must('GET', 'network', '/v2.0/floatingips');
    for (const { id } of floatingips) await this.client.call('DELETE', 'network', `/v2.0/floatingips/${id}`);
    await this.client.call('DELETE', 'compute', `/os-keypairs/${this.keyName}`);
    await this.#undo();
    for (const { service, path } of this.#made.filter((m) => m.service !== 'identity'))
      await this.client.call('DELETE', service, path);
    const groups = (await this.client.must('GET', 'network', '/v2.0/security-groups')).security_groups;
    for (const { id } of groups) await this.#admin.call('DELETE', 'network', `/v2.0/security-groups/${id}`);
    for (const { service, path } of this.#made.filter((m) => m.service === 'identity'))
      await this.#admin.call('DELETE', service, path);
    this.abandon();
  }

  /** Lets go of what lies on this machine; for a cloud that goes away itself. */
  abandon(): void {
    this.client.close();
    this.#admin.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

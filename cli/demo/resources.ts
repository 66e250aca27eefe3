/** What the demo makes in the cloud. Names are fixed: what exists already is used again. */
import { randomBytes } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import { run } from '../run.ts';
import type { Progress } from '../terminal.ts';
import type { GuestImage } from './guest-image.ts';
import type { OpenStack } from './openstack.ts';

export const demoName = 'demo';

/** The demo user's password, made once. */
export function demoPassword(secrets: string): string {
  const file = join(secrets, 'demo-password');
  const known = readText(file)?.trim();
  if (known !== undefined && known !== '') return known;
  const password = randomBytes(12).toString('base64url');
  writeWhole(file, `${password}\n`, { mode: 0o600 });
  return password;
}

export async function ensureProjectAndUser(admin: OpenStack, password: string): Promise<void> {
  const nouns = (one: string) => ({ one, many: `${one}s` });
  const project = await admin.ensure('identity', '/projects', nouns('project'), {
    name: demoName,
    description: 'Made by bothy demo',
  });
  const user = await admin.ensure('identity', '/users', nouns('user'), {
    name: demoName,
    password,
    default_project_id: project.id,
  });
  const role = await admin.find('identity', '/roles?name=member', 'roles', (item) => item.name === 'member');
  if (role === undefined) throw new CommandError("the cloud has no role 'member'", "see 'bothy doctor'");
  await admin.put('identity', `/projects/${project.id}/users/${user.id}/roles/${role.id}`);
}

/** Uploads the guest image, public for every project, unless the same one is there. */
export async function ensureImage(
  admin: OpenStack,
  guest: GuestImage,
  progress: Progress,
): Promise<{ id: string; uploaded: boolean }> {
  const name = 'bothy-guest';
  const known = await admin.find(
    'image',
    `/images?name=${name}`,
    'images',
    (item) => item.bothy_recipe === guest.recipe && item.status === 'active',
  );
  if (known !== undefined) return { id: known.id, uploaded: false };
  // An older recipe's image may be in use; it steps aside so that the name stays unique.
  const { images } = await admin.get('image', `/images?name=${name}`);
  for (const old of images as { id: string; bothy_recipe?: string }[]) {
    const json = [{ op: 'replace', path: '/name', value: `${name}-${old.bothy_recipe ?? old.id}` }];
    const headers = { 'content-type': 'application/openstack-images-v2.1-json-patch' };
    await admin.call('image', 'PATCH', `/images/${old.id}`, { json, headers });
  }
  const image = await admin.post('image', '/images', {
    name,
    disk_format: 'qcow2',
    container_format: 'bare',
    visibility: 'public',
    min_ram: 128,
    bothy_recipe: guest.recipe,
  });
  const onProgress = (sent: number, total: number) =>
    progress.detail(`${(sent / 2 ** 20).toFixed(0)} of ${(total / 2 ** 20).toFixed(0)} MiB`);
  const file = { stream: createReadStream(guest.file, { highWaterMark: 1 << 20 }), path: guest.file, onProgress };
  const headers = { 'content-type': 'application/octet-stream' };
  await admin.call('image', 'PUT', `/images/${image.id}/file`, { file, headers, timeoutMs: 300_000 });
  return { id: image.id, uploaded: true };
}

export async function ensureFlavor(admin: OpenStack): Promise<string> {
  const wanted = { name: 'demo.tiny', vcpus: 1, ram: 192, disk: 1 };
  const known = await admin.find('compute', '/flavors/detail', 'flavors', (item) => item.name === wanted.name);
  return (known ?? (await admin.post('compute', '/flavors', { flavor: wanted })).flavor).id;
}

export interface External {
  cidr: string;
  gateway: string;
}

/** The network that floating IPs come from; the cloud's first start usually made it. */
export async function ensureExternalNetwork(admin: OpenStack, external: External): Promise<string> {
  const known = await admin.find('network', '/networks?router:external=true', 'networks', () => true);
  if (known !== undefined) return known.id;
  const { network } = await admin.post('network', '/networks', {
    network: {
      name: 'external',
      'router:external': true,
      shared: false,
      'provider:network_type': 'flat',
      'provider:physical_network': 'external',
    },
  });
  const subnet = {
    name: 'external',
    network_id: network.id,
    ip_version: 4,
    cidr: external.cidr,
    gateway_ip: external.gateway,
    enable_dhcp: false,
  };
  await admin.post('network', '/subnets', { subnet });
  return network.id;
}

export async function ensureNetwork(demo: OpenStack, externalId: string): Promise<string> {
  const mine = `&project_id=${demo.projectId}`;
  const network = await demo.ensure(
    'network',
    '/networks',
    { one: 'network', many: 'networks' },
    { name: demoName },
    mine,
  );
  const subnets = [
    { name: 'demo-v4', network_id: network.id, ip_version: 4, cidr: '10.64.0.0/24' },
    {
      name: 'demo-v6',
      network_id: network.id,
      ip_version: 6,
      cidr: 'fd0b:0724:64::/64',
      ipv6_ra_mode: 'slaac',
      ipv6_address_mode: 'slaac',
    },
  ];
  const router = await demo.ensure(
    'network',
    '/routers',
    { one: 'router', many: 'routers' },
    { name: demoName, external_gateway_info: { network_id: externalId } },
    mine,
  );
  for (const wanted of subnets) {
    const subnet = await demo.ensure('network', '/subnets', { one: 'subnet', many: 'subnets' }, wanted, mine);
    const ports = await demo.get('network', `/ports?device_id=${router.id}`);
    const plugged = ports.ports.some((port: { fixed_ips: { subnet_id: string }[] }) =>
      port.fixed_ips.some((ip) => ip.subnet_id === subnet.id),
    );
    if (!plugged) await demo.put('network', `/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  }
  return network.id;
}

export async function ensureSecurityGroup(demo: OpenStack): Promise<string> {
  const nouns = { one: 'security_group', many: 'security_groups' };
  const wanted = { name: demoName, description: 'SSH and ping from everywhere' };
  const found = await demo.ensure('network', '/security-groups', nouns, wanted, `&project_id=${demo.projectId}`);
  const { security_group: group } = await demo.get('network', `/security-groups/${found.id}`);
  const rules = [
    { ethertype: 'IPv4', protocol: 'tcp', port_range_min: 22, port_range_max: 22 },
    { ethertype: 'IPv6', protocol: 'tcp', port_range_min: 22, port_range_max: 22 },
    { ethertype: 'IPv4', protocol: 'icmp' },
    { ethertype: 'IPv6', protocol: 'ipv6-icmp' },
  ];
  const key = (rule: { direction?: string; ethertype: string; protocol: string | null }) =>
    `${rule.direction ?? 'ingress'} ${rule.ethertype} ${rule.protocol === 'icmpv6' ? 'ipv6-icmp' : rule.protocol}`;
  const present = new Set(group.security_group_rules.map(key));
  for (const rule of rules.filter((candidate) => !present.has(key(candidate)))) {
    const body = { security_group_rule: { direction: 'ingress', security_group_id: group.id, ...rule } };
    await demo.post('network', '/security-group-rules', body);
  }
  return group.id;
}

/** A key of the demo's own below the data directory; answers the private key's file. */
export async function ensureKeyPair(demo: OpenStack, directory: string): Promise<string> {
  const file = join(directory, 'id_ed25519');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (!existsSync(file)) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bothy demo', '-f', file]);
  const publicKey = readFileSync(`${file}.pub`, 'utf8').trim();
  const known = await demo.get('compute', `/os-keypairs/${demoName}`);
  if (known !== undefined && known.keypair.public_key.trim() !== publicKey)
    await demo.call('compute', 'DELETE', `/os-keypairs/${demoName}`);
  else if (known !== undefined) return file;
  await demo.post('compute', '/os-keypairs', { keypair: { name: demoName, public_key: publicKey } });
  return file;
}

/** A project with one of everything, each thing marked in whatever it can be marked in, and what is to be read of it. */
import assert from 'node:assert/strict';
import { OpenStack } from '../support/openstack.ts';
import type { SimulatedCloud } from '../support/simulated-cloud.ts';
import { rawImage } from '../support/small-image.ts';

export interface Person {
  client: OpenStack;
  id: string;
  name: string;
  password: string;
}

export interface Victim {
  owner: Person;
  reader: Person;
  projectId: string;
  /** In names, descriptions, metadata and tags of everything; no one else's answer may hold it. */
  mark: string;
  /** The id of the thing that a path segment collects, e.g. `servers`. */
  ids: Readonly<Record<string, string>>;
  /** Everything as an administrator reads it, without what changes by itself. */
  look(): Promise<string>;
}

export async function makePerson(cloud: SimulatedCloud, admin: OpenStack, name: string): Promise<Person> {
  const password = `password of ${name}`;
  const { user } = await admin.must('POST', 'identity', '/v3/users', { user: { name, password } });
  const authUrl = `https://127.0.0.1:${cloud.port}/identity/v3`;
  return { client: new OpenStack({ authUrl, caFile: cloud.identity.ca }), id: user.id, name, password };
}

export async function give(admin: OpenStack, projectId: string, person: Person, role: string): Promise<void> {
  const { roles } = await admin.must('GET', 'identity', `/v3/roles?name=${role}`);
  await admin.must('PUT', 'identity', `/v3/projects/${projectId}/users/${person.id}/roles/${roles[0].id}`);
}

export async function makeVictim(cloud: SimulatedCloud, admin: OpenStack, flavorId: string): Promise<Victim> {
  const mark = `marked-${Math.random().toString(36).slice(2, 12)}`;
  const { project } = await admin.must('POST', 'identity', '/v3/projects', {
    project: { name: `${mark} project`, description: mark },
  });
  const owner = await makePerson(cloud, admin, 'victim');
  const reader = await makePerson(cloud, admin, 'reading victim');
  await give(admin, project.id, owner, 'member');
  await give(admin, project.id, reader, 'reader');
  for (const { client, name, password } of [owner, reader]) {
    await client.login({ name, password, project: project.name });
  }
  const ids: Record<string, string> = { projects: project.id, users: owner.id, flavors: flavorId };
  await makeNetwork(owner.client, admin, mark, ids);
  await makeVolumes(cloud, owner.client, mark, ids);
  await makeServer(owner.client, mark, ids);
  await cloud.until('the marked server to run', async () => {
    const { server } = await owner.client.must('GET', 'compute', `/servers/${ids.servers}`);
    return server.status === 'ACTIVE';
  });
  const { operations } = await owner.client.native('GET', '/operations');
  ids.operations = operations[0].id;
  return { owner, reader, projectId: project.id, mark, ids, look: () => look(owner.client, admin, ids) };
}

async function makeNetwork(me: OpenStack, admin: OpenStack, mark: string, ids: Record<string, string>): Promise<void> {
  const make = async (plural: string, single: string, body: object): Promise<string> => {
    const answer = await me.must('POST', 'network', `/v2.0/${plural}`, { [single]: body });
    ids[plural] = answer[single].id;
    return answer[single].id;
  };
  const marked = { name: mark, description: mark };
  const network_id = await make('networks', 'network', marked);
  const subnet_id = await make('subnets', 'subnet', { ...marked, network_id, ip_version: 4, cidr: '10.9.0.0/24' });
  const { networks } = await admin.must('GET', 'network', '/v2.0/networks?router:external=true');
  const external = { external_gateway_info: { network_id: networks.at(-1).id } };
  const router = await make('routers', 'router', { ...marked, ...external });
  await me.must('PUT', 'network', `/v2.0/routers/${router}/add_router_interface`, { subnet_id });
  const security_group_id = await make('security-groups', 'security_group', marked);
  await make('security-group-rules', 'security_group_rule', {
    security_group_id,
    direction: 'ingress',
    description: mark,
  });
  const port_id = await make('ports', 'port', { ...marked, network_id });
  await make('floatingips', 'floatingip', { floating_network_id: networks.at(-1).id, port_id, description: mark });
  await make('trunks', 'trunk', { ...marked, port_id });
  await make('address-groups', 'address_group', { ...marked, addresses: ['10.9.0.0/24'] });
  const address_scope_id = await make('address-scopes', 'address_scope', { name: mark, ip_version: 4 });
  await make('subnetpools', 'subnetpool', { ...marked, prefixes: ['10.77.0.0/16'], address_scope_id });
  const { project_id } = (await me.must('GET', 'network', `/v2.0/routers/${router}`)).router;
  const { policy } = await admin.must('POST', 'network', '/v2.0/qos/policies', { policy: { ...marked, project_id } });
  ids.policies = policy.id;
}

/** One that is offered to whoever has the key, and one that is kept, with its snapshot. */
async function makeVolumes(
  cloud: SimulatedCloud,
  me: OpenStack,
  mark: string,
  ids: Record<string, string>,
): Promise<void> {
  const marked = { name: mark, description: mark, metadata: { [mark]: mark } };
  const make = async (plural: string, single: string, body: object): Promise<string> => {
    const answer = await me.must('POST', 'block-storage', `/${plural}`, { [single]: body });
    const { id } = answer[single];
    ids[plural] = id;
    if (single === 'transfer') return id;
    await cloud.until(`the marked ${single}`, async () => {
      const shown = await me.must('GET', 'block-storage', `/${plural}/${id}`);
      return shown[single].status === 'available';
    });
    return id;
  };
  const given = await make('volumes', 'volume', { ...marked, size: 1 });
  ids['volume-transfers'] = await make('os-volume-transfer', 'transfer', { volume_id: given, name: mark });
  const volume_id = await make('volumes', 'volume', { ...marked, size: 1 });
  await make('snapshots', 'snapshot', { ...marked, volume_id });
}

async function makeServer(me: OpenStack, mark: string, ids: Record<string, string>): Promise<void> {
  const image = await me.must('POST', 'image', '/v2/images', {
    name: mark,
    tags: [mark],
    disk_format: 'raw',
    container_format: 'bare',
    visibility: 'private',
  });
  ids.images = image.id;
  const bytes = { 'content-type': 'application/octet-stream' };
  assert.equal((await me.call('PUT', 'image', `/v2/images/${image.id}/file`, rawImage(), bytes)).status, 204);
  await me.must('POST', 'compute', '/os-keypairs', { keypair: { name: mark } });
  ids['os-keypairs'] = mark;
  const { server } = await me.must('POST', 'compute', '/servers', {
    server: {
      name: mark,
      imageRef: image.id,
      flavorRef: ids.flavors,
      networks: [{ uuid: ids.networks }],
      metadata: { [mark]: mark },
      user_data: Buffer.from(mark).toString('base64'),
    },
  });
  ids.servers = server.id;
  const { application_credential } = await me.must(
    'POST',
    'identity',
    `/v3/users/${ids.users}/application_credentials`,
    { application_credential: { name: mark, description: mark, access_rules: [rule] } },
  );
  ids.application_credentials = application_credential.id;
  ids.access_rules = application_credential.access_rules[0].id;
}

const rule = { service: 'compute', method: 'GET', path: '/v2.1/servers' };

/** What its end or a host's report changes without anyone's wish. */
const byItself = new Set(['updated', 'updated_at', 'progress', 'last_used', 'OS-EXT-STS:task_state']);

async function look(owner: OpenStack, admin: OpenStack, ids: Readonly<Record<string, string>>): Promise<string> {
  const parts: unknown[] = [];
  const read = async (client: OpenStack, service: Parameters<OpenStack['url']>[0], path: string) => {
    const { status, body } = await client.call('GET', service, path);
    parts.push([path, status, body]);
  };
  for (const plural of [
    'networks',
    'subnets',
    'routers',
    'security-groups',
    'security-group-rules',
    'ports',
    'floatingips',
    'trunks',
    'address-groups',
    'address-scopes',
    'subnetpools',
  ]) {
    await read(admin, 'network', `/v2.0/${plural}/${ids[plural]}`);
  }
  await read(admin, 'network', `/v2.0/ports?network_id=${ids.networks}`);
  await read(admin, 'network', `/v2.0/qos/policies/${ids.policies}`);
  await read(admin, 'network', `/v2.0/quotas/${ids.projects}`);
  for (const plural of ['volumes', 'snapshots', 'os-volume-transfer']) {
    await read(admin, 'block-storage', `/${plural}/${ids[plural]}`);
  }
  await read(admin, 'image', `/v2/images/${ids.images}`);
  await read(owner, 'image', `/v2/images/${ids.images}/members`);
  await read(admin, 'compute', `/servers/${ids.servers}`);
  await read(admin, 'compute', `/os-quota-sets/${ids.projects}`);
  await read(owner, 'compute', '/os-keypairs');
  await read(admin, 'identity', `/v3/users/${ids.users}`);
  await read(admin, 'identity', `/v3/projects/${ids.projects}`);
  await read(admin, 'identity', `/v3/users/${ids.users}/application_credentials`);
  await read(admin, 'identity', `/v3/role_assignments?scope.project.id=${ids.projects}`);
  return JSON.stringify(parts, (key, value) => (byItself.has(key) ? undefined : value), 1);
}

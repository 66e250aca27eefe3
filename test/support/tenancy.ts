/** What tests of a simulated cloud ask of it as a user would, by the public APIs alone. */
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import type { OpenStack } from './openstack.ts';
import type { SimulatedCloud } from './simulated-cloud.ts';
import { rawImage } from './small-image.ts';
import { patienceMs } from './until.ts';

export interface Tenancy {
  client: OpenStack;
  imageId: string;
  flavorId: string;
  networkId: string;
  subnetId: string;
}

/** An image, a network with a subnet, and a flavor. */
export async function makeTenancy(cloud: { client(): Promise<OpenStack> }): Promise<Tenancy> {
  const client = await cloud.client();
  const image = { name: 'tiny', disk_format: 'raw', container_format: 'bare', visibility: 'public' };
  const { id: imageId } = await client.must('POST', 'image', '/v2/images', image);
  const upload = await client.call('PUT', 'image', `/v2/images/${imageId}/file`, rawImage(), {
    'content-type': 'application/octet-stream',
  });
  assert.equal(upload.status, 204, JSON.stringify(upload.body));
  const { network } = await client.must('POST', 'network', '/v2.0/networks', { network: { name: 'net' } });
  const { subnet } = await client.must('POST', 'network', '/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.7.0.0/24' },
  });
  const { flavors } = await client.must('GET', 'compute', '/flavors');
  const flavor = flavors.find((one: { name: string }) => one.name === 'm1.tiny');
  return { client, imageId, flavorId: flavor.id, networkId: network.id, subnetId: subnet.id };
}

export const serverBody = (tenancy: Tenancy, name: string, more: Record<string, unknown> = {}) => ({
  server: {
    name,
    imageRef: tenancy.imageId,
    flavorRef: tenancy.flavorId,
    networks: [{ uuid: tenancy.networkId }],
    ...more,
  },
});

export async function createServer(tenancy: Tenancy, name: string, more = {}): Promise<ServerId> {
  return (await tenancy.client.must('POST', 'compute', '/servers', serverBody(tenancy, name, more))).server.id;
}

/** The server's status; 'gone' after its end, undefined where the cloud does not answer now. */
export async function statusOf(tenancy: Tenancy, id: ServerId): Promise<string | undefined> {
  try {
    const answer = await tenancy.client.call('GET', 'compute', `/servers/${id}`);
    if (answer.status === 404) return 'gone';
    return answer.status === 200 ? answer.body.server.status : undefined;
  } catch {
    return undefined;
  }
}

export async function reaches(
  cloud: SimulatedCloud,
  tenancy: Tenancy,
  id: ServerId,
  status: string,
  timeoutMs = patienceMs,
): Promise<void> {
  let last: string | undefined;
  await cloud
    .until(
      `server ${id} to be ${status}`,
      async () => {
        last = await statusOf(tenancy, id);
        return last === status;
      },
      timeoutMs,
    )
    .catch(async (error: Error) => {
      throw new Error(`${error.message}; it is ${last}; ${JSON.stringify(await storyOf(cloud, id))}`);
    });
}

/** A delete that is asked for until the cloud has taken it. */
export async function deleteServer(cloud: SimulatedCloud, tenancy: Tenancy, id: ServerId): Promise<void> {
  await cloud.until(`the delete of ${id} to be accepted`, async () => {
    const { status } = await tenancy.client.call('DELETE', 'compute', `/servers/${id}`);
    return status === 204 || status === 404;
  });
}

/** All that the database says about a server, for a test that failed. */
async function storyOf(cloud: SimulatedCloud, id: ServerId): Promise<unknown> {
  const { rows } = await sql`select host_id, epoch, generation, observed_generation, desired_presence, observed_state,
      observed_step, observed_error, fault, (select json_agg(o) from operation o where o.resource_id = s.id) as operations
    from server s where id = ${id}`.execute(cloud.database.query);
  return rows;
}

/** Servers run as the truth says, each once, with its port up; nothing is on any host that belongs to no server. */
export async function assertInOrder(cloud: SimulatedCloud, servers: readonly ServerId[]): Promise<void> {
  const wanted = [...servers].sort();
  await cloud.until('no operation to be open', async () => {
    return (await cloud.count(sql`select count(*) as n from operation where state = 'running'`)) === 0;
  });
  const { rows: ports } = await sql<{ id: string; server: string; host_id: string; ips: number }>`
    select p.id, sp.server_id as server, p.host_id, (select count(*) from port_ip i where i.port_id = p.id) as ips
    from port p join server_port sp on sp.port_id = p.id order by p.id`.execute(cloud.database.query);
  const { rows } = await sql<{ id: string; host_id: string }>`select id, host_id from server order by id`.execute(
    cloud.database.query,
  );
  assert.deepEqual(
    rows.map((row) => row.id),
    wanted,
    'servers in the database',
  );
  assert.deepEqual(ports.map((port) => port.server).sort(), wanted, 'each server has one port');
  assert.deepEqual([...new Set(ports.map((port) => port.ips))], wanted.length > 0 ? [1] : [], 'with one address');
  const lost = sql`select count(*) as n from port where device_owner like 'compute:%'
    and id not in (select port_id from server_port)`;
  assert.equal(await cloud.count(lost), 0, 'ports of no server');
  for (const host of cloud.hosts) {
    const own = rows.filter((row) => row.host_id === host.id).map((row) => row.id);
    const ownPorts = ports.filter((port) => port.host_id === host.id).map((port) => port.id);
    await cloud
      .until(`${host.name} to be in order`, () => tidy(host.leftovers(), own, ownPorts))
      .catch((error) => {
        throw new Error(
          `${error.message}: it has ${host.leftovers().join(', ')}; wanted ${own.join(', ') || 'nothing'} with ports ${ownPorts.join(', ')}`,
        );
      });
  }
  await cloud.until('the northbound database to have the ports, all up', () => {
    const switchPorts = [...cloud.northbound.rows('Logical_Switch_Port').values()];
    const names = switchPorts.filter((row) => ports.some((port) => port.id === row.name));
    const strays = switchPorts.filter((row) => row.type === '' && !ports.some((port) => port.id === row.name));
    return names.length === ports.length && strays.length === 0 && names.every((row) => row.up === true);
  });
  // A job that a dead control had begun is taken back later; there is nothing left for it to do.
  const jobs = sql`select count(*) as n from graphile_worker.jobs
    where key like 'server:%' and run_at <= now() and locked_at is null`;
  await cloud.until('no job to be due', async () => (await cloud.count(jobs)) === 0);
}

/** Exactly what these servers need. */
function tidy(found: string[], servers: readonly string[], ports: readonly string[]): boolean {
  const count = (word: string) => found.filter((entry) => entry.startsWith(word)).length;
  return (
    servers.every((id) => found.includes(`QEMU ${id}`) && found.includes(`data/servers/${id}`)) &&
    ports.every((id) => found.includes(`switch port ${id}`)) &&
    count('QEMU') === servers.length &&
    count('data/servers') === servers.length &&
    count('run/guests') === servers.length &&
    count('switch port') === ports.length &&
    count('tap') === ports.length
  );
}

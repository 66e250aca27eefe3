/**
 * What the suites expect of a cloud before they begin: roles, two images, two flavors, an external network. The client's own tests look
 * for an image whose name is `cirros-…-disk`, networks `private` and `public`, a project `demo` and a default volume type
 * `lvmdriver-1`, as a developer's cloud has them.
 */
import { ensureGuestImage, uploadGuest } from '../support/guest-image.ts';
import type { OpenStack } from '../support/openstack.ts';
import { administrator } from '../support/tenant.ts';
import type { ConformanceCloud } from './cloud.ts';

export interface Prepared {
  guestFile: string;
  images: [string, string];
  flavors: [string, string];
  externalNetwork: { id: string; name: string; physicalNetwork: string };
  /** The names of all that the cloud has. */
  networkExtensions: string[];
  defaultDomain: string;
  /** How many hosts the cloud has. */
  hosts: number;
}

export async function prepare(cloud: ConformanceCloud): Promise<Prepared> {
  const admin = await administrator(cloud);
  try {
    const { roles } = await admin.must('GET', 'identity', '/v3/roles');
    for (const name of ['member', 'ResellerAdmin']) {
      if (!roles.some((role: { name: string }) => role.name === name))
        await admin.must('POST', 'identity', '/v3/roles', { role: { name } });
    }
    const guestFile = await ensureGuestImage();
    const { domains } = await admin.must('GET', 'identity', '/v3/domains?name=Default');
    const { networks } = await admin.must('GET', 'network', '/v2.0/networks?router:external=true');
    await admin.must('PUT', 'network', `/v2.0/networks/${networks[0].id}`, { network: { name: 'public' } });
    const { hypervisors } = await admin.must('GET', 'compute', '/os-hypervisors');
    const { extensions } = await admin.must('GET', 'network', '/v2.0/extensions');
    await privateNetwork(admin, networks[0].id);
    await defaultSubnetPools(admin);
    await admin.must('POST', 'identity', '/v3/projects', { project: { name: 'demo' } });
    await defaultVolumeType(admin, 'lvmdriver-1');
    if (cloud.secondUrl !== undefined) await otherWorker(admin, `${cloud.secondUrl}/image`);
    return {
      guestFile,
      images: [await uploadGuest(admin, 'cirros-1-disk', ofGuest), await uploadGuest(admin, 'cirros-2-disk', ofGuest)],
      flavors: [await flavor(admin, 'conformance-1', 192, 1), await flavor(admin, 'conformance-2', 256, 2)],
      externalNetwork: {
        id: networks[0].id,
        name: 'public',
        physicalNetwork: networks[0]['provider:physical_network'],
      },
      networkExtensions: extensions.map(({ alias }: { alias: string }) => alias),
      defaultDomain: domains[0].id,
      hosts: hypervisors.length,
    };
  } finally {
    admin.close();
  }
}

/** The guest has QEMU's agent, which changes the password of the user whom Tempest logs in as. */
const ofGuest = { hw_qemu_guest_agent: 'yes', os_admin_user: 'cirros' };

/** Behind a router, so that its servers can have floating addresses. */
async function privateNetwork(admin: OpenStack, externalNetwork: string): Promise<void> {
  const { network } = await admin.must('POST', 'network', '/v2.0/networks', { network: { name: 'private' } });
  const { subnet } = await admin.must('POST', 'network', '/v2.0/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.99.0.0/24' },
  });
  const { router } = await admin.must('POST', 'network', '/v2.0/routers', {
    router: { external_gateway_info: { network_id: externalNetwork } },
  });
  await admin.must('PUT', 'network', `/v2.0/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
}

/** What networks that make themselves take their addresses from. */
async function defaultSubnetPools(admin: OpenStack): Promise<void> {
  for (const [name, prefix, default_prefixlen] of [
    ['default-v4', '10.96.0.0/15', 26],
    ['default-v6', 'fd00:96::/48', 64],
  ] as const) {
    const subnetpool = { name, prefixes: [prefix], default_prefixlen, is_default: true, shared: true };
    await admin.must('POST', 'network', '/v2.0/subnetpools', { subnetpool });
  }
}

/** Of the catalogue: by what type the image service of the other control is found. */
export const otherImageService = 'image_remote';

async function otherWorker(admin: OpenStack, url: string): Promise<void> {
  const { service } = await admin.must('POST', 'identity', '/v3/services', { service: { type: otherImageService } });
  const endpoint = { service_id: service.id, interface: 'public', url, region_id: 'RegionOne' };
  await admin.must('POST', 'identity', '/v3/endpoints', { endpoint });
}

/** Of the administrator's project alone. */
async function defaultVolumeType(admin: OpenStack, name: string): Promise<void> {
  const { volume_type } = await admin.must('POST', 'block-storage', '/types', { volume_type: { name } });
  const body = { default_type: { volume_type: volume_type.id } };
  const headers = { 'openstack-api-version': 'volume 3.62' };
  const { status } = await admin.call('PUT', 'block-storage', `/default-types/${admin.projectId}`, body, headers);
  if (status !== 200) throw new Error(`the default volume type can not be set: ${status}`);
}

async function flavor(admin: OpenStack, id: string, ram: number, disk: number): Promise<string> {
  await admin.must('POST', 'compute', '/flavors', { flavor: { id, name: id, ram, disk, vcpus: 1 } });
  return id;
}

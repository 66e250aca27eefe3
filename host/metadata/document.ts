/**
 * What a server is told about itself, in OpenStack's and EC2's form. One source for the metadata service and for the
 * config drive. Pure but for the random seed, which is fresh entropy for the guest at each reading, as with Nova; a
 * caller that needs the same bytes again passes its own.
 */
import { randomBytes } from 'node:crypto';
import { ec2Id } from '../../contract/ec2-ids.ts';
import type { DesiredServer, DesiredVolume } from '../../contract/host/index.ts';
import { cardAddress, diskPciAddress, hasVolumeBus, volumePciAddress } from '../guest/layout.ts';
import { networkData } from './network-data.ts';
import { atLeast, since } from './versions.ts';

/** The operator's word to every guest: an object of JSON. */
export type VendorData = Readonly<Record<string, unknown>>;

export interface DocumentOptions {
  /** Absent: none. */
  vendorData?: VendorData;
  /** What services say of this one, by their names; none is called `static`. Absent: none. */
  services?: VendorData;
  /** Nova gives 512 bytes. */
  randomSeed?: Buffer;
  /** Nova tells it by the config drive only: what the metadata service says, any process of the guest can read. */
  adminPassword?: string;
}

/** The files of a config drive: path below its root → contents. */
export function metadataFiles(server: DesiredServer, options: DocumentOptions = {}): Map<string, string | Buffer> {
  const files = new Map<string, string | Buffer>();
  const adminPassword = server.adminPassword === undefined ? {} : { adminPassword: server.adminPassword };
  for (const [name, contents] of openstackFiles(server, 'latest', { ...adminPassword, ...options }))
    files.set(`openstack/latest/${name}`, contents);
  files.set('ec2/latest/meta-data.json', JSON.stringify(ec2MetaData(server)));
  const user = userData(server);
  if (user) files.set('ec2/latest/user-data', user);
  for (const [name, contents] of injectedFiles(server)) files.set(`openstack/content/${name}`, contents);
  return files;
}

/** Name → contents of one dated version (or 'latest') of the OpenStack format. */
export function openstackFiles(
  server: DesiredServer,
  version: string,
  options: DocumentOptions = {},
): Map<string, string | Buffer> {
  const { vendorData = {}, services = {} } = options;
  const files = new Map<string, string | Buffer>();
  files.set('meta_data.json', JSON.stringify(metaData(server, version, options)));
  const user = userData(server);
  if (user) files.set('user_data', user);
  if (atLeast(version, since.vendorData)) files.set('vendor_data.json', JSON.stringify(vendorData));
  if (atLeast(version, since.networkData)) files.set('network_data.json', JSON.stringify(networkData(server.ports)));
  if (atLeast(version, since.vendorData2))
    files.set('vendor_data2.json', JSON.stringify({ static: vendorData, ...services }));
  return files;
}

function metaData(server: DesiredServer, version: string, options: DocumentOptions = {}): Record<string, unknown> {
  const document: Record<string, unknown> = { uuid: server.id };
  if (Object.keys(server.metadata).length > 0) document.meta = server.metadata;
  if (server.files && server.files.length > 0) {
    const names = [...injectedFiles(server).keys()];
    document.files = server.files.map(({ path }, at) => ({ path, content_path: `/content/${names[at]!}` }));
  }
  if (server.keys.length > 0) {
    document.public_keys = Object.fromEntries(server.keys.map((key) => [key.name, key.publicKey]));
    document.keys = server.keys.map((key) => ({ name: key.name, type: key.type, data: key.publicKey }));
  }
  if (options.adminPassword !== undefined) document.admin_pass = options.adminPassword;
  document.hostname = server.hostname;
  document.name = server.name;
  document.launch_index = server.launchIndex ?? 0;
  document.availability_zone = server.availabilityZone;
  if (atLeast(version, since.randomSeed)) {
    document.random_seed = (options.randomSeed ?? randomBytes(512)).toString('base64');
  }
  if (atLeast(version, since.projectId)) document.project_id = server.projectId;
  if (atLeast(version, since.devices)) document.devices = devices(server, version);
  if (atLeast(version, since.dedicatedCpus)) document.dedicated_cpus = [];
  return document;
}

/** Cards and disks that were given a tag, by which a guest tells them apart (nova/api/metadata/base.py). */
function devices(server: DesiredServer, version: string): object[] {
  const { ports, machine, volumes = [] } = server;
  const disks = volumes.flatMap((volume) => {
    const { id, tag, device } = volume;
    const address = diskAddress(server, volume);
    const place = { bus: address ? 'pci' : 'none', address: address ?? 'none' };
    return tag === null ? [] : [{ type: 'disk', ...place, serial: id, path: device, tags: [tag] }];
  });
  const cards = ports.flatMap(({ mac, tag, slot }, index) => {
    if (tag === undefined) return [];
    const address = (machine?.layout ?? 0) > 0 ? cardAddress(slot ?? index) : undefined;
    const trusted = atLeast(version, since.trustedCards) ? { vf_trusted: false } : {};
    return [{ ...trusted, type: 'nic', mac, bus: address ? 'pci' : 'none', address: address ?? 'none', tags: [tag] }];
  });
  return [...cards, ...ownDisks(server), ...disks];
}

/** Those of its host's that were given a tag: the one that it boots from, then the others. */
function ownDisks({ image, rootTag, localDisks = [], machine, hardware }: DesiredServer): object[] {
  const addressed = (machine?.layout ?? 0) > 0 && (hardware?.diskBus ?? 'virtio') === 'virtio';
  const prefix = (hardware?.diskBus ?? 'virtio') === 'virtio' ? 'vd' : 'sd';
  const own = [...(image === null ? [] : [rootTag]), ...localDisks.map(({ tag }) => tag)];
  return own.flatMap((tag, index) => {
    const place = addressed ? { bus: 'pci', address: diskPciAddress(index) } : { bus: 'none', address: 'none' };
    const path = `/dev/${prefix}${'abcdefgh'[index]}`;
    return tag === undefined ? [] : [{ type: 'disk', ...place, path, tags: [tag] }];
  });
}

/** Of a volume in its slot on the bus of volumes; one that the machine boots from instead of a disk of its own is elsewhere. */
function diskAddress({ machine, hardware, image }: DesiredServer, volume: DesiredVolume): string | undefined {
  const slotted = hasVolumeBus(machine?.layout ?? 0) && (hardware?.diskBus ?? 'virtio') === 'virtio';
  return slotted && (image !== null || volume.bootIndex === null) ? volumePciAddress(volume.slot) : undefined;
}

/** The bytes that the user gave, or null where none were given. */
export function userData(server: DesiredServer): Buffer | null {
  return server.userData === null ? null : Buffer.from(server.userData, 'base64');
}

/** What is below openstack/content, by the names that meta_data.json has for it. */
export function injectedFiles(server: DesiredServer): Map<string, Buffer> {
  const files = (server.files ?? []).map(({ contents }) => Buffer.from(contents, 'base64'));
  return new Map(files.map((contents, at) => [String(at).padStart(4, '0'), contents]));
}

/** A directory of the EC2 format; `_name` replaces the key in a listing (public-keys lists `0=name`, with no slash). */
export interface Ec2Tree {
  [name: string]: string | Ec2Tree;
}

/** As Nova names them: letters in the order in which the guest sees its disks. */
function blockDevices({ hardware, localDisks = [], volumes = [] }: DesiredServer): Ec2Tree {
  const prefix = (hardware?.diskBus ?? 'virtio') === 'virtio' ? 'vd' : 'sd';
  const local = localDisks.map(({ name }, index) => [name, `/dev/${prefix}${'bcdefgh'[index]}`]);
  const others = volumes.filter(({ bootIndex }) => bootIndex !== 0).map(({ device }, index) => [`ebs${index}`, device]);
  return { ami: `${prefix}a`, root: `/dev/${prefix}a`, ...Object.fromEntries([...local, ...others]) };
}

export function ec2MetaData(server: DesiredServer): Ec2Tree {
  const firstIpv4 = server.ports.flatMap((port) => port.fixedIps).find((fixedIp) => fixedIp.ipVersion === 4);
  const tree: Ec2Tree = {
    'ami-id': server.image === null ? '' : ec2Id('ami', server.image.id),
    'ami-launch-index': String(server.launchIndex ?? 0),
    'ami-manifest-path': 'FIXME', // Nova's own value; cloud images know it
    'block-device-mapping': blockDevices(server),
    hostname: server.hostname,
    'instance-action': 'none',
    'instance-id': ec2Id('i', server.id),
    'local-hostname': server.hostname,
    'local-ipv4': firstIpv4?.ip ?? '',
    placement: { 'availability-zone': server.availabilityZone },
    'public-hostname': server.hostname,
    'public-ipv4': '',
    'reservation-id': server.reservationId ?? ec2Id('r', server.id),
  };
  if (server.flavorName !== undefined) tree['instance-type'] = server.flavorName;
  if (server.keys.length > 0) {
    tree['public-keys'] = Object.fromEntries(
      server.keys.map((key, index) => [String(index), { _name: `${index}=${key.name}`, 'openssh-key': key.publicKey }]),
    );
  }
  return tree;
}

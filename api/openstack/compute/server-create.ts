/** POST /servers: Nova's body at each microversion, read into the wish that the domain understands. */
import { type Static, type TSchema, Type } from 'typebox';
import { serverLimits } from '../../../contract/host/limits.ts';
import { type ImageId, parseId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { newAdminPassword, rootVolume, type ServerWish } from '../../../control/compute/server/index.ts';
import type { ServerPortRequest } from '../../../control/network/port/server-ports.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { blockDevice, oldBlockDevice, readBlockDevices } from './block-devices.ts';
import * as v from './validate.ts';

const optional = Type.Optional;
const network = (version: number) =>
  v.strict({
    fixed_ip: optional(v.ip),
    port: optional(Type.Union([v.uuid, Type.Null()])),
    uuid: optional(version >= 37 ? v.uuid : (Type.String() as typeof v.uuid)),
    tag: v.when((version >= 32 && version < 37) || version >= 42, v.tag),
  });

/** One server or several. */
const hintedServers = optional(Type.Union([v.uuid, Type.Array(v.uuid, { maxItems: serverLimits.hintedServers })]));

/** Others than these and ours are for filters that Nova's own default does not use; like there they bind nobody. */
const hints = optional(
  Type.Object(
    {
      ...{ group: optional(v.uuid), same_host: hintedServers, different_host: hintedServers },
      placement_policy: optional(Type.Enum(['spread', 'pack'])),
    },
    { additionalProperties: Type.Unknown(), title: 'Scheduler hints' },
  ),
);

function createSchema(version: number) {
  const list = Type.Array(network(version), { maxItems: serverLimits.ports });
  const since = <T extends TSchema>(from: number, schema: T) => v.when(version >= from, schema);
  return v.strict({
    server: v.strict({
      name: v.name,
      imageRef: optional(Type.Union([v.uuid, Type.Literal('')])),
      flavorRef: Type.Union([v.text(1, 255), Type.Integer()]),
      adminPass: optional(v.text(0, serverLimits.adminPasswordLength)),
      metadata: optional(v.metadata),
      networks:
        version >= 37 ? Type.Union([list, Type.Literal('auto'), Type.Literal('none')]) : (optional(list) as never),
      'OS-DCF:diskConfig': optional(v.diskConfig),
      accessIPv4: optional(v.ipv4),
      accessIPv6: optional(v.ipv6),
      personality: v.when(version < 57, Type.Array(v.injectedFile, { maxItems: serverLimits.files })),
      availability_zone: optional(v.name),
      block_device_mapping: optional(Type.Array(oldBlockDevice)),
      block_device_mapping_v2: optional(Type.Array(blockDevice(version))),
      config_drive: optional(v.boolean),
      key_name: optional(v.name),
      min_count: optional(v.integer(1)),
      max_count: optional(v.integer(1)),
      return_reservation_id: optional(v.boolean),
      security_groups: optional(Type.Array(v.strict({ name: optional(v.name) }))),
      user_data: optional(v.base64),
      description: since(19, v.description),
      tags: since(52, Type.Array(v.tag, { maxItems: 50 })),
      trusted_image_certificates: since(63, Type.Union([Type.Null(), Type.Array(v.text(1, 255), { maxItems: 50 })])),
      host: since(74, v.fqdn),
      hypervisor_hostname: since(74, v.fqdn),
      hostname: since(90, version >= 94 ? v.fqdn : v.hostname),
    }),
    'os:scheduler_hints': hints,
    'OS-SCH-HNT:scheduler_hints': hints,
  });
}

export type CreateBody = Static<ReturnType<typeof createSchema>>;

/** Each version in which the body changed (nova/api/openstack/compute/schemas/servers.py). */
const changes = [1, 19, 32, 33, 37, 42, 52, 57, 63, 67, 74, 90, 94];
export const created = v.since(changes, createSchema);

export interface CreateRequest {
  wish: ServerWish;
  /** The caller wants the reservation's id instead of the first server. */
  reservationOnly: boolean;
  /** As given, for the answer. */
  securityGroups: { name: string }[] | undefined;
}

/** More servers at once than any quota's default; a bound on one transaction. */
const maxCount = serverLimits.perRequest;

/** @throws CloudError `invalid` */
export function readCreate(microversion: number, { server, ...hints }: CreateBody): CreateRequest {
  const minCount = Number(server.min_count ?? 1);
  const count = Number(server.max_count ?? minCount);
  if (minCount > count) throw new Refusal('invalid', 'min_count must be <= max_count');
  if (count > maxCount) throw new Refusal('invalid', `max_count must be <= ${maxCount}`);
  refuseUnsupported(server);
  const zone = readZone(server);
  const { bootImage, ...disks } = readBlockDevices(server);
  const networks = server.networks as CreateBody['server']['networks'] | undefined;
  const name = server.name.trim();
  return {
    wish: {
      name,
      description: microversion >= 19 ? (server.description ?? null) : name,
      hostname: server.hostname ?? null,
      flavor: lastSegment(String(server.flavorRef)),
      imageId: rootVolume(disks.volumes) ? null : readImage(server, bootImage),
      ...disks,
      ports: Array.isArray(networks) ? readNetworks(networks) : [],
      automatic: typeof networks === 'string' ? networks : null,
      securityGroups: [...new Set((server.security_groups ?? []).flatMap((group) => group.name ?? []))],
      keyName: server.key_name ?? null,
      userData: server.user_data ?? null,
      files: server.personality ?? [],
      configDrive: server.config_drive !== undefined && v.toBoolean(server.config_drive),
      adminPassword: server.adminPass === undefined ? newAdminPassword() : new Secret(server.adminPass),
      metadata: server.metadata ?? {},
      tags: server.tags ?? [],
      ...zone,
      serverGroup: groupOf(hints),
      sameHost: idsOf(hintsOf(hints)?.same_host),
      differentHost: idsOf(hintsOf(hints)?.different_host),
      placementPolicy: hintsOf(hints)?.placement_policy ?? null,
      minCount,
      maxCount: count,
      diskConfig: server['OS-DCF:diskConfig'] ?? 'MANUAL',
      accessIpv4: server.accessIPv4 ?? null,
      accessIpv6: server.accessIPv6 ?? null,
    },
    reservationOnly: server.return_reservation_id !== undefined && v.toBoolean(server.return_reservation_id),
    securityGroups: server.security_groups?.flatMap(({ name }) => (name === undefined ? [] : { name })),
  };
}

/** Nova reads the older name last. */
const hintsOf = (hints: Omit<CreateBody, 'server'>) =>
  hints['OS-SCH-HNT:scheduler_hints'] ?? hints['os:scheduler_hints'];

function groupOf(hints: Omit<CreateBody, 'server'>): string | null {
  const group = hintsOf(hints)?.group;
  return group === undefined ? null : parseId(group)!;
}

const idsOf = (given: string | string[] | undefined): string[] => [
  ...new Set([given ?? []].flat().map((id) => parseId(id)!)),
];

/** Old clients send a flavor's URL. */
const lastSegment = (ref: string): string => (/^https?:\/\//.test(ref) ? (ref.split('/').at(-1) ?? ref) : ref);

const notHere = (what: string): never => {
  throw new Refusal('invalid', `${what} is not in this release of Bothy`);
};

function refuseUnsupported(server: CreateBody['server']): void {
  if (server.trusted_image_certificates && server.trusted_image_certificates.length > 0) {
    notHere('trusted_image_certificates');
  }
}

function readImage(server: CreateBody['server'], inMapping: string | undefined): ImageId {
  const ref = server.imageRef || inMapping;
  if (!ref) throw new Refusal('invalid', 'Missing imageRef attribute');
  const id = parseId<ImageId>(ref);
  if (!id) throw new Refusal('invalid', 'Can not find requested image');
  if (inMapping && parseId(inMapping) !== id) {
    throw new Refusal('invalid', 'The image of block_device_mapping_v2 is not the imageRef');
  }
  return id;
}

function readNetworks(
  networks: { fixed_ip?: string; port?: string | null; uuid?: string; tag?: string }[],
): ServerPortRequest[] {
  return networks.map((network) => {
    const tag = network.tag === undefined ? {} : { tag: network.tag };
    if (network.port) {
      if (network.fixed_ip) {
        throw new Refusal(
          'invalid',
          `Specified Fixed IP '${network.fixed_ip}' cannot be used with port '${network.port}': the two cannot be specified together.`,
        );
      }
      return { portId: parseId(network.port)!, ...tag };
    }
    if (network.uuid === undefined) {
      throw new Refusal('invalid', 'Bad networks format: network uuid is not in proper format (None)');
    }
    const networkId = parseId(network.uuid);
    if (!networkId) {
      throw new Refusal(
        'invalid',
        `Bad networks format: network uuid is not in proper format (${network.uuid.slice(0, 50)})`,
      );
    }
    return { networkId, ...(network.fixed_ip !== undefined && { fixedIp: network.fixed_ip }), ...tag };
  });
}

/** zone, zone:host, zone:host:node or ::node, and from 2.74 on host and hypervisor_hostname; a host has one node here. */
function readZone(server: CreateBody['server']): { availabilityZone: string | null; requestedHost: string | null } {
  const [zone = '', host = '', node = '', ...more] = (server.availability_zone ?? '').split(':');
  if (more.length > 0) {
    throw new Refusal('invalid', `Invalid availability zone format: ${server.availability_zone}`);
  }
  const asked = [host, node, server.host ?? '', server.hypervisor_hostname ?? ''].filter((name) => name !== '');
  if ((host !== '' || node !== '') && (server.host !== undefined || server.hypervisor_hostname !== undefined)) {
    throw new Refusal(
      'invalid',
      'One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually exclusive.',
    );
  }
  if (new Set(asked).size > 1) throw new Refusal('invalid', `Compute host ${asked[0]} has no node ${asked[1]}.`);
  return { availabilityZone: zone === '' ? null : zone, requestedHost: asked[0] ?? null };
}

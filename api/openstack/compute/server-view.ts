/** A server as Nova shows it, at each microversion. Pure: row and interfaces in, JSON out. */
import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import {
  type ListedServer,
  powerState,
  type ServerInterface,
  serverStatus,
  taskState,
  vmState,
} from '../../../control/compute/server/index.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import { linksOf, rootOf } from './paging.ts';

export type Body = Record<string, unknown>;

/** Seconds, as Nova's isotime. */
export const isoSeconds = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;
/** Microseconds without a zone, as Nova's older fields have it. */
export const plainTime = (date: Date | null): string | null => (date ? `${date.toISOString().slice(0, -1)}000` : null);

/** Tells a project's servers on one host together without naming the host. */
export const hostIdOf = (hostName: string | null, projectId: string): string =>
  hostName === null ? '' : hash('sha224', `${projectId}${hostName}`);

export function briefServer(request: FastifyRequest, server: Pick<ListedServer, 'id' | 'name'>): Body {
  return { id: server.id, name: server.name, links: linksOf(request, 'servers', server.id) };
}

export interface ViewOptions {
  caller: Caller;
  /** PUT before 2.75 answered much less than GET. */
  brief?: boolean;
  /** GET of one server and PUT; never in lists. */
  one?: boolean;
  userData?: string | null;
}

const inProgress: ReadonlySet<string> = new Set(['ACTIVE', 'BUILD']);

export function serverBody(
  request: FastifyRequest,
  server: ListedServer,
  interfaces: readonly ServerInterface[],
  options: ViewOptions,
): Body {
  const version = request.microversion;
  const deleted = server.deleted_at !== null;
  const status = serverStatus(server, deleted);
  const vm = vmState(server, deleted);
  const brief = options.brief ?? false;
  const body: Body = {
    id: server.id,
    name: server.name,
    status,
    tenant_id: server.project_id,
    user_id: server.user_id,
    metadata: server.metadata,
    hostId: hostIdOf(server.host_name, server.project_id),
    image: imageBody(request, server),
    flavor: flavorBody(request, server),
    created: isoSeconds(server.created_at),
    updated: isoSeconds(server.deleted_at ?? server.updated_at),
    addresses: vm === 'building' ? {} : addressesBody(interfaces, { extended: !brief }),
    accessIPv4: server.access_ipv4 ?? '',
    accessIPv6: server.access_ipv6 ?? '',
    links: linksOf(request, 'servers', server.id),
    'OS-DCF:diskConfig': server.disk_config,
  };
  if (inProgress.has(status)) body.progress = status === 'ACTIVE' ? 100 : 0;
  if (server.fault && (status === 'ERROR' || deleted)) body.fault = faultBody(server, options.caller);
  if (!brief) addExtensions(body, request, server, interfaces, options);
  if (version >= 9) body.locked = server.locked;
  if (version >= 19) body.description = server.description;
  if (version >= 26) body.tags = server.tags;
  if (version >= 63) body.trusted_image_certificates = null;
  if (version >= 71 && options.one)
    body.server_groups = server.server_group_id === null ? [] : [server.server_group_id];
  if (version >= 73) body.locked_reason = server.locked_reason;
  if (version >= 96 && !brief) body.pinned_availability_zone = server.availability_zone;
  return body;
}

function addExtensions(
  body: Body,
  request: FastifyRequest,
  server: ListedServer,
  interfaces: readonly ServerInterface[],
  options: ViewOptions,
): void {
  const version = request.microversion;
  const deleted = server.deleted_at !== null;
  body['OS-EXT-AZ:availability_zone'] = server.host_zone ?? server.availability_zone ?? '';
  body.config_drive = server.config_drive ? 'True' : '';
  body.key_name = server.key_name;
  body['OS-SRV-USG:launched_at'] = plainTime(server.launched_at);
  body['OS-SRV-USG:terminated_at'] = plainTime(server.deleted_at);
  body['OS-EXT-STS:task_state'] = taskState(server, deleted);
  body['OS-EXT-STS:vm_state'] = vmState(server, deleted);
  body['OS-EXT-STS:power_state'] = powerState(server);
  body['os-extended-volumes:volumes_attached'] = server.volumes.map(
    ({ volume_id: id, delete_on_termination: goes }) => ({
      ...{ id, ...(version >= 3 && { delete_on_termination: goes }) },
    }),
  );
  const groups = new Set(interfaces.flatMap((port) => port.securityGroups.map((group) => group.name)));
  if (groups.size > 0) body.security_groups = [...groups].map((name) => ({ name }));
  if (isAdmin(options.caller)) {
    body['OS-EXT-SRV-ATTR:host'] = server.host_name;
    body['OS-EXT-SRV-ATTR:hypervisor_hostname'] = server.host_name;
    body['OS-EXT-SRV-ATTR:instance_name'] = `instance-${server.id}`;
    if (version >= 3) {
      body['OS-EXT-SRV-ATTR:hostname'] = server.hostname;
      body['OS-EXT-SRV-ATTR:kernel_id'] = '';
      body['OS-EXT-SRV-ATTR:ramdisk_id'] = '';
      body['OS-EXT-SRV-ATTR:launch_index'] = server.launch_index;
      body['OS-EXT-SRV-ATTR:reservation_id'] = server.reservation_id;
      body['OS-EXT-SRV-ATTR:root_device_name'] = '/dev/vda';
      body['OS-EXT-SRV-ATTR:user_data'] = options.userData ?? null;
    }
    if (version >= 16) body.host_status = hostStatus(server);
  } else if (version >= 90) {
    body['OS-EXT-SRV-ATTR:hostname'] = server.hostname;
  }
}

function hostStatus(server: ListedServer): string {
  // Also of one that is gone, whose host has gone as well.
  if (server.host_id === null || server.host_connected === null) return '';
  if (server.host_forced_down) return 'DOWN';
  if (!server.host_enabled) return 'MAINTENANCE';
  // One that is silent may be up.
  return server.host_connected ? 'UP' : 'UNKNOWN';
}

function imageBody(request: FastifyRequest, server: ListedServer): unknown {
  if (server.image_id === null) return '';
  return { id: server.image_id, links: [{ rel: 'bookmark', href: `${rootOf(request)}/images/${server.image_id}` }] };
}

function flavorBody(request: FastifyRequest, server: ListedServer): Body {
  const { flavor } = server;
  if (request.microversion < 47) {
    const href = `${rootOf(request)}/flavors/${encodeURIComponent(flavor.id)}`;
    return { id: flavor.id, links: [{ rel: 'bookmark', href }] };
  }
  return {
    vcpus: flavor.vcpus,
    ram: flavor.memory_mib,
    disk: flavor.disk_gib,
    ephemeral: flavor.ephemeral_gib,
    swap: flavor.swap_mib,
    original_name: flavor.name,
    extra_specs: flavor.extra_specs,
  };
}

/** Nova's well-known sentence, then what it never says: why, and what would help. */
function faultSentence({ reason, message }: NonNullable<ListedServer['fault']>): string {
  const known = 'No valid host was found.';
  // Faults of before this was ours to say have it in the row.
  return reason !== 'no_capacity' || message.startsWith(known) ? message : `${known} ${message}`;
}

function faultBody(server: ListedServer, caller: Caller): Body {
  const fault = server.fault!;
  return {
    code: 500,
    created: isoSeconds(new Date(fault.at)),
    message: faultSentence(fault),
    ...(fault.details !== undefined && isAdmin(caller) && { details: fault.details }),
  };
}

export function addressesBody(
  interfaces: readonly ServerInterface[],
  options: { extended: boolean },
): Record<string, Body[]> {
  const networks: Record<string, Body[]> = Object.create(null);
  for (const port of interfaces) {
    const list = networks[port.networkName] ?? [];
    networks[port.networkName] = list;
    for (const { ip, version, type } of port.addresses) {
      const address: Body = { version, addr: ip };
      if (options.extended) {
        address['OS-EXT-IPS:type'] = type;
        address['OS-EXT-IPS-MAC:mac_addr'] = port.mac;
      }
      list.push(address);
    }
  }
  return networks;
}

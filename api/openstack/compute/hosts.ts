/** Hosts as Nova shows them: availability zones, hypervisors and services. */
import type { FastifyRequest } from 'fastify';
import type { HostLoad } from '../../../contract/host/index.ts';
import { parseId } from '../../../contract/ids.ts';
import type { Hypervisor, HypervisorService } from '../../../control/compute/hypervisor/index.ts';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { unsupported } from './faults.ts';
import type { OldServiceChange, ServiceChange } from './host-contracts.ts';
import * as c from './host-contracts.ts';
import { first, nextLinks, pageOf, queryOf, refuseUnknown } from './paging.ts';
import { type Body, plainTime } from './server-view.ts';
import * as v from './validate.ts';

const param = (request: FastifyRequest, key: string): string => (request.params as Record<string, string>)[key]!;

export function zoneRoutes(app: Boundary, service: HypervisorService): void {
  app.get('/os-availability-zone', c.zones, async () => ({
    availabilityZoneInfo: (await service.zones()).map(({ name, available }) => ({
      zoneName: name,
      zoneState: { available },
      hosts: null,
    })),
  }));
  app.get('/os-availability-zone/detail', c.zonesDetail, async (request) => {
    const hosts = await service.hosts(callerOf(request));
    const zones = await service.zones();
    const shown = zones.map(({ name, available }) => ({
      zoneName: name,
      zoneState: { available },
      hosts: Object.fromEntries(
        hosts.filter((host) => host.availability_zone === name).map((host) => [host.name, zoneHost(host)]),
      ),
    }));
    return { availabilityZoneInfo: [internalZone, ...shown] };
  });
}

/** Where Nova's own services are, for administrators; callers expect it. Control's processes are no machines of a zone. */
const internalZone = { zoneName: 'internal', zoneState: { available: true }, hosts: {} };

const zoneHost = (host: Hypervisor): Body => ({
  'nova-compute': { available: host.up, active: host.enabled, updated_at: plainTime(host.last_seen_at) },
});

/** Callers before 2.53 know hosts by small numbers. */
const idOf = (request: FastifyRequest, host: Hypervisor): string | number =>
  request.microversion >= 53 ? host.id : host.number;

function hypervisorBody(request: FastifyRequest, host: Hypervisor, detail: boolean): Body {
  const version = request.microversion;
  const body: Body = {
    id: idOf(request, host),
    hypervisor_hostname: host.name,
    state: host.up ? 'up' : 'down',
    status: host.enabled ? 'enabled' : 'disabled',
  };
  if (!detail) return body;
  Object.assign(body, {
    hypervisor_type: 'QEMU',
    hypervisor_version: versionNumber(host.facts.qemuVersion),
    host_ip: hostAddress(host.facts.url),
    service: { id: idOf(request, host), host: host.name, disabled_reason: host.disabled_reason },
  });
  if (version >= 88) return { ...body, uptime: uptimeOf(host) };
  const cpu = {
    arch: host.facts.architecture ?? '',
    topology: { cores: host.facts.cpus ?? 0, sockets: 1, threads: 1 },
  };
  return { ...body, ...usage(host), cpu_info: version >= 28 ? cpu : JSON.stringify(cpu) };
}

/** The machine as it is, as Nova tells it: what placement makes more (CPUs) or less (memory) of it shows nowhere or as used. */
const usage = (host: Hypervisor) => ({
  vcpus: host.facts.cpus ?? 0,
  memory_mb: host.facts.memoryMiB ?? 0,
  local_gb: host.disk_gib,
  vcpus_used: host.used_vcpus,
  memory_mb_used: (host.facts.memoryMiB ?? host.memory_mib) - host.memory_mib + host.used_memory_mib,
  local_gb_used: host.used_disk_gib,
  free_ram_mb: host.memory_mib - host.used_memory_mib,
  free_disk_gb: host.disk_gib - host.used_disk_gib,
  current_workload: host.building,
  running_vms: host.servers,
  disk_available_least: host.disk_gib - host.used_disk_gib,
});

/** As the program of that name says it, which clients take apart; less users and load where the machine was not asked, or did not say. */
function uptimeOf({ up, facts }: Hypervisor, load: HostLoad | null = null): string | null {
  if (!up || facts.bootedAt === undefined) return null;
  const now = new Date();
  const minutes = Math.max(0, Math.floor((now.getTime() - Date.parse(facts.bootedAt)) / 60_000));
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  const time = hours > 0 ? `${String(hours).padStart(2)}:${String(rest).padStart(2, '0')}` : `${rest} min`;
  const since = days === 0 ? '' : `${days} day${days === 1 ? '' : 's'}, `;
  const averages = load?.averages.map((hundredths) => (hundredths / 100).toFixed(2)).join(', ');
  const users = load && `,  ${load.users} user${load.users === 1 ? '' : 's'},  load average: ${averages}`;
  return ` ${now.toISOString().slice(11, 19)} up ${since}${time}${users ?? ''}`;
}

/** 7.2.5 is 7002005, as libvirt counts. */
function versionNumber(text: string | undefined): number {
  const [major = 0, minor = 0, patch = 0] = (/\d+(\.\d+)*/.exec(text ?? '')?.[0] ?? '').split('.').map(Number);
  return major * 1_000_000 + minor * 1000 + patch;
}

/** Of where other machines reach it. */
export function hostAddress(url: string | null | undefined): string | null {
  try {
    return new URL(url ?? '').hostname.replace(/^\[(.*)\]$/, '$1');
  } catch {
    return null;
  }
}

async function hypervisors(request: FastifyRequest, service: HypervisorService, detail: boolean): Promise<Body> {
  const caller = callerOf(request);
  requireAdmin(caller, 'list hypervisors');
  const version = request.microversion;
  const query = queryOf(request);
  const paged = version >= 33;
  refuseUnknown(request, ['limit', 'marker', 'hypervisor_hostname_pattern', 'with_servers'], 53);
  const { limit, marker } = paged ? pageOf(query) : { limit: undefined, marker: undefined };
  const pattern = version >= 53 ? first(query, 'hypervisor_hostname_pattern') : undefined;
  if (pattern !== undefined && (query.limit !== undefined || marker !== undefined)) {
    throw new Refusal(
      'invalid',
      'Paging over hypervisors with the hypervisor_hostname_pattern query parameter is not supported.',
    );
  }
  const after = marker === undefined ? undefined : await markerOf(request, service, marker);
  let rows = await service.hosts(caller, {
    ...(limit !== undefined && pattern === undefined && { limit }),
    ...(after !== undefined && { marker: after }),
  });
  if (pattern !== undefined) {
    rows = rows.filter((host) => host.name.includes(pattern));
    if (rows.length === 0) throw new Refusal('not_found', `No hypervisor matching '${pattern}' could be found.`);
  }
  const withServers = version >= 53 && v.looseBoolean(first(query, 'with_servers') ?? 'false');
  const bodies = rows.map((host) => hypervisorBody(request, host, detail));
  if (withServers) await addServers(request, service, rows, bodies);
  const body: Body = { hypervisors: bodies };
  const links =
    limit && pattern === undefined
      ? nextLinks(request, detail ? 'os-hypervisors/detail' : 'os-hypervisors', {
          limit,
          count: rows.length,
          last: rows.at(-1) && String(idOf(request, rows.at(-1)!)),
        })
      : undefined;
  if (links) body.hypervisors_links = links;
  return body;
}

async function markerOf(request: FastifyRequest, service: HypervisorService, marker: string): Promise<string> {
  const all = await service.hosts(callerOf(request));
  const host = all.find((one) => String(idOf(request, one)) === marker);
  if (!host) throw new Refusal('invalid', `marker [${marker.slice(0, 100)}] not found`);
  return host.id;
}

async function addServers(
  request: FastifyRequest,
  service: HypervisorService,
  rows: Hypervisor[],
  bodies: Body[],
): Promise<void> {
  const byHost = await service.servers(
    callerOf(request),
    rows.map((host) => host.id),
  );
  for (const [index, host] of rows.entries()) {
    const servers = (byHost.get(host.id) ?? []).map(({ id, name }) => ({ uuid: id, name }));
    if (servers.length > 0 || request.microversion >= 75) bodies[index]!.servers = servers;
  }
}

/** The host that a path names in the way of its microversion. */
async function hostOf(request: FastifyRequest, service: HypervisorService, text: string): Promise<Hypervisor> {
  const caller = callerOf(request);
  requireAdmin(caller, 'show a hypervisor');
  if (request.microversion >= 53) {
    const id = parseId(text);
    if (!id) throw new Refusal('invalid', `Invalid uuid ${text.slice(0, 100)}`);
    return service.host(caller, id);
  }
  const host = (await service.hosts(caller)).find((one) => String(one.number) === text);
  if (!host) throw new Refusal('not_found', `Hypervisor with ID '${text.slice(0, 100)}' could not be found.`);
  return host;
}

export function hypervisorRoutes(app: Boundary, service: HypervisorService): void {
  app.get('/os-hypervisors', c.hypervisors, (request) => hypervisors(request, service, false));
  app.get('/os-hypervisors/detail', c.hypervisorsDetail, (request) => hypervisors(request, service, true));
  app.get('/os-hypervisors/statistics', c.statistics, async (request) => {
    const sums: Record<string, number> = { count: 0 };
    for (const host of await service.hosts(callerOf(request))) {
      sums.count! += 1;
      for (const [key, value] of Object.entries(usage(host))) sums[key] = (sums[key] ?? 0) + value;
    }
    return { hypervisor_statistics: sums };
  });
  app.get('/os-hypervisors/:id', c.hypervisor, async (request) => {
    const host = await hostOf(request, service, param(request, 'id'));
    const body = hypervisorBody(request, host, true);
    if (request.microversion >= 88) body.uptime = uptimeOf(host, await service.load(callerOf(request), host));
    const withServers =
      request.microversion >= 53 && v.looseBoolean(first(queryOf(request), 'with_servers') ?? 'false');
    if (withServers) await addServers(request, service, [host], [body]);
    return { hypervisor: body };
  });
  app.get('/os-hypervisors/:id/uptime', c.uptime, async (request, reply) => {
    const host = await hostOf(request, service, param(request, 'id'));
    const uptime = uptimeOf(host, await service.load(callerOf(request), host));
    if (uptime !== null) return { hypervisor: { ...hypervisorBody(request, host, false), uptime } };
    // A host of before it said so: clients know that there are hypervisors without, and go on.
    if (host.up) return unsupported(reply);
    throw new Refusal('invalid', `Compute service of ${host.name} is unavailable at this time.`);
  });
  for (const what of ['search', 'servers'] as const) {
    app.get(`/os-hypervisors/:id/${what}`, c.matching, async (request) => {
      const pattern = param(request, 'id');
      const all = await service.hosts(callerOf(request));
      const rows = all.filter((host) => host.name.includes(pattern));
      if (rows.length === 0)
        throw new Refusal('not_found', `No hypervisor matching '${pattern.slice(0, 100)}' could be found.`);
      const bodies = rows.map((host) => hypervisorBody(request, host, false));
      if (what === 'servers') await addServers(request, service, rows, bodies);
      return { hypervisors: bodies };
    });
  }
}

function serviceBody(request: FastifyRequest, host: Hypervisor): Body {
  return {
    id: idOf(request, host),
    binary: 'nova-compute',
    host: host.name,
    zone: host.availability_zone,
    status: host.enabled ? 'enabled' : 'disabled',
    state: host.up ? 'up' : 'down',
    updated_at: plainTime(host.last_seen_at),
    disabled_reason: host.disabled_reason,
    ...(request.microversion >= 11 && { forced_down: host.forced_down }),
  };
}

export function serviceRoutes(app: Boundary, service: HypervisorService): void {
  app.get('/os-services', c.services, async (request) => {
    refuseUnknown(request, ['host', 'binary']);
    const query = queryOf(request);
    const [host, binary] = [first(query, 'host'), first(query, 'binary')];
    const rows = await service.hosts(callerOf(request));
    const shown = rows.filter((row) => (!host || row.name === host) && (!binary || binary === 'nova-compute'));
    return { services: shown.map((row) => serviceBody(request, row)) };
  });
  app.put('/os-services/:id', c.setService, async (request) => {
    const caller = callerOf(request);
    requireAdmin(caller, 'change a service');
    const id = param(request, 'id');
    if (request.microversion < 53) return oldService(request, service, id);
    const wanted = request.body as ServiceChange;
    if (wanted.disabled_reason !== undefined && wanted.status !== 'disabled') {
      throw new Refusal('invalid', "Specifying disabled_reason requires that status is 'disabled'.");
    }
    if (wanted.status === undefined && wanted.forced_down === undefined)
      throw new Refusal('invalid', 'No updates were requested. Fields status or forced_down should be specified.');
    const host = await hostOf(request, service, id);
    await service.say(caller, host.id, {
      ...(wanted.status !== undefined && {
        open: { enabled: wanted.status === 'enabled', reason: wanted.disabled_reason ?? null },
      }),
      ...(wanted.forced_down !== undefined && { forcedDown: v.toBoolean(wanted.forced_down) }),
    });
    return { service: serviceBody(request, await service.host(caller, host.id)) };
  });
  app.delete('/os-services/:id', c.removeService, async (request, reply) => {
    const id = param(request, 'id');
    if (request.microversion < 53 && !/^-?\d{1,20}$/.test(id)) {
      throw new Refusal('invalid', `id '${id.slice(0, 100)}' is no integer`);
    }
    await service.remove(callerOf(request), (await hostOf(request, service, id)).id);
    return reply.code(204).send();
  });
}

/** PUT /os-services/enable, disable, disable-log-reason and, from 2.11 on, force-down. */
async function oldService(request: FastifyRequest, service: HypervisorService, verb: string): Promise<Body> {
  const verbs = ['enable', 'disable', 'disable-log-reason', ...(request.microversion >= 11 ? ['force-down'] : [])];
  if (!verbs.includes(verb)) throw new Refusal('not_found', 'Unknown action');
  const caller = callerOf(request);
  const { host: name, binary, ...wanted } = request.body as OldServiceChange;
  if (verb === 'disable-log-reason' && wanted.disabled_reason === undefined) {
    throw new Refusal('invalid', 'Missing disabled reason field');
  }
  if (verb === 'force-down' && wanted.forced_down === undefined) {
    throw new Refusal('invalid', 'Missing forced_down field');
  }
  if (binary !== 'nova-compute') {
    throw new Refusal(
      'invalid',
      `Updating a ${binary} service is not supported. Only nova-compute services can be updated.`,
    );
  }
  const host = (await service.hosts(caller)).find((row) => row.name === name);
  if (!host) throw new Refusal('not_found', `Could not find binary ${binary} on host ${name}.`);
  if (verb === 'force-down') {
    const forcedDown = v.toBoolean(wanted.forced_down!);
    await service.say(caller, host.id, { forcedDown });
    return { service: { host: host.name, binary, forced_down: forcedDown } };
  }
  const enabled = verb === 'enable';
  const reason = verb === 'disable-log-reason' ? wanted.disabled_reason! : null;
  await service.say(caller, host.id, { open: { enabled, reason } });
  return {
    service: {
      ...{ host: host.name, binary, status: enabled ? 'enabled' : 'disabled' },
      ...(reason !== null && { disabled_reason: reason }),
    },
  };
}

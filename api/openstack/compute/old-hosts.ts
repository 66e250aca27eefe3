/**
 * /os-hosts, which Nova dropped with 2.43: hosts as /os-services and /os-hypervisors tell them since. Like Nova's libvirt driver they
 * know neither maintenance nor power.
 */
import { Type } from 'typebox';
import type { Hypervisor, HypervisorService } from '../../../control/compute/hypervisor/index.ts';
import { type Caller, requireAdmin } from '../../../control/kit/caller.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { unsupported } from './faults.ts';
import { first, queryOf } from './paging.ts';

const resource = a.record({
  resource: a.record({ host: a.text, project: a.text, cpu: a.integer, memory_mb: a.integer, disk_gb: a.integer }),
});
const verb = Type.Enum(['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE']);
const change = Type.Object(
  { status: Type.Optional(verb), maintenance_mode: Type.Optional(verb) },
  { additionalProperties: false, minProperties: 1 },
);
const old = { rights: 'admin', versions: { to: 42 } } as const;
const contracts = {
  list: {
    ...{ summary: 'List hosts', ...old, query: a.query('zone') },
    answers: { 200: a.record({ hosts: a.list({ host_name: a.text, service: a.text, zone: a.text }) }) },
  },
  show: {
    summary: 'Show what a host has and carries',
    ...old,
    answers: { 200: a.record({ host: a.listOf(resource) }) },
  },
  update: {
    ...{ summary: 'Open or close a host', ...old, body: change },
    later: true,
    answers: { 200: a.record({ host: a.text, status: a.one('enabled', 'disabled') }) },
  },
  power: { summary: 'Start, stop or reboot a host', ...old, answers: {}, later: true },
} as const;

export function oldHostRoutes(app: Boundary, hypervisors: HypervisorService): void {
  app.get('/os-hosts', contracts.list, async (request) => {
    const zone = first(queryOf(request), 'zone');
    const rows = await hypervisors.hosts(callerOf(request));
    const shown = rows.filter((host) => host.enabled && (!zone || host.availability_zone === zone));
    return { hosts: shown.map((host) => ({ host_name: host.name, service: 'compute', zone: host.availability_zone })) };
  });
  app.get('/os-hosts/:name', contracts.show, async (request) => {
    const host = await named(hypervisors, callerOf(request), request.params.name);
    const projects = await hypervisors.projects(callerOf(request), host.id);
    const sum = (key: 'vcpus' | 'memory_mib' | 'disk_gib') => projects.reduce((total, row) => total + row[key], 0);
    const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({
      resource: { host: host.name, project, cpu, memory_mb, disk_gb },
    });
    return {
      host: [
        line('(total)', host.facts.cpus ?? 0, host.facts.memoryMiB ?? 0, host.disk_gib),
        line('(used_now)', host.used_vcpus, host.used_memory_mib, host.used_disk_gib),
        line('(used_max)', sum('vcpus'), sum('memory_mib'), sum('disk_gib')),
        ...projects.map((row) => line(row.project_id, row.vcpus, row.memory_mib, row.disk_gib)),
      ],
    };
  });
  app.put('/os-hosts/:name', contracts.update, async (request, reply) => {
    const caller = callerOf(request);
    const host = await named(hypervisors, caller, request.params.name);
    const { status, maintenance_mode } = request.body;
    // Before anything is done: the whole request or nothing.
    if (maintenance_mode !== undefined || status === undefined) return unsupported(reply);
    const enabled = status.toLowerCase() === 'enable';
    await hypervisors.say(caller, host.id, { open: { enabled, reason: null } });
    return { host: host.name, status: enabled ? 'enabled' : 'disabled' };
  });
  for (const act of ['startup', 'shutdown', 'reboot'] as const) {
    app.get(`/os-hosts/:name/${act}`, contracts.power, async (request, reply) => {
      await named(hypervisors, callerOf(request), request.params.name);
      return unsupported(reply);
    });
  }
}

async function named(hypervisors: HypervisorService, caller: Caller, name: string): Promise<Hypervisor> {
  requireAdmin(caller, 'show a host');
  const host = (await hypervisors.hosts(caller)).find((row) => row.name === name);
  if (!host) throw notFound('host', name.slice(0, 255));
  return host;
}

/** What the routes of hosts take and answer: availability zones, hypervisors and services. */
import { type Static, type TSchema, Type } from 'typebox';
import { Versions } from '../../boundary/contract.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';

const zone = { zoneName: a.text, zoneState: a.record({ available: a.boolean }) };
const zoneHost = a.record({ available: a.boolean, active: a.boolean, updated_at: a.orNull(a.text) });

export const zones = {
  summary: 'List availability zones',
  rights: 'caller',
  answers: { 200: a.record({ availabilityZoneInfo: a.list({ ...zone, hosts: Type.Null() }) }) },
} as const;
export const zonesDetail = {
  summary: 'List availability zones and their hosts',
  rights: 'admin',
  answers: { 200: a.record({ availabilityZoneInfo: a.list({ ...zone, hosts: a.byName(a.byName(zoneHost)) }) }) },
} as const;

/** Callers before 2.53 know hosts by small numbers. */
const id = Type.Union([a.integer, a.text]);
const brief = {
  id,
  hypervisor_hostname: a.text,
  state: a.one('up', 'down'),
  status: a.one('enabled', 'disabled'),
  servers: a.some(a.list({ uuid: a.id, name: a.text })),
};
const whole = {
  ...brief,
  hypervisor_type: a.text,
  hypervisor_version: a.integer,
  host_ip: a.orNull(a.text),
  service: a.record({ id, host: a.text, disabled_reason: a.orNull(a.text) }),
  uptime: a.some(a.orNull(a.text)),
  cpu_info: a.some(Type.Union([a.text, a.byName(Type.Unknown())])),
};
const usage = [
  ...['vcpus', 'memory_mb', 'local_gb', 'vcpus_used', 'memory_mb_used', 'local_gb_used', 'free_ram_mb'],
  ...['free_disk_gb', 'current_workload', 'running_vms', 'disk_available_least'],
];
const shown = a.record({ ...whole, ...Object.fromEntries(usage.map((name) => [name, a.some(a.number)])) });
const listQuery = a.query('limit', 'marker', 'hypervisor_hostname_pattern', 'with_servers');
const links = a.some(a.links);

export const hypervisors = {
  summary: 'List hypervisors',
  rights: 'admin',
  query: listQuery,
  answers: { 200: a.record({ hypervisors: a.list(brief), hypervisors_links: links }) },
} as const;
export const hypervisorsDetail = {
  summary: 'List hypervisors in full',
  rights: 'admin',
  query: listQuery,
  answers: { 200: a.record({ hypervisors: Type.Array(shown), hypervisors_links: links }) },
} as const;
export const statistics = {
  summary: 'Sum up all hypervisors',
  rights: 'admin',
  versions: { to: 87 },
  answers: { 200: a.record({ hypervisor_statistics: a.byName(a.number) }) },
} as const;
export const hypervisor = {
  summary: 'Show a hypervisor',
  rights: 'admin',
  query: a.query('with_servers'),
  answers: { 200: a.record({ hypervisor: shown }) },
} as const;
export const uptime = {
  summary: 'Show the uptime of a hypervisor',
  rights: 'admin',
  versions: { to: 87 },
  answers: { 200: a.record({ hypervisor: a.record({ ...brief, uptime: a.text }) }) },
  later: true,
} as const;
export const matching = {
  summary: 'List hypervisors whose name has a text in it',
  rights: 'admin',
  versions: { to: 52 },
  answers: { 200: a.record({ hypervisors: a.list(brief) }) },
} as const;

const service = {
  id,
  binary: a.text,
  host: a.text,
  zone: a.text,
  status: a.one('enabled', 'disabled'),
  state: a.one('up', 'down'),
  updated_at: a.orNull(a.text),
  disabled_reason: a.orNull(a.text),
  forced_down: a.some(a.boolean),
};
const changed = {
  host: a.text,
  binary: a.text,
  status: a.some(a.one('enabled', 'disabled')),
  disabled_reason: a.some(a.text),
  forced_down: a.some(a.boolean),
};

export const services = {
  summary: 'List compute services',
  rights: 'admin',
  query: a.query('host', 'binary'),
  answers: { 200: a.record({ services: a.list(service) }) },
} as const;
const reason = Type.Refine(
  v.text(1, 255),
  (text) => text === text.trim(),
  () => 'has white space around it',
);
const serviceChange = v.strict({
  status: Type.Optional(Type.Enum(['enabled', 'disabled'])),
  disabled_reason: Type.Optional(reason),
  forced_down: Type.Optional(v.boolean),
});
export type ServiceChange = Static<typeof serviceChange>;
const firstServiceChange = {
  ...{ host: v.fqdn, binary: v.text(1, 255), disabled_reason: Type.Optional(reason) },
};
const oldServiceChange = v.strict({ ...firstServiceChange, forced_down: Type.Optional(v.boolean) });
export type OldServiceChange = Static<typeof oldServiceChange>;

/** Before 2.53 the path names a verb and the body the host. */
export const setService = {
  summary: 'Enable or disable a compute service, or say that it is down',
  rights: 'admin',
  body: new Versions<TSchema>({
    1: () => v.strict(firstServiceChange),
    11: () => oldServiceChange,
    53: () => serviceChange,
  }),
  answers: { 200: a.record({ service: Type.Union([a.record(service), a.record(changed)]) }) },
} as const;
export const removeService = {
  summary: 'Remove a host: not one that is up, nor one with servers, volumes or the last copy of an image',
  rights: 'admin',
  answers: { 204: null },
} as const;

/** What /servers takes and answers, at each microversion. */
import { type TSchema, Type } from 'typebox';
import * as a from './answers.ts';
import { created } from './server-create.ts';
import { listParameters } from './server-list.ts';
import * as v from './validate.ts';

type Members = Record<string, TSchema>;
const from = (known: boolean, members: Members): Members => (known ? members : {});

const address = (extended: boolean) =>
  a.listOf(
    a.record({
      version: a.one(4, 6),
      addr: a.text,
      ...from(extended, { 'OS-EXT-IPS:type': a.one('fixed', 'floating'), 'OS-EXT-IPS-MAC:mac_addr': a.text }),
    }),
  );
const flavor = (version: number) =>
  version < 47
    ? a.record({ id: a.text, links: a.links })
    : a.record({
        ...{ vcpus: a.integer, ram: a.integer, disk: a.integer, ephemeral: a.integer, swap: a.integer },
        ...{ original_name: a.text, extra_specs: a.textsByName },
      });
const fault = a.record({ code: a.integer, created: a.text, message: a.text, details: a.some(a.text) });

const extensions = (version: number): Members => ({
  ...{ 'OS-EXT-AZ:availability_zone': a.text, config_drive: a.one('True', ''), key_name: a.orNull(a.text) },
  ...{ 'OS-SRV-USG:launched_at': a.orNull(a.text), 'OS-SRV-USG:terminated_at': a.orNull(a.text) },
  ...{ 'OS-EXT-STS:task_state': a.orNull(a.text), 'OS-EXT-STS:vm_state': a.text },
  'OS-EXT-STS:power_state': a.integer,
  'os-extended-volumes:volumes_attached': a.list({
    id: a.id,
    ...from(version >= 3, { delete_on_termination: a.boolean }),
  }),
  security_groups: a.some(a.list({ name: a.text })),
  ...forAdministrators(version),
});

const forAdministrators = (version: number): Members => ({
  'OS-EXT-SRV-ATTR:host': a.some(a.orNull(a.text)),
  'OS-EXT-SRV-ATTR:hypervisor_hostname': a.some(a.orNull(a.text)),
  'OS-EXT-SRV-ATTR:instance_name': a.some(a.text),
  ...from(version >= 3, {
    'OS-EXT-SRV-ATTR:hostname': a.some(a.text),
    'OS-EXT-SRV-ATTR:kernel_id': a.some(a.text),
    'OS-EXT-SRV-ATTR:ramdisk_id': a.some(a.text),
    'OS-EXT-SRV-ATTR:launch_index': a.some(a.integer),
    'OS-EXT-SRV-ATTR:reservation_id': a.some(a.text),
    'OS-EXT-SRV-ATTR:root_device_name': a.some(a.orNull(a.text)),
    'OS-EXT-SRV-ATTR:user_data': a.some(a.orNull(a.text)),
  }),
  ...from(version >= 16, { host_status: a.some(a.text) }),
});

/** Versions in which the form of a server changed. */
const changes = [1, 3, 9, 16, 19, 26, 47, 63, 71, 73, 75, 96];

export interface ServerForm {
  /** PUT and rebuild before 2.75: less than GET. */
  brief?: boolean;
  /** Not in a list. */
  one?: boolean;
}

/** Of documents: the same title is the same form. */
const titleOf = (version: number, { brief = false, one = false }: ServerForm): string =>
  `${brief ? 'Brief server' : one && version >= 71 ? 'Server' : 'Listed server'} 2.${changes.findLast((start) => start <= version)}`;

/** @param more further members (rebuild's adminPass, user_data) */
export const shownServer = (version: number, form: ServerForm = {}, more: Members = {}) => {
  const { brief = false, one = false } = form;
  const title = Object.keys(more).length === 0 ? { title: titleOf(version, form) } : {};
  const members = {
    ...{
      id: a.id,
      name: a.text,
      status: a.text,
      tenant_id: a.id,
      user_id: a.id,
      metadata: a.textsByName,
      hostId: a.text,
    },
    image: Type.Union([a.record({ id: a.id, links: a.links }), Type.Literal('')]),
    flavor: flavor(version),
    ...{
      created: a.text,
      updated: a.text,
      addresses: a.byName(address(!brief)),
      accessIPv4: a.text,
      accessIPv6: a.text,
    },
    ...{
      links: a.links,
      'OS-DCF:diskConfig': a.one('AUTO', 'MANUAL'),
      progress: a.some(a.integer),
      fault: a.some(fault),
    },
    ...(brief ? {} : extensions(version)),
    ...from(version >= 9, { locked: a.boolean }),
    ...from(version >= 19, { description: a.orNull(a.text) }),
    ...from(version >= 26, { tags: a.texts }),
    ...from(version >= 63, { trusted_image_certificates: a.orNull(a.texts) }),
    ...from(version >= 71 && one, { server_groups: a.texts }),
    ...from(version >= 73, { locked_reason: a.orNull(a.text) }),
    ...from(version >= 96, { pinned_availability_zone: a.orNull(a.text) }),
    ...more,
  };
  return Type.Object(members, { additionalProperties: false, ...title });
};

const one = (options: { briefUntil?: number } = {}) =>
  v.since(changes, (version) =>
    a.record({ server: shownServer(version, { one: true, brief: version <= (options.briefUntil ?? 0) }) }),
  );

const updated = v.since([1, 19, 90, 94], (version) =>
  v.strict({
    server: v.strict({
      name: Type.Optional(v.name),
      'OS-DCF:diskConfig': Type.Optional(v.diskConfig),
      accessIPv4: Type.Optional(Type.Union([v.ipv4, Type.Literal('')])),
      accessIPv6: Type.Optional(Type.Union([v.ipv6, Type.Literal('')])),
      description: v.when(version >= 19, v.description),
      hostname: v.when(version >= 90, version >= 94 ? v.fqdn : v.hostname),
    }),
  }),
);

const firstOfSeveral = a.record({
  server: a.record({
    ...{ id: a.id, links: a.links, 'OS-DCF:diskConfig': a.one('AUTO', 'MANUAL') },
    security_groups: a.list({ name: a.text }),
    adminPass: a.text,
  }),
});
const query = a.query(...listParameters);

export const create = {
  summary: 'Create servers',
  rights: 'member',
  body: created,
  answers: { 202: Type.Union([firstOfSeveral, a.record({ reservation_id: a.text })]) },
} as const;
export const list = {
  summary: 'List servers',
  rights: 'reader',
  query,
  answers: {
    200: a.record({ servers: a.list({ id: a.id, name: a.text, links: a.links }), servers_links: a.some(a.links) }),
  },
} as const;
export const details = {
  summary: 'List servers in full',
  rights: 'reader',
  query,
  answers: {
    200: v.since(changes, (version) =>
      a.record({ servers: a.listOf(shownServer(version)), servers_links: a.some(a.links) }),
    ),
  },
} as const;
export const show = { summary: 'Show a server', rights: 'reader', answers: { 200: one() } } as const;
export const update = {
  summary: 'Change a server',
  rights: 'member',
  body: updated,
  answers: { 200: one({ briefUntil: 74 }) },
} as const;
export const remove = { summary: 'Delete a server', rights: 'member', answers: { 204: null } } as const;

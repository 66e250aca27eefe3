/**
 * /os-services, /os-hosts, /os-availability-zone: the pools of hosts as Cinder's volume services, `host@pool`. Opening and closing one is
 * real; what a service of Cinder's can do and a pool has nothing of is refused with the reason.
 */
import type { FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import type { BackendService, BackendState } from '../../../control/storage/backend/index.ts';
import { capabilitiesOf } from '../../../control/storage/pool/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const upDown = a.one('up', 'down');
const service = a.record({
  ...{ binary: a.text, host: a.text, zone: a.text, status: a.one('enabled', 'disabled'), state: upDown },
  ...{ updated_at: a.time, disabled_reason: a.orNull(a.text) },
  ...{ backend_state: a.some(upDown), cluster: a.some(Type.Null()) },
  ...{ replication_status: a.some(a.text), active_backend_id: a.some(Type.Null()), frozen: a.some(a.boolean) },
});
const named = {
  host: Type.Optional(v.hostName),
  binary: Type.Optional(v.text(1, 255)),
  service: Type.Optional(v.text(1, 255)),
  cluster: Type.Optional(v.nameOrNull),
};
const isNamed = <T extends { binary?: string; service?: string }>({ binary, service: old }: T): boolean =>
  binary !== undefined || old !== undefined;
const which = Type.Refine(v.strict(named), isNamed, () => 'neither binary nor service is named');
const whichAndWhy = Type.Refine(
  v.strict({ ...named, disabled_reason: Type.Optional(v.text(1, 255)) }),
  isNamed,
  () => 'neither binary nor service is named',
);
const changed = {
  ...{ host: a.text, service: a.text, binary: a.text, status: a.one('enabled', 'disabled'), disabled: a.boolean },
};
const ofHost = v.strict({ cluster: Type.Optional(v.nameOrNull), host: Type.Optional(v.hostName) });
const binaries = ['', '*', 'cinder-api', 'cinder-scheduler', 'cinder-volume', 'cinder-backup'] as const;
const ofLog = {
  binary: Type.Optional(Type.Enum([...binaries])),
  server: Type.Optional(v.nameOrNull),
  prefix: Type.Optional(v.nameOrNull),
};
const contracts = {
  list: {
    summary: 'List volume services',
    rights: 'admin',
    query: a.query('host', 'binary'),
    answers: { 200: a.record({ services: a.listOf(service) }) },
  },
  enable: { summary: 'Open a pool', rights: 'admin', body: which, answers: { 200: a.record(changed) } },
  disable: { summary: 'Close a pool', rights: 'admin', body: which, answers: { 200: a.record(changed) } },
  disableWhy: {
    summary: 'Close a pool, and say why',
    rights: 'admin',
    body: whichAndWhy,
    answers: { 200: a.record({ ...changed, disabled_reason: a.orNull(a.text) }) },
  },
  freeze: { summary: 'Freeze a pool', rights: 'admin', body: ofHost, answers: { 200: null } },
  thaw: { summary: 'Thaw a pool', rights: 'admin', body: ofHost, answers: { 200: null } },
  failover: {
    summary: 'Fail a pool over to its replica',
    rights: 'admin',
    body: v.strict({
      host: Type.Optional(v.hostName),
      backend_id: Type.Optional(v.nameOrNull),
      cluster: named.cluster,
    }),
    answers: {},
  },
  getLog: {
    summary: 'Show log levels',
    rights: 'admin',
    versions: { from: 32 },
    body: v.strict(ofLog),
    answers: {
      200: a.record({ log_levels: a.list({ host: a.text, binary: a.text, levels: a.textsByName }) }),
    },
  },
  setLog: {
    summary: 'Set log levels',
    rights: 'admin',
    versions: { from: 32 },
    body: v.strict({ ...ofLog, level: Type.Optional(Type.Union([v.text(0, 255), Type.Null()])) }),
    answers: {},
  },
} as const;

/** What there is one of for the whole cloud. */
const scheduler = { host: 'control', binary: 'cinder-scheduler' };
/** Cinder's word for what was closed by freezing it. */
const frozen = 'frozen';

const stateOf = (row: BackendState): 'up' | 'down' => (row.connected && row.problem === null ? 'up' : 'down');

/** Its volumes may have replicas; each has one where it was chosen for that volume, so there is no other backend that would be active. */
const replicates = (row: BackendState): boolean => capabilitiesOf(row).replication_enabled === 'True';

function serviceBody(request: FastifyRequest, row: BackendState) {
  return {
    ...{ binary: 'cinder-volume', host: row.backend, zone: row.availability_zone },
    ...{
      status: row.disabled ? ('disabled' as const) : ('enabled' as const),
      state: row.connected ? ('up' as const) : ('down' as const),
    },
    ...{ updated_at: cinderTime(row.seen_at), disabled_reason: row.disabled_reason },
    ...(request.microversion >= 7 && { cluster: null }),
    ...(request.microversion >= 49 && { backend_state: stateOf(row) }),
    ...{
      replication_status: replicates(row) ? 'enabled' : 'disabled',
      active_backend_id: null,
      frozen: row.disabled_reason === frozen,
    },
  };
}

const schedulerBody = (request: FastifyRequest, zone: string) => ({
  ...scheduler,
  ...{
    zone,
    status: 'enabled' as const,
    state: 'up' as const,
    updated_at: cinderTime(new Date()),
    disabled_reason: null,
  },
  ...(request.microversion >= 7 && { cluster: null }),
});

export function serviceRoutes(app: Boundary, backends: BackendService): void {
  app.get('/os-services', contracts.list, async (request) => {
    const [rows, zones] = await Promise.all([backends.states(callerOf(request)), backends.zones()]);
    const all = [schedulerBody(request, zones[0]!.name), ...rows.map((row) => serviceBody(request, row))];
    const [host, binary] = ['host', 'binary'].map((key) => first(queryOf(request), key));
    // A host's name stands for all that is of it, as in Cinder.
    return {
      services: all.filter(
        (one) =>
          (binary === undefined || one.binary === binary) &&
          (host === undefined || one.host === host || one.host.startsWith(`${host}@`)),
      ),
    };
  });
  const set = async (request: FastifyRequest, wish: Static<typeof whichAndWhy>, enabled: boolean) => {
    const { host = '', binary = '', service: old = '', disabled_reason = null } = wish;
    if ((binary || old) !== 'cinder-volume' || host === null) {
      throw new Refusal('not_found', `Service ${binary || old} could not be found on host ${host ?? ''}.`);
    }
    await backends.setEnabled(callerOf(request), host, { enabled, reason: disabled_reason });
    const status = enabled ? ('enabled' as const) : ('disabled' as const);
    return { host, service: old, binary, status, disabled: !enabled };
  };
  app.put('/os-services/enable', contracts.enable, (request) => set(request, request.body, true));
  app.put('/os-services/disable', contracts.disable, (request) => set(request, request.body, false));
  app.put('/os-services/disable-log-reason', contracts.disableWhy, async (request) => ({
    ...(await set(request, request.body, false)),
    disabled_reason: request.body.disabled_reason ?? null,
  }));
  freezingRoutes(app, backends);
  logRoutes(app);
}

function freezingRoutes(app: Boundary, backends: BackendService): void {
  const set = async (request: FastifyRequest, { host, cluster }: Static<typeof ofHost>, enabled: boolean) => {
    if (cluster) throw new Refusal('invalid', `Cluster ${cluster} could not be found.`);
    if (!host) throw new Refusal('invalid', 'Host is missing.');
    await backends.setEnabled(callerOf(request), host, { enabled, reason: frozen });
  };
  app.put('/os-services/freeze', contracts.freeze, async (request, reply) => {
    await set(request, request.body, false);
    return reply.send();
  });
  app.put('/os-services/thaw', contracts.thaw, async (request, reply) => {
    await set(request, request.body, true);
    return reply.send();
  });
  for (const path of ['/os-services/failover_host', '/os-services/failover'] as const) {
    app.put(path, contracts.failover, () => {
      throw new Refusal(
        'invalid',
        'Pools do not fail over as a whole: the replicas of their volumes are on several hosts. Servers go where those of their volumes are when they are evacuated; a volume that no server has goes by POST /native/v1/volumes/ID/replica/failover.',
      );
    });
  }
}

/** Processes log at one level, which is a setting; it is told and not changed from here. */
function logRoutes(app: Boundary): void {
  app.put('/os-services/get-log', contracts.getLog, (request) => {
    const { binary, server, prefix } = request.body;
    const [host, known] = [scheduler.host, scheduler.binary];
    const meant = (!binary || binary === '*' || binary === known) && (!server || server === host) && !prefix;
    return { log_levels: meant ? [{ host, binary: known, levels: { bothy: 'INFO' } }] : [] };
  });
  app.put('/os-services/set-log', contracts.setLog, () => {
    throw new Refusal('invalid', 'The level of logs is a setting of each process and cannot be changed while it runs.');
  });
}

const hostContracts = {
  list: {
    summary: 'List volume hosts',
    rights: 'admin',
    query: a.query('zone'),
    answers: {
      200: a.record({
        hosts: a.list({
          ...{ host_name: a.text, service: a.text, zone: a.text, 'service-status': a.one('available', 'unavailable') },
          ...{ 'service-state': a.one('enabled', 'disabled'), 'last-update': a.time },
        }),
      }),
    },
  },
  show: {
    summary: 'Show what projects have in a pool',
    rights: 'admin',
    answers: {
      200: a.record({
        host: a.list({
          resource: a.record({
            ...{ host: a.text, project: a.text, volume_count: a.text, total_volume_gb: a.text },
            ...{ snapshot_count: a.text, total_snapshot_gb: a.text },
          }),
        }),
      }),
    },
  },
  update: {
    summary: 'Open or close a pool',
    rights: 'admin',
    body: v.strict({ status: v.text(1, 255) }),
    answers: { 200: a.record({ host: a.text, status: a.one('enabled', 'disabled') }) },
  },
} as const;

export function hostRoutes(app: Boundary, backends: BackendService): void {
  app.get('/os-hosts', hostContracts.list, async (request) => {
    const [rows, zones] = await Promise.all([backends.states(callerOf(request)), backends.zones()]);
    const zone = first(queryOf(request), 'zone');
    const all = [
      schedulerBody(request, zones[0]!.name),
      // Cinder lists only what is open.
      ...rows.filter((row) => !row.disabled).map((row) => serviceBody(request, row)),
    ];
    return {
      hosts: all
        .filter((one) => !zone || one.zone === zone)
        .map((one) => ({
          ...{ host_name: one.host, service: one.binary, zone: one.zone },
          'service-status': one.state === 'up' ? ('available' as const) : ('unavailable' as const),
          ...{ 'service-state': one.status, 'last-update': one.updated_at },
        })),
    };
  });
  app.get('/os-hosts/:host', hostContracts.show, async (request) => {
    const { host } = request.params;
    const projects = await backends.projects(callerOf(request), host);
    const sum = (of: (one: (typeof projects)[number]) => number) => projects.reduce((total, one) => total + of(one), 0);
    const total = {
      project_id: '(total)',
      ...{ volumes: sum((one) => one.volumes), volume_gib: sum((one) => one.volume_gib) },
      ...{ snapshots: sum((one) => one.snapshots), snapshot_gib: sum((one) => one.snapshot_gib) },
    };
    return {
      host: [total, ...projects].map((one) => ({
        resource: {
          ...{ host, project: one.project_id, volume_count: String(one.volumes) },
          total_volume_gb: String(one.volume_gib),
          ...{ snapshot_count: String(one.snapshots), total_snapshot_gb: String(one.snapshot_gib) },
        },
      })),
    };
  });
  app.put('/os-hosts/:host', hostContracts.update, async (request) => {
    const wish = request.body.status.trim().toLowerCase();
    if (wish !== 'enable' && wish !== 'disable') {
      throw new Refusal('invalid', `Invalid status: '${request.body.status.slice(0, 100)}'`);
    }
    const { host } = request.params;
    await backends.setEnabled(callerOf(request), host, { enabled: wish === 'enable', reason: null });
    return { host, status: wish === 'enable' ? 'enabled' : 'disabled' };
  });
}

const zoneContract = {
  summary: 'List availability zones',
  rights: 'caller',
  answers: {
    200: a.record({
      availabilityZoneInfo: a.list({ zoneName: a.text, zoneState: a.record({ available: a.boolean }) }),
    }),
  },
} as const;

export function zoneRoutes(app: Boundary, backends: BackendService): void {
  app.get('/os-availability-zone', zoneContract, async () => ({
    availabilityZoneInfo: (await backends.zones()).map(({ name, available }) => ({
      zoneName: name,
      zoneState: { available },
    })),
  }));
}

/** /scheduler-stats/get_pools and /capabilities: what pools are, can and hold. */
import { Type } from 'typebox';
import type { BackendRow, BackendService } from '../../../control/storage/backend/index.ts';
import { capabilitiesOf } from '../../../control/storage/pool/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { refuseFilters } from './filters.ts';
import { first, queryOf } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const value = Type.Union([a.text, a.number, a.boolean, Type.Null()]);
const contracts = {
  pools: {
    summary: 'List pools',
    rights: 'admin',
    query: a.query('detail', 'name', 'volume_type'),
    answers: { 200: a.record({ pools: a.list({ name: a.text, capabilities: a.some(a.byName(value)) }) }) },
  },
  capabilities: {
    summary: 'Show what a pool can',
    rights: 'admin',
    answers: {
      200: a.record({
        ...{ namespace: a.text, vendor_name: a.text, volume_backend_name: a.text, pool_name: a.text },
        ...{ driver_version: a.text, storage_protocol: a.text, display_name: a.text, description: a.orNull(a.text) },
        ...{ visibility: a.orNull(a.text), replication_targets: a.none },
        properties: a.byName(a.record({ title: a.text, description: a.text, type: a.text })),
      }),
    },
  },
} as const;

const gib = 1024 ** 3;
const gibOf = (bytes: number): number => Math.round((bytes / gib) * 100) / 100;
/** Of what writes and reads the volumes, which is the host process. */
const driverVersion = '1.0';
/** Cinder's name of a pool: `host@backend#pool`; here each backend is one pool. */
const poolName = (row: BackendRow): string => `${row.backend}#${row.name}`;

/** What Cinder's scheduler would know of the pool, and the figures that it has no words for. */
const capabilities = (row: BackendRow) => ({
  ...Object.fromEntries(Object.entries(capabilitiesOf(row)).map(([key, word]) => [key, truth(word)])),
  ...{ pool_name: row.name, driver_version: driverVersion, location_info: `${row.host_name}:${row.kind}` },
  ...{ total_capacity_gb: gibOf(row.total_bytes), free_capacity_gb: gibOf(row.free_bytes) },
  ...{ allocated_capacity_gb: row.volume_gib, provisioned_capacity_gb: gibOf(row.promised_bytes) },
  ...{ reserved_percentage: row.reserved_percentage, max_over_subscription_ratio: String(row.over_subscription) },
  ...{ total_volumes: row.volumes, backend_state: row.connected && row.problem === null ? 'up' : 'down' },
  ...{ problem: row.problem, updated: cinderTime(row.seen_at), timestamp: cinderTime(row.seen_at) },
  ...{ own_gb: gibOf(row.own_bytes), shared_gb: gibOf(row.shared_bytes), reclaimable_gb: gibOf(row.reclaimable_bytes) },
});
const truth = (word: string): string | boolean => (word === 'True' ? true : word === 'False' ? false : word);

const properties = {
  qos: { title: 'QoS', description: 'Limits of types are honoured by the guests’ QEMU.', type: 'boolean' },
  thin_provisioning: {
    title: 'Thin Provisioning',
    description: 'A volume takes what was written to it.',
    type: 'boolean',
  },
  compression: { title: 'Compression', description: 'What is written is not compressed.', type: 'boolean' },
  durable: {
    title: 'Durable',
    description:
      'False: the pool lies in the memory of its host (tier ram). A restart of the host empties it: its volumes are in error then, and what they held is lost.',
    type: 'boolean',
  },
  replication_enabled: {
    title: 'Replication',
    description: 'Volumes may have a replica on another host.',
    type: 'boolean',
  },
  replication_type: {
    title: 'Replication type',
    description:
      'async: a replica is brought up to date again and again; sync: each write of a guest waits for a second copy on another host.',
    type: 'string',
  },
};

export function poolRoutes(app: Boundary, backends: BackendService): void {
  app.get('/scheduler-stats/get_pools', contracts.pools, async (request) => {
    refuseFilters(request, 'pool', { also: ['detail'] });
    const query = queryOf(request);
    // Filters came with 3.28, the one by type with 3.35.
    const name = request.microversion >= 28 ? first(query, 'name') : undefined;
    const type = request.microversion >= 35 ? first(query, 'volume_type') : undefined;
    const rows = await backends.list(callerOf(request), type === undefined ? {} : { type });
    const found = rows.filter((row) => name === undefined || poolName(row) === name || row.name === name);
    const detail = v.looseBoolean(first(query, 'detail') ?? 'false');
    return { pools: found.map((row) => ({ name: poolName(row), ...(detail && { capabilities: capabilities(row) }) })) };
  });
  app.get('/capabilities/:backend', contracts.capabilities, async (request) => {
    const row = await backends.get(callerOf(request), request.params.backend.replace(/#.*$/s, ''));
    const can = capabilitiesOf(row);
    return {
      namespace: `OS::Storage::Capabilities::${row.backend}`,
      ...{ vendor_name: can.vendor_name, volume_backend_name: can.volume_backend_name, pool_name: row.name },
      ...{ driver_version: driverVersion, storage_protocol: can.storage_protocol },
      ...{ display_name: `${row.tier} of ${row.host_name}`, description: null, visibility: 'public' },
      ...{ replication_targets: [], properties },
    };
  });
}

/** /native/v1/storage-pools: where volumes may lie, of the hosts' settings and declared here. Administrators. */
import { type Static, Type } from 'typebox';
import { declaredPoolKinds, layerLimits, poolTiers } from '../../contract/host/index.ts';
import { parseId } from '../../contract/ids.ts';
import type { PoolFigures } from '../../control/storage/pool/figures.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { onePool, poolList } from './documents.ts';
import { idText, parameters } from './query.ts';

const exact = { additionalProperties: false } as const;
const changeable = {
  iops_per_volume: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 9_999_999 }), Type.Null()])),
  over_subscription: Type.Optional(Type.Number({ minimum: 1, maximum: 1000 })),
  iops: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000_000 }), Type.Null()])),
  iops_over_subscription: Type.Optional(Type.Number({ minimum: 1, maximum: 1000 })),
  reserved_percentage: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  enabled: Type.Optional(Type.Boolean()),
  disabled_reason: Type.Optional(Type.Union([Type.String({ maxLength: 255 }), Type.Null()])),
};
const tier = Type.Enum([...poolTiers]);
const newPool = Type.Object(
  {
    host_id: Type.String({ maxLength: 36 }),
    name: Type.String({ maxLength: layerLimits.poolNameLength, pattern: '^[a-z0-9][a-z0-9-]*$' }),
    tier,
    kind: Type.Enum([...declaredPoolKinds]),
    source: Type.String({ minLength: 1, maxLength: layerLimits.poolPathLength }),
    ...changeable,
  },
  exact,
);
const changes = Type.Object({ tier: Type.Optional(tier), ...changeable }, exact);

const list = {
  summary: 'List storage pools',
  rights: 'admin',
  query: parameters({ host_id: Type.Optional(idText) }),
  answers: { 200: poolList },
} as const;
const create = {
  summary: 'Declare a storage pool for a host',
  rights: 'admin',
  body: Type.Object({ storage_pool: newPool }, exact),
  answers: { 201: onePool },
} as const;
const show = { summary: 'Show a storage pool', rights: 'admin', answers: { 200: onePool } } as const;
const update = {
  summary: 'Change or close a storage pool',
  rights: 'admin',
  body: Type.Object({ storage_pool: changes }, exact),
  answers: { 200: onePool },
} as const;
const remove = { summary: 'Remove a storage pool that is empty', rights: 'admin', answers: { 204: null } } as const;

export function storagePoolRoutes(app: Boundary, { pools }: NativeDeps): void {
  app.get('/v1/storage-pools', list, async (request) => {
    const { host_id } = request.query;
    const found = await pools.list(callerOf(request), host_id === undefined ? {} : { hostId: parseId(host_id)! });
    return { storage_pools: found.map(document) };
  });
  app.post('/v1/storage-pools', create, async (request, reply) => {
    const { host_id: hostId, name, kind, source, tier: level, ...more } = request.body.storage_pool;
    const wish = { hostId, name, kind, source, tier: level, ...changesOf(more) };
    reply.code(201);
    return { storage_pool: document(await pools.create(callerOf(request), wish)) };
  });
  app.get('/v1/storage-pools/:id', show, async (request) => ({
    storage_pool: document(await pools.get(callerOf(request), request.params.id)),
  }));
  app.patch('/v1/storage-pools/:id', update, async (request) => {
    const said = changesOf(request.body.storage_pool);
    return { storage_pool: document(await pools.update(callerOf(request), request.params.id, said)) };
  });
  app.delete('/v1/storage-pools/:id', remove, async (request, reply) => {
    await pools.remove(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

/** What was said, and nothing of what was not. */
const changesOf = (said: Static<typeof changes>) => ({
  ...(said.tier !== undefined && { tier: said.tier }),
  ...(said.iops_per_volume !== undefined && { iopsPerVolume: said.iops_per_volume }),
  ...(said.over_subscription !== undefined && { overSubscription: said.over_subscription }),
  ...(said.reserved_percentage !== undefined && { reservedPercentage: said.reserved_percentage }),
  ...(said.iops !== undefined && { iops: said.iops }),
  ...(said.iops_over_subscription !== undefined && { iopsOverSubscription: said.iops_over_subscription }),
  ...(said.enabled !== undefined && { enabled: said.enabled }),
  ...(said.disabled_reason !== undefined && { disabledReason: said.disabled_reason }),
});

const document = (pool: PoolFigures) => ({
  ...{ id: pool.id, host_id: pool.host_id, host_name: pool.host_name, name: pool.name },
  ...{ kind: pool.kind, tier: pool.tier, availability_zone: pool.availability_zone },
  from: pool.declared ? ('api' as const) : ('settings' as const),
  ...{ source: pool.source, iops_per_volume: pool.iops_per_volume },
  ...{ enabled: !pool.disabled, disabled_reason: pool.disabled_reason },
  ...{ problem: pool.problem, host_connected: pool.connected, host_enabled: pool.host_enabled },
  ...{ over_subscription: pool.over_subscription, reserved_percentage: pool.reserved_percentage },
  ...{ iops: pool.iops, iops_over_subscription: pool.iops_over_subscription, promised_iops: pool.promised_iops },
  ...{ total_bytes: pool.total_bytes, free_bytes: pool.free_bytes },
  ...{ promised_bytes: pool.promised_bytes, room_bytes: pool.room_bytes },
  ...{ own_bytes: pool.own_bytes, shared_bytes: pool.shared_bytes, reclaimable_bytes: pool.reclaimable_bytes },
  ...{ volumes: pool.volumes, volume_gib: pool.volume_gib },
  ...{ created_at: pool.created_at.toISOString(), updated_at: pool.updated_at.toISOString() },
});

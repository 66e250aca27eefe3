/** /volumes: made, shown, listed, changed and deleted. What else is done with them: volume-actions.ts, metadata.ts. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { hasReason } from '../../../contract/errors.ts';
import type { BackupService } from '../../../control/storage/backup/index.ts';
import { emptyWish, type VolumeService, type VolumeWish } from '../../../control/storage/volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, nextLinks, queryOf } from './paging.ts';
import * as v from './validate.ts';
import { imageIdOf, listOf, volumeColumns, volumeFilter, volumeParameters } from './volume-query.ts';
import { briefVolume, briefVolumeAnswer, volumeAnswer, volumeBody, wholeVolumeBody } from './volume-view.ts';

const optional = Type.Optional;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
export const size = v.integer(1);
const reference = orNull(v.text(0, 255));

const created = {
  ...{ name: optional(v.nameOrNull), description: optional(v.description), display_name: optional(v.nameOrNull) },
  ...{ display_description: optional(v.description), volume_type: optional(v.nameOrNull) },
  ...{
    metadata: optional(orNull(v.metadata)),
    snapshot_id: optional(v.uuidOrNull),
    source_volid: optional(v.uuidOrNull),
  },
  ...{
    consistencygroup_id: optional(v.uuidOrNull),
    size: optional(orNull(size)),
    multiattach: optional(orNull(v.boolean)),
  },
  ...{
    availability_zone: optional(orNull(v.text(1, 255))),
    image_id: optional(reference),
    imageRef: optional(reference),
  },
  ...{ group_id: optional(reference), backup_id: optional(v.uuidOrNull) },
};
const hints = orNull(Type.Record(Type.String(), Type.Unknown()));
const createBody = v.since([0, 53], (version) =>
  v.strict({
    volume: version >= 53 ? v.strict(created) : Type.Object(created),
    'OS-SCH-HNT:scheduler_hints': optional(hints),
  }),
);
const changed = {
  ...{ name: optional(v.nameOrNull), description: optional(v.description), display_name: optional(v.nameOrNull) },
  ...{ display_description: optional(v.description), metadata: optional(v.metadata) },
};
const page = (item: typeof briefVolumeAnswer) => ({
  200: a.record({ volumes: Type.Array(item), volumes_links: a.some(a.links), count: a.some(a.integer) }),
});

const contracts = {
  list: {
    summary: 'List volumes',
    rights: 'reader',
    query: a.query(...volumeParameters),
    answers: page(briefVolumeAnswer),
  },
  detail: {
    summary: 'List volumes with all that is shown of them',
    rights: 'reader',
    query: a.query(...volumeParameters),
    answers: page(volumeAnswer),
  },
  summary: {
    summary: 'Count volumes and their sizes',
    rights: 'reader',
    versions: { from: 12 },
    query: a.query('all_tenants'),
    answers: {
      200: a.record({
        'volume-summary': a.record({
          ...{ total_count: a.integer, total_size: a.integer, metadata: a.some(a.byName(a.texts)) },
        }),
      }),
    },
  },
  show: { summary: 'Show a volume', rights: 'reader', answers: { 200: a.record({ volume: volumeAnswer }) } },
  encryption: {
    summary: 'Show how a volume is encrypted',
    rights: 'reader',
    answers: {
      200: a.record({
        ...{ encryption_key_id: a.orNull(a.id), provider: a.some(a.text), control_location: a.some(a.text) },
        ...{ cipher: a.some(a.orNull(a.text)), key_size: a.some(a.orNull(a.integer)) },
      }),
    },
  },
  create: {
    summary: 'Make a volume',
    rights: 'member',
    body: createBody,
    answers: { 202: a.record({ volume: volumeAnswer }) },
  },
  update: {
    summary: 'Change what is written on a volume',
    rights: 'member',
    body: v.strict({ volume: v.strict(changed) }),
    answers: { 200: a.record({ volume: volumeAnswer }) },
  },
  delete: {
    summary: 'Delete a volume',
    rights: 'member',
    query: a.query('cascade', 'force'),
    answers: { 202: null },
  },
} as const;

/** What is not encrypted has a key that is null, and nothing else. */
function encryptionBody({ keyId, type }: Awaited<ReturnType<VolumeService['encryption']>>) {
  if (!type) return { encryption_key_id: keyId };
  const { provider, control_location, cipher, key_size } = type;
  return { encryption_key_id: keyId, provider, control_location, cipher, key_size };
}

export function volumeRoutes(
  app: Boundary,
  { volumes, backups }: { volumes: VolumeService; backups: Pick<BackupService, 'createVolume'> },
): void {
  for (const [path, contract] of [
    ['/volumes', contracts.list],
    ['/volumes/detail', contracts.detail],
  ] as const) {
    app.get(path, contract, (request) => list(request, volumes, { detailed: path.endsWith('detail') }));
  }
  app.get('/volumes/summary', contracts.summary, async (request) => {
    const all = first(queryOf(request), 'all_tenants');
    const allProjects = all !== undefined && v.looseBoolean(all);
    const { count, size_gib, metadata } = await volumes.summary(callerOf(request), { allProjects });
    const shown = { total_count: count, total_size: size_gib };
    return { 'volume-summary': { ...shown, ...(request.microversion >= 36 && { metadata }) } };
  });
  app.get('/volumes/:id', contracts.show, async (request) => ({
    volume: wholeVolumeBody(request, await volumes.get(callerOf(request), request.params.id)),
  }));
  app.get('/volumes/:id/encryption', contracts.encryption, async (request) =>
    encryptionBody(await volumes.encryption(callerOf(request), request.params.id)),
  );
  app.post('/volumes', contracts.create, async (request, reply) => {
    const wish = wishOf(request.body.volume, request.body['OS-SCH-HNT:scheduler_hints'] ?? {}, request.microversion);
    const caller = callerOf(request);
    const { backup_id: backup } = request.body.volume;
    // Before 3.47 it was overlooked.
    const ofBackup = request.microversion >= 47 && backup ? backup : null;
    const made = ofBackup
      ? backups.createVolume(caller, ofBackup, wish).then((id) => volumes.get(caller, id))
      : volumes.create(caller, wish, { serverImages: request.microversion >= 46 });
    const volume = await made.catch((error) => {
      if (!hasReason(error, 'image_not_found')) throw error;
      throw new Refusal('invalid', 'Invalid image identifier or unable to access requested image.');
    });
    return reply.code(202).send({ volume: volumeBody(request, volume) });
  });
  app.put('/volumes/:id', contracts.update, async (request) => {
    const { volume: wish } = request.body;
    if (request.microversion >= 53 && Object.keys(wish).length === 0) {
      throw new Refusal('invalid', 'Invalid input for field/attribute volume. Something to change is wanted.');
    }
    const [name, description] = [wish.name ?? wish.display_name, wish.description ?? wish.display_description];
    const volume = await volumes.update(callerOf(request), request.params.id, {
      ...(name != null && { name: name.trim() }),
      ...(description != null && { description: description.trim() }),
      ...(wish.metadata && { metadata: wish.metadata }),
    });
    return { volume: volumeBody(request, volume) };
  });
  app.delete('/volumes/:id', contracts.delete, async (request, reply) => {
    const truth = (key: string) => v.looseBoolean(first(queryOf(request), key) ?? 'false');
    const force = request.microversion >= 23 && truth('force');
    await volumes.delete(callerOf(request), request.params.id, { cascade: truth('cascade'), force });
    return reply.code(202).send();
  });
}

async function list(request: FastifyRequest, volumes: VolumeService, { detailed }: { detailed: boolean }) {
  const caller = callerOf(request);
  const { page, allProjects, counted } = listOf(request, 'volume', volumeColumns);
  const filter = volumeFilter(request);
  const [rows, count] = await Promise.all([
    page.limit === 0 ? [] : volumes.list(caller, { ...page, filter }, { allProjects }),
    counted ? volumes.count(caller, filter, { allProjects }) : undefined,
  ]);
  const collection = detailed ? 'volumes/detail' : 'volumes';
  const links = nextLinks(request, collection, { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
  const show = detailed ? wholeVolumeBody : briefVolume;
  return {
    volumes: rows.map((row) => show(request, row)),
    ...(links && { volumes_links: links }),
    ...(count !== undefined && { count }),
  };
}

interface CreateWish {
  name?: string | null;
  description?: string | null;
  display_name?: string | null;
  display_description?: string | null;
  volume_type?: string | null;
  metadata?: Record<string, string> | null;
  snapshot_id?: string | null;
  source_volid?: string | null;
  consistencygroup_id?: string | null;
  size?: number | string | null;
  multiattach?: boolean | string | null;
  availability_zone?: string | null;
  image_id?: string | null;
  imageRef?: string | null;
  group_id?: string | null;
}

function wishOf(wish: CreateWish, hints: Record<string, unknown>, version: number): VolumeWish {
  if (wish.multiattach != null && v.toBoolean(wish.multiattach)) {
    const how = 'Contact your administrator to create a multiattach enabled volume type';
    throw new Refusal(
      'invalid',
      `multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. ${how} and use it to create multiattach volumes.`,
    );
  }
  const { consistencygroup_id: group } = wish;
  if (group) throw new Refusal('not_found', `ConsistencyGroup ${group} could not be found.`);
  const groupId = version >= 13 ? wish.group_id || null : null;
  if (groupId !== null && !wish.volume_type) {
    throw new Refusal('invalid', `volume_type must be provided when creating a volume in a group.`);
  }
  const image = wish.image_id || wish.imageRef || null;
  const { name, description } = wish;
  return {
    ...emptyWish,
    name: (name ?? wish.display_name ?? '').trim(),
    description: (description ?? wish.display_description)?.trim() ?? null,
    ...{ sizeGib: wish.size == null ? null : Number(wish.size), type: wish.volume_type || null },
    ...{ imageId: image === null ? null : imageIdOf(image), zone: wish.availability_zone ?? null },
    ...{
      snapshotId: wish.snapshot_id ?? null,
      sourceVolumeId: wish.source_volid ?? null,
      metadata: wish.metadata ?? {},
    },
    groupId,
    ...hintsOf(hints),
  };
}

/** Cinder's hints (cinder/api/contrib/scheduler_hints.py); others are overlooked, as there. */
function hintsOf(hints: Record<string, unknown>): Pick<VolumeWish, 'sameHost' | 'differentHost' | 'localTo'> {
  const ids = (key: string): string[] => {
    const value = hints[key];
    const list = Array.isArray(value) ? value : value == null ? [] : [value];
    if (list.length <= 100 && list.every((one) => typeof one === 'string' && v.isUuid(one))) return list as string[];
    throw new Refusal('invalid', `Invalid input for field/attribute ${key}. It names volumes by their ids.`);
  };
  const [localTo = null, ...more] = ids('local_to_instance');
  if (more.length > 0) throw new Refusal('invalid', 'Invalid input for field/attribute local_to_instance.');
  return { sameHost: ids('same_host'), differentHost: ids('different_host'), localTo };
}

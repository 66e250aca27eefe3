/**
 * Files in the directory `manage` of a pool, and volumes that are made of them. Snapshots are layers of their volume's chain, whose place and order only the
 * database knows: none lies on a host apart, so their lists are empty and none is taken over.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ManageableFile, ManageService } from '../../../control/storage/manage/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';
import * as v from './validate.ts';
import { volumeAnswer, volumeBody } from './volume-view.ts';

/** What is said of a snapshot. */
export const unmanageable =
  'Invalid snapshot: a snapshot is a layer of the chain of its volume; none can be taken out of it or into it. Make a volume of the snapshot and unmanage that, or manage what is on the host as a volume.';

const optional = Type.Optional;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const wish = v.strict({
  host: optional(orNull(v.text(1, 255))),
  cluster: optional(orNull(v.text(0, 255))),
  ref: Type.Union([v.text(1, 255), Type.Record(Type.String(), Type.Unknown())]),
  ...{ name: optional(v.nameOrNull), description: optional(v.description), volume_type: optional(v.nameOrNull) },
  ...{ metadata: optional(orNull(v.metadata)), availability_zone: optional(orNull(v.text(1, 255))) },
  bootable: optional(v.boolean),
});
const reference = a.record({ 'source-name': a.text });
const brief = { reference, size: a.integer, safe_to_manage: a.boolean };
const whole = a.record({
  ...{ ...brief, reason_not_safe: a.orNull(a.text), cinder_id: a.orNull(a.id) },
  extra_info: a.orNull(a.byName(Type.Union([a.text, a.number, Type.Null()]))),
});
const briefs = { 200: a.record({ 'manageable-volumes': Type.Array(a.record(brief)) }) };
const wholes = { 200: a.record({ 'manageable-volumes': Type.Array(whole) }) };
const query = a.query('host', 'cluster', 'limit', 'offset', 'marker', 'sort');
/** The newer path came with 3.8, the older one stayed. */
const paths = (old: string, path: string) => [[old, {}] as const, [path, { from: 8 }] as const];

const gib = 1024 ** 3;
const briefBody = ({ name, sizeBytes, fileBytes, problem }: ManageableFile) => ({
  reference: { 'source-name': name },
  size: Math.ceil((sizeBytes ?? fileBytes) / gib),
  safe_to_manage: problem === null,
});
const wholeBody = (file: ManageableFile) => ({
  ...briefBody(file),
  ...{ reason_not_safe: file.problem, cinder_id: null },
  extra_info: { format: file.format, file_bytes: file.fileBytes, size_bytes: file.sizeBytes },
});

export function manageRoutes(app: Boundary, manageables: ManageService): void {
  const list = async (request: FastifyRequest): Promise<ManageableFile[]> => {
    const asked = queryOf(request);
    const host = first(asked, 'host');
    if (host === undefined) throw new Refusal('invalid', 'Host must be specified in query parameters');
    const files = await manageables.list(callerOf(request), backendOf(host));
    return paged(files, asked);
  };
  for (const [path, versions] of paths('os-volume-manage', 'manageable_volumes')) {
    const summary = 'List what on hosts could become a volume';
    const contract = { summary, rights: 'admin', query, versions } as const;
    app.get(`/${path}`, { ...contract, answers: briefs }, async (request) => ({
      'manageable-volumes': (await list(request)).map(briefBody),
    }));
    app.get(`/${path}/detail`, { ...contract, answers: wholes }, async (request) => ({
      'manageable-volumes': (await list(request)).map(wholeBody),
    }));
    const take = {
      summary: 'Take over what is on a host as a volume',
      rights: 'admin',
      versions,
      body: v.strict({ volume: wish }),
      answers: { 202: a.record({ volume: volumeAnswer }) },
    } as const;
    app.post(`/${path}`, take, async (request, reply) => {
      const { host, ref, name, description, volume_type, metadata, availability_zone, bootable } = request.body.volume;
      if (!host) throw new Refusal('invalid', 'The following elements are required: host');
      const volume = await manageables.manage(callerOf(request), {
        ...{ backend: backendOf(host), fileName: fileNameOf(ref), type: volume_type || null },
        ...{ name: (name ?? '').trim(), description: description?.trim() ?? null, metadata: metadata ?? {} },
        ...{ zone: availability_zone ?? null, bootable: bootable !== undefined && v.toBoolean(bootable) },
      });
      return reply.code(202).send({ volume: volumeBody(request, volume) });
    });
  }
  snapshotRoutes(app);
}

function snapshotRoutes(app: Boundary): void {
  for (const [path, versions] of paths('os-snapshot-manage', 'manageable_snapshots')) {
    const list = {
      summary: 'List what on hosts could become a snapshot: nothing',
      rights: 'admin',
      versions,
      answers: { 200: a.record({ 'manageable-snapshots': a.none }) },
    } as const;
    const take = {
      summary: 'Take over what is on a host as a snapshot: refused',
      rights: 'admin',
      versions,
      body: v.strict({ snapshot: Type.Record(Type.String(), Type.Unknown()) }),
      answers: { 202: null },
    } as const;
    for (const each of [path, `${path}/detail`]) app.get(`/${each}`, list, () => ({ 'manageable-snapshots': [] }));
    app.post(`/${path}`, take, () => {
      throw new Refusal('invalid', unmanageable);
    });
  }
}

/** A pool of ours is its backend's only one. */
const backendOf = (host: string): string => host.replace(/#.*$/s, '');

function fileNameOf(ref: string | Record<string, unknown>): string {
  const name = typeof ref === 'string' ? ref : ref['source-name'];
  if (typeof name === 'string') return name;
  const why = 'Reference must contain source-name element.';
  throw new Refusal('invalid', `Failed to manage existing volume due to invalid backend reference: ${why}`);
}

/** As Cinder pages lists that a driver makes: sorted by size or reference, by reference where nothing is said. */
function paged(files: readonly ManageableFile[], asked: ReturnType<typeof queryOf>): ManageableFile[] {
  const [key = 'reference', direction = 'asc'] = (first(asked, 'sort') ?? '').split(':').filter((word) => word !== '');
  if (!['size', 'reference'].includes(key) || !['asc', 'desc'].includes(direction)) {
    throw new Refusal('invalid', 'Invalid sort: manageable volumes are sorted by size or reference, asc or desc.');
  }
  const sign = direction === 'asc' ? 1 : -1;
  const size = ({ sizeBytes, fileBytes }: ManageableFile) => sizeBytes ?? fileBytes;
  const sorted =
    key === 'size' ? files.toSorted((x, y) => sign * (size(x) - size(y))) : sign < 0 ? files.toReversed() : files;
  const marker = first(asked, 'marker');
  const behind = marker === undefined ? 0 : sorted.findIndex(({ name }) => name === marker) + 1;
  const number = (name: string, otherwise: number) => {
    const value = first(asked, name) ?? String(otherwise);
    if (!/^\d{1,9}$/.test(value)) throw new Refusal('invalid', `${name} param must be a whole number`);
    return Number(value);
  };
  const offset = behind + number('offset', 0);
  return sorted.slice(offset, offset + number('limit', sorted.length));
}

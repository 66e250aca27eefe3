/** /volumes/{id}/metadata and /snapshots/{id}/metadata: pairs of texts that people write on them. */
import { Type } from 'typebox';
import type { Caller } from '../../../control/kit/caller.ts';
import type { SnapshotService } from '../../../control/storage/snapshot/index.ts';
import type { VolumeService } from '../../../control/storage/volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';
import { without } from './volume-actions.ts';

type Texts = Record<string, string>;
type Edit = (present: Texts) => Texts;

/** What has metadata. */
interface Holder {
  path: 'volumes' | 'snapshots';
  noun: 'Volume' | 'Snapshot';
  read(caller: Caller, id: string): Promise<Texts>;
  edit(caller: Caller, id: string, edit: Edit): Promise<Texts>;
}

const all = { 200: a.record({ metadata: a.textsByName }) };
const one = { 200: a.record({ meta: a.textsByName }) };
const wholeBody = Type.Object({ metadata: v.metadata });
const oneBody = Type.Object({ meta: v.metadata });

const contracts = (what: string) =>
  ({
    list: { summary: `List the metadata of a ${what}`, rights: 'reader', answers: all },
    add: { summary: `Add metadata to a ${what}`, rights: 'member', body: wholeBody, answers: all },
    replace: { summary: `Replace the metadata of a ${what}`, rights: 'member', body: wholeBody, answers: all },
    show: { summary: `Show one of a ${what}’s metadata`, rights: 'reader', answers: one },
    set: { summary: `Set one of a ${what}’s metadata`, rights: 'member', body: oneBody, answers: one },
    remove: { summary: `Take one of a ${what}’s metadata`, rights: 'member', answers: { 200: null } },
  }) as const;

function routesOf(app: Boundary, { path, noun, read, edit }: Holder): void {
  const contract = contracts(noun.toLowerCase());
  const missing = (id: string, key: string) =>
    new Refusal('not_found', `${noun} ${id} has no metadata with key ${key.slice(0, 255)}.`);
  app.get(`/${path}/:id/metadata`, contract.list, async (request) => ({
    metadata: await read(callerOf(request), request.params.id),
  }));
  app.post(`/${path}/:id/metadata`, contract.add, async (request) => {
    const { metadata } = request.body;
    return { metadata: await edit(callerOf(request), request.params.id, (present) => ({ ...present, ...metadata })) };
  });
  app.put(`/${path}/:id/metadata`, contract.replace, async (request) => {
    const { metadata } = request.body;
    return { metadata: await edit(callerOf(request), request.params.id, () => metadata) };
  });
  app.get(`/${path}/:id/metadata/:key`, contract.show, async (request) => {
    const { id, key } = request.params;
    const present = await read(callerOf(request), id);
    if (!Object.hasOwn(present, key)) throw missing(id, key);
    return { meta: { [key]: present[key]! } };
  });
  app.put(`/${path}/:id/metadata/:key`, contract.set, async (request) => {
    const { id, key } = request.params;
    const { meta } = request.body;
    if (!Object.hasOwn(meta, key)) throw new Refusal('invalid', 'Request body and URI mismatch');
    if (Object.keys(meta).length > 1) throw new Refusal('invalid', 'Request body contains too many items');
    await edit(callerOf(request), id, (present) => ({ ...present, ...meta }));
    return { meta };
  });
  app.delete(`/${path}/:id/metadata/:key`, contract.remove, async (request, reply) => {
    const { id, key } = request.params;
    await edit(callerOf(request), id, (present) => {
      if (!Object.hasOwn(present, key)) throw missing(id, key);
      return without(present, key);
    });
    return reply.code(200).send();
  });
}

export function metadataRoutes(
  app: Boundary,
  { volumes, snapshots }: { volumes: VolumeService; snapshots: SnapshotService },
): void {
  routesOf(app, {
    ...{ path: 'volumes', noun: 'Volume' },
    read: async (caller, id) => (await volumes.get(caller, id)).metadata,
    edit: (caller, id, edit) => volumes.editMetadata(caller, id, 'metadata', edit),
  });
  routesOf(app, {
    ...{ path: 'snapshots', noun: 'Snapshot' },
    read: async (caller, id) => (await snapshots.get(caller, id)).metadata,
    edit: (caller, id, edit) => snapshots.editMetadata(caller, id, edit),
  });
}

/**
 * /volumes/{id}/metadata and /snapshots/{id}/metadata: pairs of texts that people write on them. From 3.15 on a volume's have an ETag,
 * and a change that names one (`If-Match`) is made of these pairs only: what they are is looked at under the row's lock.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
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
  /** Cinder has them of volumes only. */
  etags: boolean;
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

/** Says 412, without a body, as Cinder does. */
class Unmatched extends Error {}

const etagsFrom = 15;

/** Of the pairs, in whatever order they were written. Without quotes, as Cinder's: clients send it back as they got it. */
const etagOf = (metadata: Texts): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.entries(metadata).toSorted(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex')
    .slice(0, 32);

/** Those that a change may be made of; undefined: of any. Weak ones match nothing (RFC 9110, 13.1.1). */
function wantedEtags({ headers }: FastifyRequest): string[] | undefined {
  const text = headers['if-match']?.trim();
  if (!text || text === '*') return undefined;
  const quoted = [...text.slice(0, 8192).matchAll(/(W\/)?"([^"]*)"/g)];
  return quoted.length === 0 ? [text] : quoted.flatMap(([, weak, tag]) => (weak ? [] : (tag ?? [])));
}

/** @throws Unmatched */
function guarded(request: FastifyRequest, etags: boolean, edit: Edit): Edit {
  const wanted = etags && request.microversion >= etagsFrom ? wantedEtags(request) : undefined;
  if (!wanted) return edit;
  return (present) => {
    if (!wanted.includes(etagOf(present))) throw new Unmatched();
    return edit(present);
  };
}

function routesOf(app: Boundary, holder: Holder): void {
  const { path, noun, read, etags } = holder;
  const edit = (request: FastifyRequest, id: string, change: Edit) =>
    holder.edit(callerOf(request), id, guarded(request, etags, change));
  const orUnmatched = (reply: FastifyReply) => (error: unknown) => {
    if (!(error instanceof Unmatched)) throw error;
    return reply.code(412).send();
  };
  const contract = contracts(noun.toLowerCase());
  const missing = (id: string, key: string) =>
    new Refusal('not_found', `${noun} ${id} has no metadata with key ${key.slice(0, 255)}.`);
  app.get(`/${path}/:id/metadata`, contract.list, async (request, reply) => {
    const metadata = await read(callerOf(request), request.params.id);
    if (etags && request.microversion >= etagsFrom) reply.header('etag', etagOf(metadata));
    return { metadata };
  });
  app.post(`/${path}/:id/metadata`, contract.add, (request, reply) => {
    const { metadata } = request.body;
    const made = edit(request, request.params.id, (present) => ({ ...present, ...metadata }));
    return made.then((all) => ({ metadata: all })).catch(orUnmatched(reply));
  });
  app.put(`/${path}/:id/metadata`, contract.replace, (request, reply) => {
    const { metadata } = request.body;
    const made = edit(request, request.params.id, () => metadata);
    return made.then((all) => ({ metadata: all })).catch(orUnmatched(reply));
  });
  app.get(`/${path}/:id/metadata/:key`, contract.show, async (request) => {
    const { id, key } = request.params;
    const present = await read(callerOf(request), id);
    if (!Object.hasOwn(present, key)) throw missing(id, key);
    return { meta: { [key]: present[key]! } };
  });
  app.put(`/${path}/:id/metadata/:key`, contract.set, (request, reply) => {
    const { id, key } = request.params;
    const { meta } = request.body;
    if (!Object.hasOwn(meta, key)) throw new Refusal('invalid', 'Request body and URI mismatch');
    if (Object.keys(meta).length > 1) throw new Refusal('invalid', 'Request body contains too many items');
    const made = edit(request, id, (present) => ({ ...present, ...meta }));
    return made.then(() => ({ meta })).catch(orUnmatched(reply));
  });
  app.delete(`/${path}/:id/metadata/:key`, contract.remove, (request, reply) => {
    const { id, key } = request.params;
    const made = edit(request, id, (present) => {
      if (!Object.hasOwn(present, key)) throw missing(id, key);
      return without(present, key);
    });
    return made.then(() => reply.code(200).send()).catch(orUnmatched(reply));
  });
}

export function metadataRoutes(
  app: Boundary,
  { volumes, snapshots }: { volumes: VolumeService; snapshots: SnapshotService },
): void {
  routesOf(app, {
    ...{ path: 'volumes', noun: 'Volume', etags: true },
    read: async (caller, id) => (await volumes.get(caller, id)).metadata,
    edit: (caller, id, edit) => volumes.editMetadata(caller, id, 'metadata', edit),
  });
  routesOf(app, {
    ...{ path: 'snapshots', noun: 'Snapshot', etags: false },
    read: async (caller, id) => (await snapshots.get(caller, id)).metadata,
    edit: (caller, id, edit) => snapshots.editMetadata(caller, id, edit),
  });
}

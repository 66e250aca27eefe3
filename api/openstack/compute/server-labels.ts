/** What its owner writes on a server: metadata and tags. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { maxTags, type ServerService } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { rootOf } from './paging.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const param = (request: FastifyRequest, key: string): string => (request.params as Record<string, string>)[key]!;

const all = { body: v.strict({ metadata: v.metadata }), answers: { 200: a.record({ metadata: a.textsByName }) } };
const item = a.record({ meta: a.textsByName });
const metadataContracts = {
  list: { summary: "List a server's metadata", rights: 'reader', answers: all.answers },
  add: { summary: "Add to a server's metadata", rights: 'member', ...all },
  replace: { summary: "Replace a server's metadata", rights: 'member', ...all },
  show: { summary: 'Show an item of metadata', rights: 'reader', answers: { 200: item } },
  set: {
    summary: 'Set an item of metadata',
    rights: 'member',
    body: v.strict({ meta: v.metadata }),
    answers: { 200: item },
  },
  delete: { summary: 'Delete an item of metadata', rights: 'member', answers: { 204: null } },
} as const;

export function serverMetadataRoutes(app: Boundary, servers: ServerService): void {
  const base = '/servers/:id/metadata' as const;
  const present = async (request: FastifyRequest) =>
    (await servers.get(callerOf(request), serverIdOf(request))).metadata;
  const itemOf = async (request: FastifyRequest): Promise<[string, string]> => {
    const key = param(request, 'key');
    const metadata = await present(request);
    if (!Object.hasOwn(metadata, key)) throw new Refusal('not_found', 'Metadata item was not found');
    return [key, metadata[key]!];
  };
  app.get(base, metadataContracts.list, async (request) => ({ metadata: await present(request) }));
  app.post(base, metadataContracts.add, async (request) => {
    const { metadata } = request.body;
    const merged = await servers.editMetadata(callerOf(request), serverIdOf(request), (old) => ({
      ...old,
      ...metadata,
    }));
    return { metadata: merged };
  });
  app.put(base, metadataContracts.replace, async (request) => {
    const { metadata } = request.body;
    return { metadata: await servers.editMetadata(callerOf(request), serverIdOf(request), () => metadata) };
  });
  app.get(`${base}/:key`, metadataContracts.show, async (request) => ({
    meta: Object.fromEntries([await itemOf(request)]),
  }));
  app.put(`${base}/:key`, metadataContracts.set, async (request) => {
    const { meta } = request.body;
    const key = param(request, 'key');
    if (!Object.hasOwn(meta, key)) throw new Refusal('invalid', 'Request body and URI mismatch');
    if (Object.keys(meta).length > 1) throw new Refusal('invalid', 'Request body contains too many items');
    await servers.editMetadata(callerOf(request), serverIdOf(request), (old) => ({ ...old, ...meta }));
    return { meta };
  });
  app.delete(`${base}/:key`, metadataContracts.delete, async (request, reply) => {
    const [key] = await itemOf(request);
    await servers.editMetadata(callerOf(request), serverIdOf(request), ({ [key]: _gone, ...rest }) => rest);
    return reply.code(204).send();
  });
}

const tagList = v.strict({ tags: Type.Array(v.tag, { maxItems: maxTags }) });
const versions = { from: 26 };
const tags = { 200: a.record({ tags: a.texts }) };
const tagContracts = {
  list: { summary: "List a server's tags", rights: 'reader', versions, answers: tags },
  replace: { summary: "Replace a server's tags", rights: 'member', versions, body: tagList, answers: tags },
  clear: { summary: "Delete a server's tags", rights: 'member', versions, answers: { 204: null } },
  show: { summary: 'Whether a server has a tag', rights: 'reader', versions, answers: { 204: null } },
  add: { summary: 'Add a tag', rights: 'member', versions, path: { tag: v.tag }, answers: { 201: null, 204: null } },
  delete: { summary: 'Delete a tag', rights: 'member', versions, answers: { 204: null } },
} as const;

export function serverTagRoutes(app: Boundary, servers: ServerService): void {
  const base = '/servers/:id/tags' as const;
  const present = async (request: FastifyRequest) => (await servers.get(callerOf(request), serverIdOf(request))).tags;
  const missing = (request: FastifyRequest) =>
    new Refusal('not_found', `Server ${serverIdOf(request)} has no tag '${param(request, 'tag')}'`);
  app.get(base, tagContracts.list, async (request) => ({ tags: await present(request) }));
  app.put(base, tagContracts.replace, async (request) => {
    const { tags } = request.body;
    return { tags: await servers.editTags(callerOf(request), serverIdOf(request), () => tags) };
  });
  app.delete(base, tagContracts.clear, async (request, reply) => {
    await servers.editTags(callerOf(request), serverIdOf(request), () => []);
    return reply.code(204).send();
  });
  app.get(`${base}/:tag`, tagContracts.show, async (request, reply) => {
    if (!(await present(request)).includes(param(request, 'tag'))) throw missing(request);
    return reply.code(204).send();
  });
  app.put(`${base}/:tag`, tagContracts.add, async (request, reply) => {
    const { tag } = request.params;
    let known = false;
    await servers.editTags(callerOf(request), serverIdOf(request), (old) => {
      known = old.includes(tag);
      return [...old, tag];
    });
    if (known) return reply.code(204).send();
    const href = `${rootOf(request)}/v2.1/servers/${serverIdOf(request)}/tags/${encodeURIComponent(tag)}`;
    return reply.code(201).header('location', href).send();
  });
  app.delete(`${base}/:tag`, tagContracts.delete, async (request, reply) => {
    if (!(await present(request)).includes(param(request, 'tag'))) throw missing(request);
    const tag = param(request, 'tag');
    await servers.editTags(callerOf(request), serverIdOf(request), (old) => old.filter((one) => one !== tag));
    return reply.code(204).send();
  });
}

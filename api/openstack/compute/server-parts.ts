/** What hangs below /servers/{id}: metadata, tags, addresses, security groups. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { maxTags, type ServerService } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Versions } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { notInThisRelease } from './faults.ts';
import { requireVersion } from './microversion.ts';
import { rootOf } from './paging.ts';
import { addressesBody } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const param = (request: FastifyRequest, key: string): string => (request.params as Record<string, string>)[key]!;

const all = { body: v.strict({ metadata: v.metadata }), answers: { 200: a.record({ metadata: a.textsByName }) } };
const item = a.record({ meta: a.textsByName });
const metadataContracts = {
  list: { summary: "List a server's metadata", rights: 'caller', answers: all.answers },
  add: { summary: "Add to a server's metadata", rights: 'member', ...all },
  replace: { summary: "Replace a server's metadata", rights: 'member', ...all },
  show: { summary: 'Show an item of metadata', rights: 'caller', answers: { 200: item } },
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
const tags = { 200: a.record({ tags: a.texts }) };
const tagContracts = {
  list: { summary: "List a server's tags", rights: 'caller', answers: tags },
  // Before 2.26 there is no such page, whatever the body.
  replace: {
    summary: "Replace a server's tags",
    rights: 'member',
    body: new Versions<TSchema>({ 1: () => Type.Unknown(), 26: () => tagList }),
    answers: tags,
  },
  clear: { summary: "Delete a server's tags", rights: 'member', answers: { 204: null } },
  show: { summary: 'Whether a server has a tag', rights: 'caller', answers: { 204: null } },
  add: { summary: 'Add a tag', rights: 'member', answers: { 201: null, 204: null } },
  delete: { summary: 'Delete a tag', rights: 'member', answers: { 204: null } },
} as const;
const checkTag = v.checker(v.tag);

export function serverTagRoutes(app: Boundary, servers: ServerService): void {
  const base = '/servers/:id/tags';
  const present = async (request: FastifyRequest) => {
    requireVersion(request, { from: 26 });
    return (await servers.get(callerOf(request), serverIdOf(request))).tags;
  };
  const missing = (request: FastifyRequest) =>
    new Refusal('not_found', `Server ${serverIdOf(request)} has no tag '${param(request, 'tag')}'`);
  app.get(base, tagContracts.list, async (request) => ({ tags: await present(request) }));
  app.put(base, tagContracts.replace, async (request) => {
    requireVersion(request, { from: 26 });
    const { tags } = request.body as Static<typeof tagList>;
    return { tags: await servers.editTags(callerOf(request), serverIdOf(request), () => tags) };
  });
  app.delete(base, tagContracts.clear, async (request, reply) => {
    requireVersion(request, { from: 26 });
    await servers.editTags(callerOf(request), serverIdOf(request), () => []);
    return reply.code(204).send();
  });
  app.get(`${base}/:tag`, tagContracts.show, async (request, reply) => {
    if (!(await present(request)).includes(param(request, 'tag'))) throw missing(request);
    return reply.code(204).send();
  });
  app.put(`${base}/:tag`, tagContracts.add, async (request, reply) => {
    requireVersion(request, { from: 26 });
    const tag = checkTag(param(request, 'tag'));
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

export function serverNetworkRoutes(app: FastifyInstance, servers: ServerService): void {
  const interfaces = async (request: FastifyRequest) => {
    const id = serverIdOf(request);
    await servers.get(callerOf(request), id);
    return (await servers.interfaces([id])).get(id) ?? [];
  };
  app.get('/servers/:id/ips', async (request) => ({
    addresses: addressesBody(await interfaces(request), { extended: false }),
  }));
  app.get('/servers/:id/ips/:network', async (request) => {
    const name = param(request, 'network');
    const addresses = addressesBody(await interfaces(request), { extended: false });
    if (!Object.hasOwn(addresses, name))
      throw new Refusal('not_found', 'Instance is not a member of specified network');
    return { [name]: addresses[name] };
  });
  app.get('/servers/:id/os-security-groups', async (request) => ({
    security_groups: await servers.securityGroups(callerOf(request), serverIdOf(request)),
  }));
  // Volumes come with their own issue; until then no server has one.
  app.get('/servers/:id/os-volume_attachments', async (request) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return { volumeAttachments: [] };
  });
  app.post('/servers/:id/os-volume_attachments', async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Attaching a volume');
  });
  app.get('/servers/:id/diagnostics', async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Diagnostics of a server');
  });
  app.get('/servers/:id/os-interface', async (request) => {
    const ports = await servers.ports(callerOf(request), serverIdOf(request));
    return { interfaceAttachments: ports.map((port) => interfaceBody(request, port)) };
  });
  app.get('/servers/:id/os-interface/:port', async (request) => {
    const id = param(request, 'port');
    const ports = await servers.ports(callerOf(request), serverIdOf(request));
    const port = ports.find((one) => one.id === id.toLowerCase());
    if (!port) {
      throw new Refusal(
        'not_found',
        `Instance ${serverIdOf(request)} does not have a port with id ${id.slice(0, 100)}`,
      );
    }
    return { interfaceAttachment: interfaceBody(request, port) };
  });
  app.post('/servers/:id/os-interface', async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Attaching an interface to a server that exists');
  });
  app.delete('/servers/:id/os-interface/:port', async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Detaching an interface');
  });
}

type ServerPort = Awaited<ReturnType<ServerService['ports']>>[number];

const interfaceBody = (request: FastifyRequest, port: ServerPort) => ({
  net_id: port.network_id,
  port_id: port.id,
  mac_addr: port.mac,
  port_state: port.up ? 'ACTIVE' : 'DOWN',
  fixed_ips: port.fixed_ips,
  ...(request.microversion >= 70 && { tag: port.tag }),
});

/** OS-FEDERATION: identity providers, their protocols, and mappings, which administrators name themselves. */
import { Type } from 'typebox';
import type { DomainId } from '../../../../contract/ids.ts';
import type { ProviderChange } from '../../../../control/identity/federation.ts';
import type { IdentityProviderRow, MappingRow, ProtocolRow } from '../../../../control/identity/federation-tables.ts';
import type { MappingRule } from '../../../../control/identity/mapping.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import { callerOf } from '../../common/authenticate.ts';
import * as a from '../answers.ts';
import { lists, quiet, shows } from '../contracts.ts';
import {
  collection,
  type Deps,
  domainId,
  flag,
  nullable,
  query,
  queryBoolean,
  type Routes,
  shownDomainId,
} from '../resource.ts';
import { mappingBody } from './mapping-schema.ts';

const name = Type.String({ minLength: 1, maxLength: 64 });
const text = Type.String({ maxLength: 65_535 });
/** RFC 6749, section 3.3. */
const scope = Type.String({ pattern: '^[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*$', maxLength: 1000 });
const closed = { additionalProperties: false };
const provider = {
  enabled: Type.Optional(flag),
  description: Type.Optional(nullable(text)),
  authorization_ttl: Type.Optional(nullable(Type.Integer({ minimum: 0, maximum: 5_256_000 }))),
  remote_ids: Type.Optional(nullable(Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { maxItems: 100 }))),
  /** Ours alone: whose tokens are taken, what asks the provider about them, and what for where a browser logs in there. */
  oidc: Type.Optional(
    nullable(
      Type.Object(
        {
          client_id: Type.Optional(nullable(text)),
          client_secret: Type.Optional(nullable(text)),
          scope: Type.Optional(nullable(scope)),
        },
        closed,
      ),
    ),
  ),
};
const protocol = { mapping_id: Type.Optional(name), remote_id_attribute: Type.Optional(nullable(name)) };

const shown = {
  provider: a.one('identity_provider', a.identityProvider),
  mapping: a.one('mapping', a.mapping),
  protocol: a.one('protocol', a.protocol),
};
const contracts = {
  providers: lists(
    'List identity providers',
    'admin',
    a.many('identity_providers', a.identityProvider),
    'id',
    'enabled',
  ),
  provider: shows('Show an identity provider', 'admin', shown.provider),
  putProvider: {
    summary: 'Make an identity provider',
    rights: 'admin',
    body: Type.Object({
      identity_provider: Type.Object(
        { ...provider, domain_id: Type.Optional(nullable(Type.String({ maxLength: 64 }))) },
        closed,
      ),
    }),
    answers: { 201: shown.provider },
  },
  patchProvider: {
    summary: 'Change an identity provider',
    rights: 'admin',
    body: Type.Object({ identity_provider: Type.Object(provider, closed) }),
    answers: { 200: shown.provider },
  },
  removeProvider: quiet('Remove an identity provider and its users', 'admin'),
  mappings: shows('List mappings', 'admin', a.many('mappings', a.mapping)),
  mapping: shows('Show a mapping', 'admin', shown.mapping),
  putMapping: { summary: 'Make a mapping', rights: 'admin', body: mappingBody, answers: { 201: shown.mapping } },
  patchMapping: { summary: 'Change a mapping', rights: 'admin', body: mappingBody, answers: { 200: shown.mapping } },
  removeMapping: quiet('Remove a mapping', 'admin'),
  protocols: shows('List the protocols of an identity provider', 'admin', a.many('protocols', a.protocol)),
  protocol: shows('Show a protocol', 'admin', shown.protocol),
  putProtocol: {
    summary: 'Make a protocol',
    rights: 'admin',
    body: Type.Object({ protocol: Type.Object({ ...protocol, mapping_id: name }, closed) }),
    answers: { 201: shown.protocol },
  },
  patchProtocol: {
    summary: 'Change a protocol',
    rights: 'admin',
    body: Type.Object({ protocol: Type.Object(protocol, closed) }),
    answers: { 200: shown.protocol },
  },
  removeProtocol: quiet('Remove a protocol', 'admin'),
} as const;

interface Given {
  enabled?: boolean;
  description?: string | null;
  authorization_ttl?: number | null;
  remote_ids?: string[] | null;
  oidc?: { client_id?: string | null; client_secret?: string | null; scope?: string | null } | null;
}

function changeOf({ enabled, description, authorization_ttl: ttl, remote_ids: remote, oidc }: Given): ProviderChange {
  const client = oidc === null ? { client_id: null, client_secret: null, scope: null } : oidc;
  return {
    ...(enabled !== undefined && { enabled }),
    ...(description !== undefined && { description }),
    ...(ttl !== undefined && { authorizationTtl: ttl }),
    ...(remote !== undefined && { remoteIds: remote ?? [] }),
    ...(client?.client_id !== undefined && { clientId: client.client_id }),
    ...(client?.scope !== undefined && { clientScope: client.scope }),
    ...(client?.client_secret !== undefined && { clientSecret: client.client_secret }),
  };
}

const root = '/v3/OS-FEDERATION';
const at = (deps: Deps, ...parts: string[]) => `${deps.base}${root}/${parts.map(encodeURIComponent).join('/')}`;

const providerView = (deps: Deps) => (row: IdentityProviderRow) => ({
  ...{
    id: row.name,
    domain_id: shownDomainId(deps, row.domain_id),
    description: row.description,
    enabled: row.enabled,
  },
  ...{
    remote_ids: row.remote_ids,
    authorization_ttl: row.authorization_ttl,
    oidc: { client_id: row.client_id, scope: row.client_scope },
  },
  links: {
    self: at(deps, 'identity_providers', row.name),
    protocols: at(deps, 'identity_providers', row.name, 'protocols'),
  },
});
const mappingView = (deps: Deps) => (row: MappingRow) => ({
  ...{ id: row.name, rules: row.rules, schema_version: row.schema_version },
  links: { self: at(deps, 'mappings', row.name) },
});
const protocolView = (deps: Deps, providerName: string) => (row: ProtocolRow) => ({
  ...{ id: row.name, mapping_id: row.mapping, remote_id_attribute: row.remote_id_attribute },
  links: {
    self: at(deps, 'identity_providers', providerName, 'protocols', row.name),
    identity_provider: at(deps, 'identity_providers', providerName),
  },
});

/** @throws CloudError `invalid` */
export function chosenId(given: string): string {
  if ([...given].length > 64) throw new Refusal('invalid', 'an id that is chosen has at most 64 characters');
  return given;
}

export const federationRoutes: Routes = (app, deps) => {
  providerRoutes(app, deps);
  mappingRoutes(app, deps);
  protocolRoutes(app, deps);
};

const providerRoutes: Routes = (app, deps) => {
  const { federation } = deps.identity;
  const view = providerView(deps);
  const url = `${root}/identity_providers`;
  app.read(url, contracts.providers, async (request) => {
    const { id, enabled } = query(request);
    const on = queryBoolean(enabled);
    const filter = { ...(id !== undefined && { name: id }), ...(on !== undefined && { enabled: on }) };
    return collection(deps, request, 'identity_providers', await federation.providers(callerOf(request), filter), view);
  });
  app.read(`${url}/:id`, contracts.provider, async (request) => ({
    identity_provider: view(await federation.provider(callerOf(request), request.params.id)),
  }));
  app.put(`${url}/:id`, contracts.putProvider, async (request, reply) => {
    const given = request.body.identity_provider as Given & { domain_id?: string | null };
    const domain: DomainId | null = given.domain_id ? domainId(deps, given.domain_id) : null;
    const wanted = { ...changeOf(given), domainId: domain };
    const row = await federation.createProvider(callerOf(request), chosenId(request.params.id), wanted);
    return reply.code(201).send({ identity_provider: view(row) });
  });
  app.patch(`${url}/:id`, contracts.patchProvider, async (request) => {
    const change = changeOf(request.body.identity_provider as Given);
    return { identity_provider: view(await federation.updateProvider(callerOf(request), request.params.id, change)) };
  });
  app.delete(`${url}/:id`, contracts.removeProvider, async (request, reply) => {
    await federation.deleteProvider(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
};

const mappingRoutes: Routes = (app, deps) => {
  const { federation } = deps.identity;
  const view = mappingView(deps);
  const url = `${root}/mappings`;
  const rulesOf = (body: unknown) => {
    const { mapping } = body as { mapping: { rules: MappingRule[]; schema_version?: string } };
    return [mapping.rules, mapping.schema_version] as const;
  };
  app.read(url, contracts.mappings, async (request) =>
    collection(deps, request, 'mappings', await federation.mappings(callerOf(request)), view),
  );
  app.read(`${url}/:id`, contracts.mapping, async (request) => ({
    mapping: view(await federation.mapping(callerOf(request), request.params.id)),
  }));
  app.put(`${url}/:id`, contracts.putMapping, async (request, reply) => {
    const row = await federation.createMapping(
      callerOf(request),
      chosenId(request.params.id),
      ...rulesOf(request.body),
    );
    return reply.code(201).send({ mapping: view(row) });
  });
  app.patch(`${url}/:id`, contracts.patchMapping, async (request) => ({
    mapping: view(await federation.updateMapping(callerOf(request), request.params.id, ...rulesOf(request.body))),
  }));
  app.delete(`${url}/:id`, contracts.removeMapping, async (request, reply) => {
    await federation.deleteMapping(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
};

const protocolRoutes: Routes = (app, deps) => {
  const { federation } = deps.identity;
  const url = `${root}/identity_providers/:id/protocols`;
  app.read(url, contracts.protocols, async (request) => {
    const { id } = request.params;
    const rows = await federation.protocols(callerOf(request), id);
    return collection(deps, request, 'protocols', rows, protocolView(deps, id));
  });
  app.read(`${url}/:protocol`, contracts.protocol, async (request) => {
    const { id, protocol: wanted } = request.params;
    return { protocol: protocolView(deps, id)(await federation.protocol(callerOf(request), id, wanted)) };
  });
  app.put(`${url}/:protocol`, contracts.putProtocol, async (request, reply) => {
    const { id, protocol: wanted } = request.params;
    const { mapping_id: mapping, remote_id_attribute: attribute } = request.body.protocol;
    const wish = { name: chosenId(wanted), mapping, remoteIdAttribute: attribute ?? null };
    const row = await federation.createProtocol(callerOf(request), id, wish);
    return reply.code(201).send({ protocol: protocolView(deps, id)(row) });
  });
  app.patch(`${url}/:protocol`, contracts.patchProtocol, async (request) => {
    const { id, protocol: wanted } = request.params;
    const { mapping_id: mapping, remote_id_attribute: attribute } = request.body.protocol;
    const change = {
      ...(mapping !== undefined && { mapping }),
      ...(attribute !== undefined && { remoteIdAttribute: attribute }),
    };
    return {
      protocol: protocolView(deps, id)(await federation.updateProtocol(callerOf(request), [id, wanted], change)),
    };
  });
  app.delete(`${url}/:protocol`, contracts.removeProtocol, async (request, reply) => {
    await federation.deleteProtocol(callerOf(request), request.params.id, request.params.protocol);
    return reply.code(204).send();
  });
};

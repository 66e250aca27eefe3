/** Flavors of network services, their service profiles, and who carries them out. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import {
  flavorListing,
  type NetworkFlavorRow,
  type ServiceProfileRow,
  serviceProfileListing,
  serviceProviders,
} from '../../../control/network/flavor/flavor.ts';
import type { FlavorWish, NetworkFlavorService, ServiceProfileWish } from '../../../control/network/flavor/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  badRequest,
  boolean,
  listOf,
  oneOf,
  readAttributes,
  standard,
  text,
  uuid,
} from './attributes.ts';
import { bodySchema } from './contracts.ts';
import type { RawQuery } from './list-query.ts';
import { idOf, type Resource } from './resource.ts';
import { shortList, shortQuery } from './short-list.ts';

const longText = 1024;

const flavorAttributes: Attributes = {
  id: standard.id!,
  name: { post: true, put: true, read: text(255), show: a.text },
  description: { post: true, put: true, read: text(longText), show: a.text },
  service_type: { post: true, required: true, read: oneOf('L3_ROUTER_NAT'), show: a.text },
  service_profiles: { post: true, read: listOf(uuid, 50), noFilter: true, show: Type.Array(a.id) },
  enabled: { post: true, put: true, read: boolean, show: a.boolean },
};

export const flavors = (service: NetworkFlavorService): Resource<NetworkFlavorRow> => ({
  single: 'flavor',
  plural: 'flavors',
  path: 'flavors',
  attributes: flavorAttributes,
  listing: flavorListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as FlavorWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish),
  delete: (caller, id) => service.delete(caller, id),
  view: ({ id, name, description, service_type, service_profiles, enabled }) => ({
    ...{ id, name, description, service_type, service_profiles, enabled },
  }),
});

const profileAttributes: Attributes = {
  id: standard.id!,
  description: { post: true, put: true, read: text(longText), show: a.text },
  driver: { post: true, put: true, read: text(longText), show: a.text },
  metainfo: { post: true, put: true, read: text(4096), show: a.text },
  enabled: { post: true, put: true, read: boolean, show: a.boolean },
};

export const serviceProfiles = (service: NetworkFlavorService): Resource<ServiceProfileRow> => ({
  single: 'service_profile',
  plural: 'service_profiles',
  path: 'service_profiles',
  attributes: profileAttributes,
  listing: serviceProfileListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.listProfiles(caller, query),
  read: (caller, id) => service.readProfile(caller, id),
  create: (caller, wishes) => service.createProfiles(caller, wishes as ServiceProfileWish[]),
  update: (caller, id, wish) => service.updateProfile(caller, id, wish as ServiceProfileWish),
  delete: (caller, id) => service.deleteProfile(caller, id),
  view: ({ id, description, driver, metainfo, enabled }) => ({ id, description, driver, metainfo, enabled }),
});

const binding: Attributes = { id: { post: true, required: true, read: uuid } };
function bindingOf(body: unknown): string {
  const one = (body as { service_profile?: unknown } | null | undefined)?.service_profile;
  if (one === undefined) throw badRequest("Unable to find 'service_profile' in request body");
  return (readAttributes(binding, one, 'post') as { id: string }).id;
}
const providerFilters = ['service_type', 'name', 'default'] as const;
const providerAnswer = a.record({ service_type: a.text, name: a.text, default: a.boolean });
const contracts = {
  associate: {
    summary: 'Associate a flavor with a service profile',
    rights: 'admin',
    body: Type.Object({ service_profile: bodySchema(binding, 'post') }),
    answers: { 201: a.record({ service_profile: a.record({ id: a.id }) }) },
    explain: { body: bindingOf },
  },
  dissociate: {
    summary: 'Take a service profile from a flavor',
    rights: 'admin',
    answers: { 204: null },
  },
  providers: {
    summary: 'List who carries out network services',
    rights: 'caller',
    query: shortQuery(...providerFilters),
    answers: { 200: a.record({ service_providers: Type.Array(Type.Partial(providerAnswer)) }) },
  },
} as const;

export function addFlavorVerbs(app: Boundary, service: NetworkFlavorService): void {
  const flavorOf = (request: FastifyRequest) => idOf(request, { listing: flavorListing });
  app.post('/v2.0/flavors/:id/service_profiles', contracts.associate, async (request, reply) => {
    const id = bindingOf(request.body);
    await service.associate(callerOf(request), flavorOf(request), id);
    return reply.code(201).send({ service_profile: { id } });
  });
  app.delete('/v2.0/flavors/:id/service_profiles/:profile', contracts.dissociate, async (request, reply) => {
    const { profile } = request.params as { profile: string };
    const id = parseId(profile);
    if (id === undefined) throw notFound('service_profile', profile.slice(0, 255));
    await service.dissociate(callerOf(request), flavorOf(request), id);
    return reply.code(204).send();
  });
  app.get('/v2.0/service-providers', contracts.providers, async (request) => ({
    service_providers: shortList(serviceProviders, request.query as RawQuery, providerFilters),
  }));
}

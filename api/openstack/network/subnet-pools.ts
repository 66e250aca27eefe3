import { Type } from 'typebox';
import { isShared } from '../../../control/network/access.ts';
import type {
  SubnetPoolPatch,
  SubnetPoolService,
  SubnetPoolWish,
} from '../../../control/network/subnet-pool/service.ts';
import { type SubnetPoolRow, subnetPoolListing } from '../../../control/network/subnet-pool/subnet-pool.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  badRequest,
  boolean,
  integer,
  listOf,
  nullable,
  type Reader,
  readAttributes,
  reader,
  standard,
  text,
  Unreadable,
  uuid,
} from './attributes.ts';
import { idOf, type Resource, standardView } from './resource.ts';
import { cidr } from './subnets.ts';

const notNegative: Reader = reader(integer.schema, (value) => {
  const number = integer(value) as number;
  if (number < 0) throw new Unreadable(`'${number}' should be non-negative.`);
  return number;
});

const prefixes = listOf(cidr);

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, required: true, read: text(255), show: a.text },
  prefixes: { post: true, put: true, required: true, read: prefixes, noFilter: true, show: a.texts },
  ip_version: { show: a.one(4, 6) },
  min_prefixlen: length('min_prefix_length'),
  max_prefixlen: length('max_prefix_length'),
  default_prefixlen: length('default_prefix_length'),
  default_quota: { post: true, put: true, read: nullable(notNegative), show: a.orNull(a.integer) },
  is_default: { post: true, put: true, read: boolean, show: a.boolean },
  shared: { post: true, read: boolean, show: a.boolean },
  address_scope_id: { post: true, put: true, read: nullable(uuid), show: a.orNull(a.id) },
  tags: { noFilter: true, show: a.texts },
};

/** Neutron shows lengths as texts, and has since it has pools. */
function length(to: string): Attributes[string] {
  return { to, post: true, put: true, read: notNegative, show: a.text };
}

export const subnetPools = (service: SubnetPoolService): Resource<SubnetPoolRow> => ({
  single: 'subnetpool',
  plural: 'subnetpools',
  path: 'subnetpools',
  attributes,
  listing: subnetPoolListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as SubnetPoolWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as SubnetPoolPatch),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    prefixes: row.prefixes,
    ip_version: row.ip_version,
    min_prefixlen: String(row.min_prefix_length),
    max_prefixlen: String(row.max_prefix_length),
    default_prefixlen: String(row.default_prefix_length),
    default_quota: row.default_quota,
    is_default: row.is_default,
    shared: isShared(caller, row),
    address_scope_id: row.address_scope_id,
  }),
});

const prefixAttributes: Attributes = { prefixes: { put: true, required: true, read: prefixes } };
const readPrefixes = (body: unknown): string[] => {
  const { prefixes: read } = readAttributes(prefixAttributes, body, 'put') as { prefixes?: string[] };
  if (read === undefined) throw badRequest("Request body must contain only a list of prefixes under 'prefixes'");
  return read;
};
const prefixVerb = {
  rights: 'member',
  body: Type.Object({ prefixes: prefixes.schema }, { additionalProperties: false }),
  answers: { 200: a.record({ prefixes: a.texts }) },
  explain: { body: readPrefixes },
} as const;

const onboardAttributes: Attributes = { network_id: { put: true, read: uuid } };
const readOnboard = (body: unknown): string => {
  const { network_id: id } = readAttributes(onboardAttributes, body, 'put') as { network_id?: string };
  if (id === undefined) throw badRequest('network_id must be specified.');
  return id;
};
const onboardVerb = {
  summary: "Make a network's subnets a subnet pool's",
  rights: 'member',
  body: Type.Object({ network_id: uuid.schema }, { additionalProperties: false }),
  answers: { 200: a.list({ id: a.id, cidr: a.text }) },
  explain: { body: readOnboard },
} as const;

export function addSubnetPoolVerbs(app: Boundary, service: SubnetPoolService): void {
  const target = { listing: subnetPoolListing };
  app.put(
    '/v2.0/subnetpools/:id/add_prefixes',
    { summary: 'Add prefixes to a subnet pool', ...prefixVerb },
    async (request) => ({
      prefixes: await service.addPrefixes(callerOf(request), idOf(request, target), readPrefixes(request.body)),
    }),
  );
  app.put(
    '/v2.0/subnetpools/:id/remove_prefixes',
    { summary: 'Remove prefixes from a subnet pool', ...prefixVerb },
    async (request) => ({
      prefixes: await service.removePrefixes(callerOf(request), idOf(request, target), readPrefixes(request.body)),
    }),
  );
  app.put('/v2.0/subnetpools/:id/onboard_network_subnets', onboardVerb, (request) =>
    service.onboard(callerOf(request), idOf(request, target), readOnboard(request.body)),
  );
}

import { Type } from 'typebox';
import { type AddressGroupRow, addressGroupListing } from '../../../control/network/address-group/address-group.ts';
import type { AddressGroupService, AddressGroupWish } from '../../../control/network/address-group/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  badRequest,
  listOf,
  type Reader,
  readAttributes,
  reader,
  standard,
  text,
} from './attributes.ts';
import { answers } from './contracts.ts';
import { idOf, type Resource, standardView, type View } from './resource.ts';
import { cidr } from './subnets.ts';

const addresses = listOf(cidr);

/** What is added or removed may be an address alone, as in Neutron, which checks only those of a new group. */
const address: Reader = reader(cidr.schema, (value) =>
  cidr(typeof value === 'string' && !value.includes('/') ? `${value}/${value.includes(':') ? 128 : 32}` : value),
);
const someAddresses = listOf(address);

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  addresses: { post: true, read: addresses, noFilter: true, show: a.texts },
  tags: { noFilter: true, show: a.texts },
};

const viewOf = (row: AddressGroupRow): View => ({
  id: row.id,
  name: row.name,
  ...standardView(row),
  addresses: row.addresses,
});

export const addressGroups = (service: AddressGroupService): Resource<AddressGroupRow> => ({
  single: 'address_group',
  plural: 'address_groups',
  path: 'address-groups',
  attributes,
  listing: addressGroupListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as AddressGroupWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as AddressGroupWish),
  delete: (caller, id) => service.delete(caller, id),
  view: viewOf,
});

const verbAttributes: Attributes = { addresses: { put: true, read: someAddresses } };
const readAddresses = (body: unknown): string[] => {
  const { addresses: read } = readAttributes(verbAttributes, body, 'put') as { addresses?: string[] };
  if (read === undefined) throw badRequest("Request body must contain only a list of addresses under 'addresses'");
  return read;
};

export function addAddressGroupVerbs(app: Boundary, service: AddressGroupService): void {
  const target = { listing: addressGroupListing };
  const contract = {
    rights: 'member',
    body: Type.Object({ addresses: someAddresses.schema }, { additionalProperties: false }),
    answers: { 200: answers({ single: 'address_group', plural: 'address_groups', attributes }).one },
    explain: { body: readAddresses },
  } as const;
  app.put(
    '/v2.0/address-groups/:id/add_addresses',
    { summary: 'Add addresses to an address group', ...contract },
    async (request) => ({
      address_group: viewOf(
        await service.addAddresses(callerOf(request), idOf(request, target), readAddresses(request.body)),
      ),
    }),
  );
  app.put(
    '/v2.0/address-groups/:id/remove_addresses',
    { summary: 'Remove addresses from an address group', ...contract },
    async (request) => ({
      address_group: viewOf(
        await service.removeAddresses(callerOf(request), idOf(request, target), readAddresses(request.body)),
      ),
    }),
  );
}

import { isShared } from '../../../control/network/access.ts';
import { type AddressScopeRow, addressScopeListing } from '../../../control/network/address-scope/address-scope.ts';
import type {
  AddressScopePatch,
  AddressScopeService,
  AddressScopeWish,
} from '../../../control/network/address-scope/service.ts';
import * as a from './answers.ts';
import { type Attributes, boolean, oneOf, standard, text } from './attributes.ts';
import type { Resource } from './resource.ts';

/** Neutron's have no description, revision or times. */
const attributes: Attributes = {
  id: standard.id!,
  tenant_id: standard.tenant_id!,
  project_id: standard.project_id!,
  name: { post: true, put: true, read: text(255), show: a.text },
  ip_version: { post: true, required: true, read: oneOf(4, 6), show: a.one(4, 6) },
  shared: { post: true, put: true, read: boolean, show: a.boolean },
};

export const addressScopes = (service: AddressScopeService): Resource<AddressScopeRow> => ({
  single: 'address_scope',
  plural: 'address_scopes',
  path: 'address-scopes',
  attributes,
  listing: addressScopeListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as AddressScopeWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as AddressScopePatch),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    tenant_id: row.project_id,
    project_id: row.project_id,
    name: row.name,
    ip_version: row.ip_version,
    shared: isShared(caller, row),
  }),
});

import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { type RbacPolicyRow, rbacPolicyListing } from '../../../control/network/rbac-policy/rbac-policy.ts';
import type { RbacPolicyService, RbacPolicyWish } from '../../../control/network/rbac-policy/service.ts';
import * as a from './answers.ts';
import { type Attributes, type Reader, reader, standard, uuid } from './attributes.ts';
import { invalidInput, neutronRefusal } from './fault.ts';
import type { Resource } from './resource.ts';

/** Neutron's names of what can be given, and ours. */
const types = {
  network: 'network',
  subnetpool: 'subnet_pool',
  address_scope: 'address_scope',
  security_group: 'security_group',
  address_group: 'address_group',
  qos_policy: 'qos_policy',
} as const;
const ours: ReadonlyMap<string, string> = new Map(Object.entries(types));
const theirs: ReadonlyMap<string, string> = new Map(Object.entries(types).map(([name, type]) => [type, name]));

const objectType: Reader = reader(Type.String({ examples: ['network'] }), (value) => {
  const type = ours.get(String(value).trim().toLowerCase());
  if (type === undefined) throw invalidInput(`'${String(value).slice(0, 80)}' is not a valid RBAC object type`);
  return type;
});

const action: Reader = reader(Type.String({ examples: ['access_as_shared'] }), (value) => {
  if (value === 'access_as_shared' || value === 'access_as_external') return value;
  throw neutronRefusal(
    'invalid',
    'InvalidActionForType',
    `Invalid action '${String(value).slice(0, 80)}'. Valid actions: access_as_shared, and access_as_external for networks`,
  );
});

const target: Reader = reader(Type.String({ examples: ['*'] }), (value) => {
  if (value === '*') return null;
  const id = typeof value === 'string' ? parseId(value) : undefined;
  if (id !== undefined) return id;
  throw invalidInput(`'${String(value).slice(0, 80)}' is not a valid target project ID; expected a UUID or '*'`);
});

const attributes: Attributes = {
  id: standard.id!,
  tenant_id: standard.tenant_id!,
  project_id: standard.project_id!,
  object_type: { post: true, required: true, read: objectType, show: a.text },
  object_id: { post: true, required: true, read: uuid, show: a.id },
  action: { post: true, required: true, read: action, show: a.text },
  target_tenant: { to: 'target_project_id', post: true, put: true, required: true, read: target, show: a.text },
};

export const rbacPolicies = (service: RbacPolicyService): Resource<RbacPolicyRow> => ({
  single: 'rbac_policy',
  plural: 'rbac_policies',
  path: 'rbac-policies',
  attributes,
  listing: rbacPolicyListing,
  bulk: true,
  list: (caller, query) =>
    service.list(caller, {
      ...query,
      filters: (query.filters ?? []).map(({ column, values }) => ({ column, values: values.map(filterOf(column)) })),
    }),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as RbacPolicyWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as Pick<RbacPolicyWish, 'target_project_id'>),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    tenant_id: row.project_id,
    project_id: row.project_id,
    object_type: theirs.get(row.object_type)!,
    object_id: row.object_id,
    action: row.action,
    target_tenant: row.target_project_id ?? '*',
  }),
});

/** As control has it: everybody is no project at all. */
function filterOf(column: string): (value: string) => string {
  if (column === 'object_type') return (value) => ours.get(value) ?? value;
  if (column === 'target_project_id') return (value) => (value === '*' ? '' : value);
  return (value) => value;
}

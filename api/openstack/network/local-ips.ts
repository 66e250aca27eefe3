/** Local IPs, and below them the ports that they lead to. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import {
  type LocalIpAssociationRow,
  type LocalIpRow,
  localIpAssociationListing,
  localIpListing,
} from '../../../control/network/local-ip/local-ip.ts';
import type { LocalIpAssociationWish, LocalIpService, LocalIpWish } from '../../../control/network/local-ip/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';
import { type Attributes, ip, nullable, oneOf, standard, text, uuid } from './attributes.ts';
import { addResource, type Resource, standardView } from './resource.ts';

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  local_port_id: { post: true, read: uuid, show: a.id },
  network_id: { post: true, read: uuid, show: a.id },
  local_ip_address: { post: true, read: nullable(ip), show: a.text },
  ip_mode: { post: true, read: oneOf('translate', 'passthrough'), show: a.text },
  tags: { noFilter: true, show: a.texts },
};

export const localIps = (service: LocalIpService): Resource<LocalIpRow> => ({
  single: 'local_ip',
  plural: 'local_ips',
  path: 'local_ips',
  attributes,
  listing: localIpListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as LocalIpWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    local_port_id: row.local_port_id,
    network_id: row.network_id,
    local_ip_address: row.local_ip_address,
    ip_mode: row.ip_mode,
  }),
});

const associationAttributes: Attributes = {
  tenant_id: { to: 'project_id', post: true, read: uuid, show: a.id },
  project_id: { post: true, read: uuid, show: a.id },
  fixed_port_id: { to: 'id', post: true, required: true, read: uuid, show: a.id },
  fixed_ip: { post: true, read: nullable(ip), show: a.text },
  local_ip_address: { show: a.text },
  // Which machine that is tenants are not told, here as little as elsewhere.
  host: { show: a.text, admin: true },
};

const associations = (service: LocalIpService, localIp: string): Resource<LocalIpAssociationRow> => ({
  single: 'port_association',
  plural: 'port_associations',
  path: `local_ips/${localIp}/port_associations`,
  attributes: associationAttributes,
  listing: localIpAssociationListing,
  bulk: true,
  list: (caller, query) => service.listAssociations(caller, localIp, query),
  read: (caller, id) => service.readAssociation(caller, localIp, id),
  // It is its local IP's project's, whichever was named.
  create: (caller, wishes) =>
    service.associate(
      caller,
      localIp,
      wishes.map(
        ({ id, fixed_ip }): LocalIpAssociationWish => ({
          fixed_port_id: id as string,
          fixed_ip: (fixed_ip as string | null | undefined) ?? null,
        }),
      ),
    ),
  delete: (caller, id) => service.dissociate(caller, localIp, id),
  view: (row, caller) => ({
    tenant_id: row.project_id,
    project_id: row.project_id,
    fixed_port_id: row.id,
    fixed_ip: row.fixed_ip,
    local_ip_address: row.local_ip_address,
    ...(isAdmin(caller) && { host: row.host }),
  }),
});

const parameter = 'local_ip_id';

function localIpOf(request: FastifyRequest): string {
  const given = (request.params as Record<typeof parameter, string>)[parameter];
  const id = parseId(given);
  if (id === undefined) throw notFound('local_ip', given.slice(0, 255));
  return id;
}

export function addLocalIpAssociations(
  app: Boundary,
  baseUrl: (request: FastifyRequest) => string,
  service: LocalIpService,
): void {
  addResource(app, baseUrl, associations(service, `:${parameter}`), (request) =>
    associations(service, localIpOf(request)),
  );
}

/** NDP proxies: IPv6 addresses of guests for which the gateway of their router answers outside. */
import { type NdpProxyRow, ndpProxyListing } from '../../../control/network/ndp-proxy/ndp-proxy.ts';
import type { NdpProxyService, NdpProxyWish } from '../../../control/network/ndp-proxy/service.ts';
import * as a from './answers.ts';
import { type Attributes, ip, nullable, standard, text, uuid } from './attributes.ts';
import { type Resource, standardView } from './resource.ts';

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  router_id: { post: true, required: true, read: uuid, show: a.id },
  port_id: { post: true, required: true, read: uuid, show: a.id },
  ip_address: { post: true, read: nullable(ip), show: a.text },
};

export const ndpProxies = (service: NdpProxyService): Resource<NdpProxyRow> => ({
  single: 'ndp_proxy',
  plural: 'ndp_proxies',
  path: 'ndp_proxies',
  attributes,
  listing: ndpProxyListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as NdpProxyWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => {
    const { tags: _, ...shown } = standardView(row);
    const { id, name, router_id, port_id, ip_address } = row;
    return { id, name, ...shown, router_id, port_id, ip_address };
  },
});

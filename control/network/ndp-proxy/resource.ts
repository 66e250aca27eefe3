import type { ResourceDescriptor } from '../../kit/resource.ts';

export const ndpProxy = {
  noun: 'ndp_proxy',
  memberColumns: ['router_id', 'port_id', 'ip_address'],
  keepsProject: {},
  wakes: { northbound: (touched, { body }) => touched.unit('router', body.router_id) },
} satisfies ResourceDescriptor;

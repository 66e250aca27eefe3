import type { ResourceDescriptor } from '../../kit/resource.ts';

/** Made and removed below its floating IP, which keeps the project in being. */
export const portForwarding = {
  noun: 'port_forwarding',
  memberColumns: [
    'floating_ip_id',
    'router_id',
    'protocol',
    'external_first',
    'external_last',
    'port_id',
    'fixed_ip',
    'internal_first',
    'internal_last',
  ],
  keepsProject: {},
  wakes: { northbound: (touched, { body }) => touched.unit('router', body.router_id) },
} satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const localIp = {
  noun: 'local_ip',
  memberColumns: ['network_id', 'local_port_id', 'local_ip_address', 'ip_mode'],
  keepsProject: {},
  wakes: {
    northbound: (touched, { body }) => {
      touched.unit('network', body.network_id);
      touched.unit('port', body.local_port_id);
    },
  },
} satisfies ResourceDescriptor;

/** Made and removed below its local IP, which keeps the project in being. */
export const localIpAssociation = {
  noun: 'local_ip_association',
  memberColumns: ['local_ip_id', 'network_id', 'fixed_port_id', 'fixed_ip'],
  keepsProject: {},
  wakes: {
    northbound: (touched, { body }) => {
      touched.unit('network', body.network_id);
      touched.leadingToPorts.add(String(body.fixed_port_id));
    },
  },
} satisfies ResourceDescriptor;

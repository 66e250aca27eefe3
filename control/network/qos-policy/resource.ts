import type { ResourceDescriptor } from '../../kit/resource.ts';

export const qosPolicy: ResourceDescriptor = {
  noun: 'qos_policy',
  memberColumns: ['is_default', 'shared'],
  keepsProject: {},
};

/** What keeps to its policy is projected anew; a change of the policy's own row means nothing to it. */
export const qosRule: ResourceDescriptor = {
  noun: 'qos_rule',
  wakes: {
    northbound: (touched, { body }) => {
      touched.keepersOfQosPolicies.add(String(body.qos_policy_id));
    },
  },
};

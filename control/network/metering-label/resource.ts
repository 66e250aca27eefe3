import type { ResourceDescriptor } from '../../kit/resource.ts';

/** A change of its rules is one of its own row too. */
export const meteringLabel: ResourceDescriptor = {
  noun: 'metering_label',
  memberColumns: ['shared'],
  wakes: {
    northbound: (touched, { body }) => {
      if (body.shared === true) touched.routersOfAllProjects = true;
      else touched.routersOfProjects.add(String(body.project_id));
    },
  },
};

export const meteringLabelRule: ResourceDescriptor = { noun: 'metering_label_rule' };

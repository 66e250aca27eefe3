import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

const group = v.strict({ name: v.name });

export const addSecurityGroup = action({
  summary: 'Add a security group to all ports of a server',
  rights: 'member',
  body: group,
  answers: accepted,
  run: ({ servers, caller, id }, { name }) => servers.addSecurityGroup(caller, id, name),
});

export const removeSecurityGroup = action({
  summary: 'Remove a security group from all ports of a server',
  rights: 'member',
  body: group,
  answers: accepted,
  run: ({ servers, caller, id }, { name }) => servers.removeSecurityGroup(caller, id, name),
});

import { serverLimits } from '../../../../contract/host/limits.ts';
import { Secret } from '../../../../contract/secret.ts';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

export const triggerCrashDump = action({
  summary: 'Send a server a non-maskable interrupt, for a dump of its memory',
  rights: 'member',
  versions: { from: 17 },
  answers: accepted,
  run: ({ servers, caller, id }) => servers.request(caller, id, serverActions.triggerCrashDump),
});

export const changePassword = action({
  summary: "Set the password of a server's administrator, by the agent in the guest",
  rights: 'member',
  body: v.strict({ adminPass: v.text(0, serverLimits.adminPasswordLength) }),
  answers: accepted,
  run: ({ servers, caller, id }, { adminPass }) =>
    servers.request(caller, id, serverActions.changePassword, { password: new Secret(adminPass) }),
});

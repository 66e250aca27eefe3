import { serverActions } from '../../../../control/compute/server/index.ts';
import { accepted, action } from './action.ts';

export const suspend = action({
  summary: "Suspend a server: its memory is kept on its host's disk",
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.suspend),
});

export const resume = action({
  summary: 'Resume a suspended server',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.resume),
});

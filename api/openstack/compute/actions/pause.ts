import { serverActions } from '../../../../control/compute/server/index.ts';
import { accepted, action } from './action.ts';

export const pause = action({
  summary: 'Pause a server: its processors stand still, its memory stays',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.pause),
});

export const unpause = action({
  summary: 'Let a paused server go on',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.unpause),
});

import { serverActions } from '../../../../control/compute/server/index.ts';
import { accepted, action } from './action.ts';

export const forceDelete = action({
  summary: 'Delete a server at once, also one that could be restored',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.forceDelete),
});

export const restore = action({
  summary: 'Restore a deleted server that is not reclaimed yet',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.restore),
});

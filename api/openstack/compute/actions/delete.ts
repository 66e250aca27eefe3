import { accepted, action } from './action.ts';

export const forceDelete = action({
  summary: 'Delete a server at once',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.delete(caller, id),
});

/** Nova's further actions: known, and not in this release. What is neither here nor in the table is unknown to Nova too. */
import { notInThisRelease } from '../faults.ts';
import { action, type ServerAction } from './action.ts';

/** A server that is hidden is not found, here as everywhere. @param what as people call it */
const later = (what: string): ServerAction =>
  action({
    summary: what,
    rights: 'caller',
    answers: {},
    later: true,
    async run({ servers, caller, id, reply }) {
      await servers.get(caller, id);
      return notInThisRelease(reply, what);
    },
  });

export const laterActions: Readonly<Record<string, ServerAction>> = {
  injectNetworkInfo: later('Injecting network information'),
};

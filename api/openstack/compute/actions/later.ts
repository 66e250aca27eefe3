/** Nova's further actions: known, and not in this release. What is neither here nor in the table is unknown to Nova too. */
import type { ActionContract } from '../../../boundary/contract.ts';
import { notInThisRelease } from '../faults.ts';
import { action, type ServerAction } from './action.ts';

/** A server that is hidden is not found, here as everywhere. @param what as people call it */
const later = (what: string, versions: NonNullable<ActionContract['versions']> = {}): ServerAction =>
  action({
    summary: what,
    rights: 'caller',
    versions,
    answers: {},
    later: true,
    async run({ servers, caller, id, reply }) {
      await servers.get(caller, id);
      return notInThisRelease(reply, what);
    },
  });

/** Nova handed these on to the network service until 2.43. */
const proxied = (what: string): ServerAction => later(`${what} by Nova (use the network service)`, { to: 43 });

export const laterActions: Readonly<Record<string, ServerAction>> = {
  addFixedIp: proxied('Adding an address'),
  injectNetworkInfo: later('Injecting network information'),
  removeFixedIp: proxied('Removing an address'),
  resetNetwork: later('Resetting a server’s network'),
};

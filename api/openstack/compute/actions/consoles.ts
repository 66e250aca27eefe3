/** Consoles as Nova gave them out until 2.5. */
import * as a from '../answers.ts';
import { consoleOf } from '../consoles.ts';
import * as v from '../validate.ts';
import { action } from './action.ts';

const oldConsole = (what: string, ...types: string[]) =>
  action({
    summary: `Get the address of a server's ${what}`,
    rights: 'member',
    versions: { to: 5 },
    body: v.strict({ type: a.one(...types) }),
    answers: { 200: a.record({ console: a.record({ type: a.text, url: a.text }) }) },
    async run({ consoles, request, reply, caller, id }, { type }) {
      reply.code(200);
      return { console: await consoleOf(consoles, request, { caller, id, type }) };
    },
  });

export const getVncConsole = oldConsole('screen', 'novnc', 'xvpvnc');
export const getSerialConsole = oldConsole('serial console', 'serial');
export const getSpiceConsole = oldConsole('screen by SPICE', 'spice-html5');
export const getRdpConsole = oldConsole('screen by RDP', 'rdp-html5');

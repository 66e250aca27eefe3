import { Type } from 'typebox';
import * as a from '../answers.ts';
import * as v from '../validate.ts';
import { type ActionCall, action } from './action.ts';

const length = Type.Union([Type.Integer({ minimum: -1 }), Type.String({ pattern: '^-?[0-9]{1,9}$' }), Type.Null()]);
const asked = Type.Union([v.strict({ length: Type.Optional(length) }), Type.Null()]);

export const getConsoleOutput = action({
  summary: "Read the end of a server's console",
  rights: 'member',
  body: asked,
  answers: { 200: a.record({ output: a.text }) },
  async run(call, argument) {
    const lines = argument?.length ?? null;
    call.reply.code(200);
    return { output: await consoleText(call, lines === null ? -1 : Number(lines)) };
  },
});

/** As much as Nova ever reads (MAX_CONSOLE_BYTES). */
const maxConsoleBytes = 100 * 1024;

/** The last lines; without the control characters that a guest could play tricks on a terminal with, as in Nova. */
async function consoleText({ servers, caller, id }: ActionCall, lines: number): Promise<string> {
  const log = await servers.consoleLog(caller, id, maxConsoleBytes);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const text = log.toString('utf8').replace(/[\u0000-\u0008\u000b-\u001f]/g, '');
  if (lines < 0) return text;
  if (lines === 0) return '';
  // As Nova counts: behind the end of the last line is one more, which is empty.
  return text.split('\n').slice(-lines).join('\n');
}

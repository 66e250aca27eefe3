/** POST /servers/{id}/action: the actions of this release, and an honest 501 for those that come later. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import type { ServerId } from '../../../contract/ids.ts';
import type { ServerService } from '../../../control/compute/server/index.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { notInThisRelease } from './faults.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

/**
 * Nova's further actions, by what they are for people. One table: what is not here and not below is unknown to Nova too.
 * See README.md.
 */
export const laterActions: Readonly<Record<string, string>> = {
  pause: 'Pausing a server',
  unpause: 'Unpausing a server',
  suspend: 'Suspending a server',
  resume: 'Resuming a server',
  resize: 'Resizing a server',
  confirmResize: 'Confirming a resize',
  revertResize: 'Reverting a resize',
  rebuild: 'Rebuilding a server',
  rescue: 'Rescuing a server',
  unrescue: 'Unrescuing a server',
  shelve: 'Shelving a server',
  shelveOffload: 'Shelving a server',
  unshelve: 'Unshelving a server',
  createImage: 'Making an image of a server',
  createBackup: 'Backing up a server',
  changePassword: 'Changing a server’s password',
  migrate: 'Migrating a server',
  'os-migrateLive': 'Live migration',
  evacuate: 'Evacuating a server',
  restore: 'Restoring a deleted server',
  trigger_crash_dump: 'Triggering a crash dump',
  'os-getVNCConsole': 'A graphical console',
  'os-getSPICEConsole': 'A graphical console',
  'os-getRDPConsole': 'A graphical console',
  'os-getSerialConsole': 'A serial console',
  'os-getMKSConsole': 'A graphical console',
  injectNetworkInfo: 'Injecting network information',
  resetNetwork: 'Resetting a server’s network',
  addFixedIp: 'Adding an address by Nova (use the network service)',
  removeFixedIp: 'Removing an address by Nova (use the network service)',
  addFloatingIp: 'Adding a floating IP by Nova (use the network service)',
  removeFloatingIp: 'Removing a floating IP by Nova (use the network service)',
};

interface Call {
  servers: ServerService;
  caller: Caller;
  id: ServerId;
  request: FastifyRequest;
  reply: FastifyReply;
}

interface Action {
  check(microversion: number, argument: unknown): unknown;
  /** What is answered with 202 and no body, unless it answers one itself. */
  run(call: Call, argument: never): Promise<unknown>;
}

const action = <T extends TSchema>(
  brackets: Readonly<Record<number, () => T>>,
  run: (call: Call, argument: Type.Static<T>) => Promise<unknown>,
): Action => ({ check: v.versioned(brackets), run: run as Action['run'] });

const anything = { 1: () => Type.Unknown() };

const reboot = v.strict({
  type: Type.Enum(['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']),
});
const lock = () => Type.Union([Type.Null(), v.strict({ locked_reason: Type.Optional(v.text(1, 255)) })]);
const group = v.strict({ name: v.name });
const consoleOutput = v.strict({
  length: Type.Optional(
    Type.Union([Type.Integer({ minimum: -1 }), Type.String({ pattern: '^-?[0-9]{1,9}$' }), Type.Null()]),
  ),
});

export const actions: Readonly<Record<string, Action>> = {
  'os-start': action(anything, ({ servers, caller, id }) => servers.power(caller, id, 'start', 'start')),
  'os-stop': action(anything, ({ servers, caller, id }) => servers.power(caller, id, 'stop', 'stop')),
  reboot: action({ 1: () => reboot }, ({ servers, caller, id }, { type }) =>
    servers.power(caller, id, type.toLowerCase() === 'hard' ? 'reboot hard' : 'reboot soft', 'reboot'),
  ),
  forceDelete: action(anything, async ({ servers, caller, id }) => servers.delete(caller, id)),
  lock: action<TSchema>({ 1: () => Type.Unknown(), 73: lock }, ({ servers, caller, id, request }, argument) => {
    const reason =
      request.microversion >= 73 ? ((argument as { locked_reason?: string } | null)?.locked_reason ?? null) : null;
    return servers.lock(caller, id, reason);
  }),
  unlock: action(anything, ({ servers, caller, id }) => servers.unlock(caller, id)),
  'os-resetState': action(
    { 1: () => v.strict({ state: Type.Enum(['active', 'error']) }) },
    ({ servers, caller, id }, { state }) => servers.resetState(caller, id, state),
  ),
  'os-getConsoleOutput': action({ 1: () => Type.Union([consoleOutput, Type.Null()]) }, async (call, argument) => {
    const length = argument?.length ?? null;
    call.reply.code(200);
    return { output: await consoleText(call, length === null ? -1 : Number(length)) };
  }),
  addSecurityGroup: action({ 1: () => group }, ({ servers, caller, id }, { name }) =>
    servers.addSecurityGroup(caller, id, name),
  ),
  removeSecurityGroup: action({ 1: () => group }, ({ servers, caller, id }, { name }) =>
    servers.removeSecurityGroup(caller, id, name),
  ),
};

/** As much as Nova ever reads (MAX_CONSOLE_BYTES). */
const maxConsoleBytes = 100 * 1024;

/** The last lines; without the control characters that a guest could play tricks on a terminal with, as in Nova. */
async function consoleText({ servers, caller, id }: Call, lines: number): Promise<string> {
  const log = await servers.consoleLog(caller, id, maxConsoleBytes);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const text = log.toString('utf8').replace(/[\u0000-\u0008\u000b-\u001f]/g, '');
  if (lines < 0) return text;
  if (lines === 0) return '';
  const all = text.split('\n');
  const ended = all.at(-1) === '';
  return all.slice(-(lines + (ended ? 1 : 0))).join('\n');
}

export function serverActionRoutes(app: FastifyInstance, servers: ServerService): void {
  app.post('/servers/:id/action', async (request, reply) => {
    const id = serverIdOf(request);
    const caller = callerOf(request);
    const [name, ...more] = Object.keys((request.body as object | undefined) ?? {});
    if (name === undefined || more.length > 0 || typeof request.body !== 'object') {
      throw new Refusal('invalid', 'Malformed request body: it must name one action');
    }
    const known = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (!known) {
      const later = Object.hasOwn(laterActions, name) ? laterActions[name] : undefined;
      if (later === undefined) {
        throw new Refusal('invalid', `There is no such action: ${name.slice(0, 100)}`);
      }
      await servers.get(caller, id);
      return notInThisRelease(reply, later);
    }
    const argument = known.check(request.microversion, (request.body as Record<string, unknown>)[name]);
    reply.code(202);
    return (await known.run({ servers, caller, id, request, reply }, argument as never)) ?? reply.send();
  });
}

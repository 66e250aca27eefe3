/**
 * Consoles: remote-consoles since 2.6, an action for each kind before, and what a token is for. The address that is answered opens the
 * console once (api/console).
 */
import type { FastifyRequest } from 'fastify';
import type { ConsoleKind } from '../../../contract/host/index.ts';
import type { ServerId } from '../../../contract/ids.ts';
import type { ConsoleService } from '../../../control/compute/console/index.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { consoleUrl } from '../../console/url.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

/** Nova's word for a kind of console; the others are of protocols that QEMU's guests here don't speak. */
const kinds: Readonly<Record<string, ConsoleKind>> = { novnc: 'vnc', serial: 'serial' };

/** @throws Refusal for a type of which there is none */
export async function consoleOf(
  consoles: ConsoleService,
  request: FastifyRequest,
  { caller, id, type }: { caller: Caller; id: ServerId; type: string },
): Promise<{ type: string; url: string }> {
  const kind = Object.hasOwn(kinds, type) ? kinds[type]! : undefined;
  if (!kind) throw new Refusal('invalid', `Unavailable console type ${type}.`);
  const token = await consoles.issue(caller, id, kind);
  return { type, url: consoleUrl(`${request.protocol}://${request.host}`, kind, token.reveal()) };
}

const protocols: Readonly<Record<string, readonly string[]>> = {
  vnc: ['novnc', 'xvpvnc'],
  spice: ['spice-html5'],
  rdp: ['rdp-html5'],
  serial: ['serial'],
  mks: ['webmks'],
};
const namesSince8 = { protocol: ['mks'], type: ['webmks'] } as const;
const wish = (version: number) =>
  v.strict({
    remote_console: v.strict({
      protocol: a.one('vnc', 'spice', 'rdp', 'serial', ...(version >= 8 ? namesSince8.protocol : [])),
      type: a.one(
        ...['novnc', 'xvpvnc', 'rdp-html5', 'spice-html5', 'serial', ...(version >= 8 ? namesSince8.type : [])],
      ),
    }),
  });

const contracts = {
  create: {
    summary: "Get the address of a server's console",
    rights: 'member',
    versions: { from: 6 },
    body: v.since([6, 8], wish),
    answers: { 200: a.record({ remote_console: a.record({ protocol: a.text, type: a.text, url: a.text }) }) },
  },
  token: {
    summary: 'Show what a console token is for',
    rights: 'admin',
    path: { token: v.text(1, 255) },
    answers: {
      200: a.record({
        console: a.record({
          ...{ instance_uuid: a.id, host: a.text, port: a.integer, internal_access_path: a.orNull(a.text) },
        }),
      }),
    },
  },
} as const;

export function consoleRoutes(app: Boundary, consoles: ConsoleService): void {
  app.post('/servers/:id/remote-consoles', contracts.create, async (request) => {
    const { protocol, type } = request.body.remote_console;
    if (!protocols[protocol]!.includes(type)) throw new Refusal('invalid', `Invalid console type ${type}`);
    const wanted = { caller: callerOf(request), id: serverIdOf(request), type };
    return { remote_console: { protocol, ...(await consoleOf(consoles, request, wanted)) } };
  });

  app.get('/os-console-auth-tokens/:token', contracts.token, async (request) => {
    const { serverId, kind, host } = await consoles.find(callerOf(request), request.params.token);
    // Before, Nova told of one protocol alone, and that is none of ours.
    if (request.microversion < 31) {
      throw new Refusal('unauthenticated', 'The requested console type details are not accessible');
    }
    const { hostname, port } = new URL(host.url || 'https://0.0.0.0:0');
    const access = `/v1/servers/${serverId}/console/${kind}`;
    return { console: { instance_uuid: serverId, host: hostname, port: Number(port), internal_access_path: access } };
  });
}

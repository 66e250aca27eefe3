/**
 * What control asks of a guest that runs, and that leaves nothing to be done: an interrupt, a password, its counters, a console.
 * Answered or refused at once; nothing of it is remembered.
 */
import type { Duplex } from 'node:stream';
import { type ConsoleKind, guestPassword } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';
import { AgentError, askAgent } from '../../protocols/guest-agent/index.ts';
import { diagnose } from '../guest/diagnostics.ts';
import { HostFault } from '../host-error.ts';
import type { HostNetworkPort } from '../host-network.ts';
import type { RunningGuest } from '../server/task.ts';
import type { Consoles } from './console.ts';
import { answerJson, type Exchange, readBody } from './http-service.ts';

export interface GuestRequestOptions {
  /** Undefined where no guest of the server runs. */
  running(id: ServerId): RunningGuest | undefined;
  network: Pick<HostNetworkPort, 'portStatistics'>;
  agentTimeoutMs: number;
  consoles: Consoles;
}

const maxPasswordBytes = 16 * 1024;

export function guestRequests({ running, network, agentTimeoutMs, consoles }: GuestRequestOptions) {
  const require = (id: ServerId): RunningGuest => {
    const found = running(id);
    if (!found) throw new HostFault('conflict', `no guest of server ${id} runs here`);
    return found;
  };
  return {
    async nmi(id: ServerId, { response }: Exchange): Promise<void> {
      await require(id).guest.execute('inject-nmi');
      response.writeHead(204).end();
    },

    async console(id: ServerId, kind: ConsoleKind, caller: Duplex, head: Buffer): Promise<void> {
      await consoles.open(id, kind, require(id).sockets[kind], caller, head);
    },

    async diagnostics(id: ServerId, { response }: Exchange): Promise<void> {
      const found = require(id);
      answerJson(response, 200, await diagnose({ ...found, statistics: (ports) => network.portStatistics(ports) }));
    },

    async password(id: ServerId, { request, response }: Exchange): Promise<void> {
      const { desired, sockets } = require(id);
      const { user, password } = readPassword(await readBody(request, maxPasswordBytes));
      if (!desired.hardware?.guestAgent) throw new HostFault('conflict', 'the guest has no channel to an agent');
      const args = { username: user, password: Buffer.from(password).toString('base64'), crypted: false };
      try {
        await askAgent(sockets.agent, 'guest-set-user-password', args, { timeoutMs: agentTimeoutMs });
      } catch (error) {
        throw error instanceof AgentError ? new HostFault('conflict', error.message, { cause: error }) : error;
      }
      response.writeHead(204).end();
    },
  };
}

function readPassword(bytes: Buffer) {
  try {
    return read(guestPassword, JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    if (error instanceof Mismatch || error instanceof SyntaxError) {
      throw new HostFault('invalid', 'the body is not a user and a password', { cause: error });
    }
    throw error;
  }
}

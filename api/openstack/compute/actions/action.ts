/** What an action of a server is made of; see README.md. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { ServerId } from '../../../../contract/ids.ts';
import type { ConsoleService } from '../../../../control/compute/console/index.ts';
import type { ServerService } from '../../../../control/compute/server/index.ts';
import type { Caller } from '../../../../control/kit/caller.ts';
import type { FloatingIpService } from '../../../../control/network/floating-ip/service.ts';
import type { ActionContract, Input, Versions } from '../../../boundary/contract.ts';

export interface ActionCall {
  servers: ServerService;
  floatingIps: FloatingIpService;
  consoles: ConsoleService;
  caller: Caller;
  id: ServerId;
  request: FastifyRequest;
  reply: FastifyReply;
}

export interface ServerAction extends ActionContract {
  /** @returns the answer's body; nothing: 202 without one */
  run(call: ActionCall, argument: unknown): unknown;
}

/** The argument has the type that the schema says. */
export function action<B extends TSchema | Versions = never>(
  contract: Omit<ActionContract, 'body'> & { body?: B; run(call: ActionCall, argument: Input<B, unknown>): unknown },
): ServerAction {
  return contract as ServerAction;
}

/** Nova takes the order; what comes of it shows in the server. */
export const accepted = { 202: null } as const;

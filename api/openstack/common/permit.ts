/**
 * Roles at the door, as Nova and Cinder have them. Services ask for what changes things, and for administrators; that whoever only looks
 * needs a role, too, is those two's rule (`project_reader`): a token with none that they know gets nothing but what is everybody's.
 */
import type { FastifyRequest } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import type { Contract, Rights } from '../../boundary/contract.ts';
import { callerOf } from './authenticate.ts';

const roles: Readonly<Partial<Record<Rights, readonly string[]>>> = {
  reader: ['reader', 'member', 'manager', 'admin'],
  service: ['service', 'admin'],
};

/** @throws CloudError `forbidden` */
export function permit({ rights, summary }: Pick<Contract, 'summary' | 'rights'>, request: FastifyRequest): void {
  const wanted = roles[rights];
  if (!wanted) return;
  const caller = callerOf(request);
  if (wanted.some((role) => caller.roles.has(role))) return;
  throw new CloudError('forbidden', 'role_required', { operation: summary, needs: wanted[0] as 'reader' | 'service' });
}

/**
 * Refusals of the network resources. `details.reason` is the meaning in snake case, finer than the error code; a dialect
 * may turn it into its own name for it (Neutron: an exception's class).
 */
import { CloudError, type ErrorCode } from '../../contract/errors.ts';

export function refusal(
  code: ErrorCode,
  reason: string,
  message: string,
  details: Record<string, unknown> = {},
): CloudError {
  return new CloudError(code, message, { details: { ...details, reason } });
}

const nouns = {
  network: 'Network',
  subnet: 'Subnet',
  port: 'Port',
  router: 'Router',
  floating_ip: 'Floating IP',
  security_group: 'Security group',
  security_group_rule: 'Security group rule',
} as const;

export type NetworkNoun = keyof typeof nouns;

/** Also for what is hidden from the caller. */
export function notFound(noun: NetworkNoun, id: string): CloudError {
  const verb = noun === 'security_group' || noun === 'security_group_rule' ? 'does not exist' : 'could not be found';
  const subject = verb === 'does not exist' ? `${nouns[noun]} ${id} ${verb}` : `${nouns[noun]} ${id} ${verb}.`;
  return refusal('not_found', `${noun}_not_found`, subject, { id });
}

export const invalidInput = (message: string): CloudError =>
  refusal('invalid', 'invalid_input', `Invalid input for operation: ${message}.`);

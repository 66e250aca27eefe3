/** Keystone's faults: {"error": {"code", "message", "title"}}. */
import { STATUS_CODES } from 'node:http';
import type { Fault, FaultForm } from '../common/faults.ts';

export const identityFaults: FaultForm = {
  body: ({ status, message }: Fault) => ({
    error: { code: status, message, title: STATUS_CODES[status] ?? 'Error' },
  }),
};

/** The native dialect's faults: {"error": {"code", "message", "details"}}; the code is our own. */
import type { Fault, FaultForm } from '../openstack/common/faults.ts';

export const nativeFaults: FaultForm = {
  body: ({ code, message, details }: Fault) => ({ error: { code, message, details } }),
};

/** What a host tells of a guest that runs: counters since its QEMU began, and none of what is in it. */
import type { Static } from 'typebox';
import type { PortId } from '../ids.ts';
import { boolean, count, id, list, nullable, object, oneOf, text } from '../schema/type.ts';
import { serverLimits } from './limits.ts';
import { mac } from './port.ts';

/** Null where the machine does not say. */
const counter = nullable(count);

export const guestDiagnostics = object({
  state: oneOf('running', 'paused', 'shutdown', 'crashed'),
  /** Since when the present QEMU runs. */
  uptimeSeconds: count,
  memoryMiB: count,
  configDrive: boolean,
  /** Processor time of each virtual processor. */
  cpus: list(object({ index: count, timeNs: counter }), 4096),
  disks: list(
    object({
      name: text(64),
      readBytes: count,
      readRequests: count,
      writeBytes: count,
      writeRequests: count,
      errors: count,
    }),
    256,
  ),
  /** As the guest sees them: what it receives is `rx`. */
  cards: list(
    object({
      portId: id<PortId>(),
      mac,
      rxBytes: counter,
      rxPackets: counter,
      rxErrors: counter,
      rxDropped: counter,
      txBytes: counter,
      txPackets: counter,
      txErrors: counter,
      txDropped: counter,
    }),
    serverLimits.ports,
  ),
});
export type GuestDiagnostics = Static<typeof guestDiagnostics>;

/** What a guest's agent is to set: the body of a PUT. */
export const guestPassword = object({ user: text(255), password: text(serverLimits.adminPasswordLength) });
export type GuestPassword = Static<typeof guestPassword>;

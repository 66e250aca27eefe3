/** The machine that a guest is given once and for all: what it has seen at its first start it finds at every later one. */
import type { Static } from 'typebox';
import { integer, object, text } from '../schema/type.ts';
import { serverLimits as limits } from './limits.ts';

/** With its version, never an alias: an alias is another machine with the next QEMU. */
export const machineType = text(limits.machineTypeLength, { pattern: '^pc-q35-\\d{1,3}(\\.\\d{1,3}){1,2}$' });

/** As QEMU's -cpu takes it; each host says its own. */
export const cpuModel = text(limits.machineTypeLength, { pattern: '^[A-Za-z0-9._-]+$' });

/**
 * Which device is at which address. 0: in the order of the command line, as first light had it, nothing can be plugged in;
 * 1: fixed addresses, each card in a port of its own (host/guest/layout.ts); 2: and a bus into which volumes are plugged;
 * 3: and under TCG memory of a size of which QEMU loses no page on the way to another host (host/guest/memory-size.ts).
 */
export const machineLayout = integer(0, 3);

export const guestMachine = object({ type: machineType, cpuModel, layout: machineLayout });
export type PinnedMachine = Static<typeof guestMachine>;

/**
 * What a host has found out of its tunnels to other hosts by frames that the others' Open vSwitch sends back (host/network/tunnels/probe.ts): only what
 * is wrong is named, so that what a thousand hosts say of each other stays small.
 */
import type { Static } from 'typebox';
import type { HostId } from '../ids.ts';
import { count, id, integer, list, nullable, object, oneOf, text } from '../schema/type.ts';
import { tunnelLimits as limits } from './limits.ts';

const address = text(limits.addressLength, { format: 'ip' });

/** Where other hosts send tunnels, and the bytes of the longest packet, tunnel's headers among them, that must come through. */
export const tunnelEnd = object({ address, mtu: integer(1280, 65_535) });
export type TunnelEnd = Static<typeof tunnelEnd>;

/** silent: no frame came back; narrow: short ones did, whole ones did not. */
export const tunnelFault = oneOf('silent', 'narrow');
export type TunnelFault = Static<typeof tunnelFault>;

export const tunnelReport = object({
  /** Other hosts that this one has tunnels to. */
  peers: count,
  /** Of those, the ones that were tried, and not given back yet. */
  tried: count,
  /** How long ago the one was tried that was tried longest ago, in ms; null: none was yet. */
  oldestMs: nullable(count),
  /** Not all where they are many: `faults` counts them. */
  broken: list(object({ hostId: id<HostId>(), address, fault: tunnelFault }), limits.broken, {
    distinct: 'hostId',
    misfits: 'left out',
  }),
  faults: count,
});
export type TunnelReport = Static<typeof tunnelReport>;

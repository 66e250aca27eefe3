/** What has passed a thing of the network on a host: counters that grow as long as what counts them stands. */
import type { Static } from 'typebox';
import type { PortId } from '../ids.ts';
import { count, id, list, literal, object, oneOf, optional, text } from '../schema/type.ts';
import { messageLimits } from './limits.ts';
import { address, cidr } from './port.ts';

/** As the metered thing sees it: what it receives is `rx`. */
const passed = { rxBytes: count, rxPackets: count, txBytes: count, txPackets: count };

/**
 * One counter of a host. `source` names what counts, and is another name where that was made anew and counts from zero: so a reading may be
 * told twice, late or in any order, and counts once.
 */
export const meterReading = object({
  source: text(200, { pattern: '^[ -~]+$' }),
  /** Of the guest's port that it is of. */
  portId: optional(id<PortId>()),
  /** Of the router whose gateway it is of, or, with an address, of which floating IP of the router's. */
  routerId: optional(id<string>()),
  floatingIp: optional(address),
  /**
   * Of what came in by a router's gateway or left by one, from and to these, what was named by nothing narrower. The router stands in here, for an older control, which
   * overlooks this, would take it for the router's own.
   */
  counted: optional(
    object({ routerId: id<string>(), direction: oneOf('ingress', 'egress'), source: cidr, destination: cidr }),
  ),
  ...passed,
});
export type MeterReading = Static<typeof meterReading>;

/** Those that have grown since control recorded them. Sent again, under a later number, until control answers with the number. */
export const metersMessage = object({
  type: literal('meters'),
  sequence: count,
  readings: list(meterReading, messageLimits.meters, { distinct: 'source', misfits: 'left out' }),
});

/** The readings of the message with that number are recorded. */
export const meteredMessage = object({ type: literal('metered'), sequence: count });

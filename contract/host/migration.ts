/**
 * A server's way from one host to another. Both hosts have its document then: the source under the epoch that it owns, the target under the
 * next one. Whose it is the database says, and says anew only when the target has reported that it has taken over; until then the source's is
 * the server.
 *
 *   target: incoming          takes copies of the disks' files and, live, waits with a QEMU that runs nothing: `ready`, with its ports
 *   source: outgoing          sends the disks, then live the memory: `copying`, `handing_over`, `handed_over`
 *   target                    live: lets the guest run as soon as all of it is there and says `taken_over`; cold: says so with the last byte
 *   control                   raises the epoch and makes the target the owner; the source's document says absent, or (cold, until it is
 *                             confirmed) keeps the disks with `outgoing.keep`
 *
 * The right to run passes with the memory, without control in between, and never back by itself: the source writes down that it hands over
 * before it lets QEMU send the last of it, and runs the guest again only when control gives it the server under a newer epoch, as it does only
 * when the target has said `given_up`, or can no longer run it. A source that hands nothing over yet is called off by a document without a
 * target, or without `outgoing`. The target writes `taken_over` down before the guest runs, and never after it was told `incoming.cancelled`.
 *
 * Both QEMUs know each other by a key of this migration alone (TLS-PSK, RFC 4279): no guest's process ever sees the host's own certificate.
 */
import type { Static } from 'typebox';
import type { MigrationId } from '../ids.ts';
import { boolean, count, id, integer, list, nullable, object, oneOf, optional, text } from '../schema/type.ts';
import { hostLimits, migrationLimits as limits } from './limits.ts';

const port = integer(1, 65_535);
const key = text(64, { pattern: '^[0-9a-f]{64}$' });
/** live: the guest runs on meanwhile; cold: it is off. */
const mode = oneOf('live', 'cold');

/** On the document of the target, which is not the owner yet. */
export const incomingServer = object({
  id: id<MigrationId>(),
  mode,
  /** In hex, 256 bits. */
  key,
  /** Nobody wants it any more: whatever came is removed, and the guest never runs here by this migration. */
  cancelled: boolean,
});
export type IncomingServer = Static<typeof incomingServer>;

/** On the document of the source. */
export const outgoingServer = object({
  id: id<MigrationId>(),
  mode,
  key,
  /** As the target said them with `ready`; null: it is not yet, or the migration is called off. */
  target: nullable(
    object({
      address: text(limits.addressLength),
      /** NBD (TLS): an export for each disk, under its name in `disks`. */
      disksPort: port,
      disks: list(text(limits.diskNameLength), limits.disks),
      /** QEMU's migration stream (TLS); null: cold. */
      memoryPort: nullable(port),
    }),
  ),
  /** The guest stays here, or runs here again, also after the hand-over. A host obeys it; control says it in other words, see above. */
  cancelled: boolean,
  /** Whatever it costs: the guest is held still until the rest of its memory is there. */
  force: boolean,
  /** It was handed over; the disks are kept as they were, and no guest runs, until this is gone. */
  keep: boolean,
});
export type OutgoingServer = Static<typeof outgoingServer>;

const failure = object({ code: text(hostLimits.errorCodeLength), message: text(hostLimits.errorMessageLength) });

export const observedIncoming = object({
  id: id<MigrationId>(),
  /**
   * ready: the source may begin; taken_over: the guest is this host's (live: it runs); given_up: it never was and never will be, nothing of
   * it is left but what `error` says.
   */
  state: oneOf('preparing', 'ready', 'taken_over', 'given_up'),
  /** From `ready` on. */
  target: optional(
    object({
      address: text(limits.addressLength),
      disksPort: port,
      disks: list(text(limits.diskNameLength), limits.disks),
      memoryPort: nullable(port),
    }),
  ),
  error: nullable(failure),
});
export type ObservedIncoming = Static<typeof observedIncoming>;

export const observedOutgoing = object({
  id: id<MigrationId>(),
  /**
   * handing_over: written down, the guest stands still (cold: never); handed_over: QEMU says that the target has all of it, or (cold) all disks
   * are there; stayed: it did not go, and runs here if it should; lost_sight: it was handing over when the way broke, and nobody here
   * knows whether the target has it: the guest stands still until another epoch, `cancelled` or absent.
   */
  state: oneOf('preparing', 'copying', 'handing_over', 'handed_over', 'stayed', 'lost_sight'),
  /** Bytes. */
  disks: object({ total: count, copied: count }),
  memory: optional(
    object({
      total: count,
      remaining: count,
      /** Sent so far, in bytes; what was sent again counts again. */
      sent: count,
      /** Bytes a second that the guest writes to, and that pass. */
      dirtied: count,
      throughput: count,
      /** Of the processors' time, in per cent, that auto-converge takes away. */
      throttle: integer(0, 99),
    }),
  ),
  /** How long until it is there at this rate, in ms; null: not at this rate. Absent: not known yet. */
  forecastMs: optional(nullable(count)),
  /** How long the guest stood still; known from `handed_over` on. */
  downtimeMs: optional(count),
  error: nullable(failure),
});
export type ObservedOutgoing = Static<typeof observedOutgoing>;

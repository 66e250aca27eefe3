/**
 * Versions of the stream's protocol. A new field or a new type of message needs none: they are ignored by a peer that does
 * not know them. A version is raised when a peer that ignores would do wrong; then both are spoken until no older peer is
 * left (older.ts). Pure.
 */
import type { Static } from 'typebox';
import { count, object, optional } from '../schema/type.ts';

/** What this code speaks. */
export const hostProtocol: ProtocolRange = { lowest: 1, highest: 5 };

export interface ProtocolRange {
  lowest: number;
  highest: number;
}

/** The fields of both hellos that say it. */
export const versions = {
  /** The highest version that is spoken. */
  protocol: count,
  /** The lowest; where it is missing only `protocol` is spoken. */
  lowestProtocol: optional(count),
};

const spoken = object(versions);

export const speaking = (range: ProtocolRange): Static<typeof spoken> => ({
  protocol: range.highest,
  lowestProtocol: range.lowest,
});

/** The version that both speak: the highest; undefined where there is none. */
export function agree(own: ProtocolRange, peer: Static<typeof spoken>): number | undefined {
  const version = Math.min(own.highest, peer.protocol);
  return version >= Math.max(own.lowest, peer.lowestProtocol ?? peer.protocol) ? version : undefined;
}

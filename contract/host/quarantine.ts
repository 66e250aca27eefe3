/**
 * What a host has and control does not account for: the database was lost, is another one, or went back. The host keeps all of it,
 * tells control, and waits for a document: nothing is erased because it is missing.
 */
import type { Static } from 'typebox';
import type { ImageId, LayerId, ServerId } from '../ids.ts';
import { boolean, count, id, nullable, object, oneOf, optional, text, time } from '../schema/type.ts';
import { imageFormats } from './image.ts';
import { desiredLayer } from './layer.ts';
import { desiredServer } from './server.ts';

const since = time;

export const quarantinedServer = object({
  id: id<ServerId>(),
  /**
   * missing: the snapshot did not name it; older: the snapshot named it with an older epoch or generation than the host knows;
   * unclaimed: it lies on the host's disk, and the host has no document of it.
   */
  reason: oneOf('missing', 'older', 'unclaimed'),
  since,
  /** A QEMU of it runs. */
  guest: boolean,
  /**
   * Of one that was on its way between hosts (migration.ts). arriving: it came here only in part, and is whole where it came from; left: all of it went to the other
   * host. Absent: all of it is here, as far as the host knows.
   */
  way: optional(oneOf('arriving', 'left')),
  /** What the host was last told, whole; null only where it is unclaimed. */
  document: nullable(desiredServer),
});
export type QuarantinedServer = Static<typeof quarantinedServer>;

/** A layer of a volume. */
export const quarantinedLayer = object({
  id: id<LayerId>(),
  /** missing, older: as of servers. */
  reason: oneOf('missing', 'older'),
  since,
  document: desiredLayer,
});
export type QuarantinedLayer = Static<typeof quarantinedLayer>;

/** An upload whose bytes the host has and that control does not list. */
export const quarantinedImage = object({
  id: id<ImageId>(),
  format: oneOf(...imageFormats),
  sizeBytes: count,
  virtualSizeBytes: nullable(count),
  sha256: text(64, { pattern: '^[0-9a-f]{64}$' }),
  md5: nullable(text(32, { pattern: '^[0-9a-f]{32}$' })),
});
export type QuarantinedImage = Static<typeof quarantinedImage>;

/** The image that a server's disk is made from. */
import type { Static } from 'typebox';
import type { ImageId } from '../ids.ts';
import { count, id, list, nullable, object, oneOf, text } from '../schema/type.ts';
import { hostLimits, imageLimits } from './limits.ts';

/** Where another machine's HTTPS service answers. */
export const hostUrl = text(hostLimits.urlLength, { format: 'https-origin' });

/**
 * Formats of stored files: those that QEMU reads, discs, and appliances, of which a guest gets the disk.
 * VHD is QEMU's vpc, ploop its parallels.
 */
export const imageFormats = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso', 'ploop', 'ova'] as const;
export type ImageFormat = (typeof imageFormats)[number];

export const desiredImage = object({
  id: id<ImageId>(),
  format: oneOf(...imageFormats),
  /** Bytes of the stored file. */
  sizeBytes: count,
  /**
   * Lower-case hex of the stored file's bytes. Null: not known yet. The host that has the bytes needs none; another one waits, and takes no
   * bytes that it can't verify.
   */
  sha256: nullable(text(64, { pattern: '^[0-9a-f]{64}$' })),
  /**
   * HTTPS services of hosts that hold the bytes; empty when this host itself does. Another host's word that is no address
   * must not keep this one from its work.
   */
  sources: list(hostUrl, imageLimits.sources, { misfits: 'left out' }),
});
export type DesiredImage = Static<typeof desiredImage>;

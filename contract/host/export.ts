/**
 * A volume for one machine outside the cloud, by iSCSI. It is a word of the document of the volume's top layer: who has a layer open is
 * known with the layer, and so is that nobody else may have it.
 */
import type { Static } from 'typebox';
import type { AttachmentId, VolumeKeyId } from '../ids.ts';
import { boolean, id, integer, object, optional, text } from '../schema/type.ts';
import { diskLimits } from './hardware.ts';
import { exportLimits as limits } from './limits.ts';

/** A name of an initiator (RFC 7143, 4.2.7): iqn., eui. or naa. */
export const initiatorPattern =
  '^(iqn\\.\\d{4}-\\d{2}\\.[a-z0-9.-]+(:[a-zA-Z0-9.:_-]+)?|eui\\.[0-9A-Fa-f]{16}|naa\\.([0-9A-Fa-f]{16}|[0-9A-Fa-f]{32}))$';

export const desiredExport = object({
  /** The attachment that it is of. */
  id: id<AttachmentId>(),
  /** The one that may log in. */
  initiator: text(limits.initiatorLength, { pattern: initiatorPattern }),
  /** By CHAP; the secret itself is asked for as keys are (messages.ts), and kept nowhere. */
  user: text(limits.userLength, { pattern: '^[A-Za-z0-9-]+$' }),
  secretId: id<VolumeKeyId>(),
  /** Its own, of those that the host has said ({@link portalOf}); it stays when the volume's top changes, so whoever was cut off finds it again. */
  port: integer(1, 65_535),
  readOnly: boolean,
  /** Of its volume's type. Absent: none. */
  limits: optional(diskLimits),
});
export type DesiredExport = Static<typeof desiredExport>;

/** It is open to that machine. */
export const observedExport = object({
  id: id<AttachmentId>(),
  /** address:port */
  portal: text(limits.portalLength),
  iqn: text(limits.initiatorLength),
  lun: integer(0, 16_383),
});
export type ObservedExport = Static<typeof observedExport>;

/** Where machines outside reach a host; a port each. */
export interface IscsiPortal {
  address: string;
  first: number;
  last: number;
}

/** @param text `address:port` or `address:first-last`, an IPv6 address in brackets. @returns undefined where it is none */
export function portalOf(text: string): IscsiPortal | undefined {
  const [, bracketed, plain, from = '', to = from] =
    /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain;
  const [first, last] = [Number(from), Number(to)];
  return address !== undefined && first >= 1 && last >= first && last <= 65_535 ? { address, first, last } : undefined;
}

/** 96 bits of what was told, as the 16 letters that every initiator takes (RFC 7143, 12.1.3; some take no more). @param told in hex */
export const chapSecretOf = (told: string): string => Buffer.from(told.slice(0, 24), 'hex').toString('base64url');

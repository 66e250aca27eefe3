/** How a machine outside reaches a volume, as Cinder's drivers of its targets say it (cinder/volume/targets/iscsi.py): os-brick reads it. */
import { Type } from 'typebox';
import type { FoundAttachment, ShownAttachment } from '../../../control/storage/connection/index.ts';
import * as a from './answers.ts';

const value = Type.Union([a.text, a.boolean, a.number, Type.Null()]);

/** Of an attachment: all in one. */
export const flatInfo = a.byName(value);
/** Of the older call. */
export const nestedInfo = a.record({ driver_volume_type: a.text, data: a.byName(value) });

/** Undefined: there is no way, or it is not the caller's to know. */
export function connectionInfo({ id, volume_id, mode, connection }: FoundAttachment) {
  if (!connection) return undefined;
  const { portal: target_portal, iqn: target_iqn, lun: target_lun, user, secret } = connection;
  const target = { target_discovered: false, target_portal, target_iqn, target_lun };
  const login = { auth_method: 'CHAP', auth_username: user, auth_password: secret };
  const use = { discard: true, qos_specs: null, access_mode: mode, encrypted: false, cacheable: false };
  return {
    driver_volume_type: 'iscsi',
    data: { ...target, volume_id, attachment_id: id, ...login, ...use, enforce_multipath: false },
  };
}

export function flatConnectionInfo(attachment: ShownAttachment | FoundAttachment) {
  const { id, volume_id, local } = attachment;
  // Where the server's host has the volume: there is no way to it from anywhere else.
  if (local) return { driver_volume_type: 'local', attachment_id: id, volume_id };
  const info = 'connection' in attachment ? connectionInfo(attachment) : undefined;
  return info ? { driver_volume_type: info.driver_volume_type, ...info.data } : {};
}

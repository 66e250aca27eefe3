/**
 * Shelve: the disk becomes an image, and the server leaves its host; unshelve makes it run again, where there is room for it. What makes
 * it the same server stays: its id, its ports and addresses, its size, and its place in the quota. As in Nova, what a UEFI firmware has
 * written down (boot entries, keys) does not: it comes back with the firmware's defaults.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../../contract/errors.ts';
import { type ImageId, newId } from '../../../../contract/ids.ts';
import { requireAdmin } from '../../../kit/caller.ts';
import { databaseNow } from '../../../kit/database/clock.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { isVolumeBacked, type ServerRow } from '../server.ts';
import type { ServerRoot } from '../snapshots.ts';
import type { ServerShelve } from '../states.ts';
import type { DesiredChange } from '../store.ts';
import { bytesMs, type Decision, requireNoTpm, type ServerAction } from './action.ts';
import { beginImage, captureMs, longestImageName } from './create-image.ts';

export interface UnshelveWish {
  /** From now on; null: in any. Undefined: as it was. */
  zone?: string | null;
  /** Administrators: the name of the host that it shall go to; null: any. */
  host: string | null;
}

const suffix = '-shelved';

/** It is switched off first; Nova brings it back running, whatever it was. */
export const shelve: ServerAction = {
  verb: 'shelve',
  doing: 'shelve a server',
  deadlineMs: captureMs,
  async decide(work, server): Promise<Decision> {
    requireNoTpm(server, 'shelve');
    const power = server.desired_power === 'off' ? 'off' : 'on';
    if (isVolumeBacked(server)) {
      return { power: 'off', shelve: { image_id: null, state: 'saving', offload_after: 0, power } };
    }
    const imageId = newId<ImageId>();
    const name = `${[...server.name].slice(0, longestImageName - suffix.length).join('')}${suffix}`;
    await beginImage(work, server, { imageId, name, metadata: {} }, { image_type: 'snapshot' });
    return {
      power: 'off',
      capture: { image_id: imageId, kind: 'shelve' },
      shelve: {
        ...{ image_id: imageId, state: 'saving', offload_after: work.deps.shelvedOffloadSeconds ?? 0 },
        power,
      },
    };
  },
};

/** Of a shelved server that its host still has. */
export const shelveOffload: ServerAction = {
  verb: 'shelveOffload',
  doing: 'take a shelved server from its host',
  needs: 'admin',
  deadlineMs: bytesMs,
  decide: ({ tx }, server) => offloadNow(tx, server),
};

export async function offloadNow(tx: Tx, { desired_shelve: shelve }: ServerRow): Promise<DesiredChange> {
  const now = await databaseNow(tx);
  return { shelve: { ...shelve!, state: 'offloading', offload_at: now.toISOString() } };
}

export const unshelve: ServerAction<UnshelveWish> = {
  verb: 'unshelve',
  doing: 'unshelve a server',
  deadlineMs: bytesMs,
  async decide({ tx, caller }, server, { zone, host }): Promise<Decision> {
    const shelved = server.desired_shelve!;
    if (shelved.state !== 'offloaded') {
      if (zone !== undefined || host !== null) throw new CloudError('conflict', 'unshelve_in_place', { id: server.id });
      return { power: 'on', shelve: { ...shelved, state: 'unshelving' } };
    }
    if (host !== null) requireAdmin(caller, 'unshelve a server to a host of choice');
    const place = await placeFor(tx, server, { zone, host });
    const root = isVolumeBacked(server) ? {} : { root: await savedDisk(tx, server, shelved) };
    return { power: 'on', place, ...root, shelve: { ...shelved, state: 'unshelving', offloaded: true } };
  },
};

async function placeFor(
  tx: Tx,
  server: ServerRow,
  { zone: given, host }: UnshelveWish,
): Promise<Pick<ServerRow, 'availability_zone' | 'requested_host_id'>> {
  const zone = given === undefined ? server.availability_zone : given;
  const { rows } = await sql<{ zone_known: boolean; host_id: string | null; host_zone: string | null }>`select
    exists (select from host where availability_zone = ${zone}::text) as zone_known,
    (select id from host where name = ${host}::text) as host_id,
    (select availability_zone from host where name = ${host}::text) as host_zone`.execute(tx);
  const { zone_known: zoneKnown, host_id: hostId, host_zone: hostZone } = rows[0]!;
  if (given != null && !zoneKnown) throw new CloudError('invalid', 'availability_zone_unknown', { zone: given });
  if (host !== null && hostId === null) throw new CloudError('invalid', 'host_not_found', { id: host });
  if (host !== null && zone !== null && hostZone !== zone) {
    throw new CloudError('conflict', 'host_not_in_zone', { host, zone });
  }
  return { availability_zone: zone, requested_host_id: hostId };
}

/** The image is its owner's, who may have deleted it. */
async function savedDisk(tx: Tx, server: ServerRow, { image_id, image }: ServerShelve): Promise<ServerRoot> {
  const { rows } = await sql`select from image where id = ${image_id} and status = 'active'
    and desired_presence = 'present'`.execute(tx);
  if (!rows[0] || !image || image_id === null) {
    throw new CloudError('conflict', 'shelved_image_gone', { id: server.id, image: String(image_id) });
  }
  return { image_id, image };
}

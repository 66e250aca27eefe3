/** Where a new volume may be, as its scheduler hints and its zone say: beside other volumes or a server, or away from them. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { VolumeSource } from './source.ts';

export interface PlaceWish {
  /** Null: any. */
  zone: string | null;
  /** Ids of volumes on whose host it shall be, or not be. */
  sameHost: string[];
  differentHost: string[];
  /** The server on whose host it shall be. */
  localTo: string | null;
}

/** What is known of where it may be. */
export interface Hints {
  zone_known: boolean;
  same: string | null;
  different: string[];
}

/** @throws CloudError `invalid` for a hint that names what is not there */
export async function readHints(tx: Tx, projectId: string, wish: PlaceWish): Promise<Hints> {
  const { zone, sameHost, differentHost, localTo } = wish;
  const plain = sameHost.length + differentHost.length === 0 && localTo === null;
  if (plain && zone === null) return { zone_known: true, same: null, different: [] };
  const ids = (texts: readonly string[]) => texts.map((text) => parseId(text) ?? hintUnknown('same_host', text));
  const server = localTo === null ? null : (parseId(localTo) ?? hintUnknown('local_to_instance', localTo));
  const of = (volumes: string[]) => sql`select host_id from volume where id = any(${volumes}::uuid[])
    and project_id = ${projectId} and host_id is not null`;
  const { rows } = await sql<Hints & { server_known: boolean }>`select
    (${zone}::text is null or exists (select from host where availability_zone = ${zone}::text)) as zone_known,
    coalesce((select host_id from server where id = ${server}::uuid and project_id = ${projectId}),
      (${of(ids(sameHost))} order by id limit 1)) as same,
    exists (select from server where id = ${server}::uuid and project_id = ${projectId}) as server_known,
    array(${of(ids(differentHost))}) as different`.execute(tx);
  const { server_known, ...hints } = rows[0]!;
  if (localTo !== null && !server_known) hintUnknown('local_to_instance', localTo);
  return hints;
}

function hintUnknown(hint: string, id: string): never {
  throw new CloudError('invalid', 'volume_hint_unknown', { hint, id });
}

/** A clone is where its source is. @throws CloudError `invalid` */
export function requireZone({ zone }: PlaceWish, hints: Hints, source: VolumeSource | null): void {
  if (zone === null) return;
  if (!hints.zone_known) throw new CloudError('invalid', 'volume_zone_unknown', { zone });
  if (source?.host_zone && source.host_zone !== zone)
    throw new CloudError('invalid', 'volume_zone_of_source', { zone });
}

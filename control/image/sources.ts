/** Where a host gets an image's bytes from, for the documents of what is made of the image. */
import { type RawBuilder, sql } from 'kysely';
import { endpointUrl } from '../host/index.ts';

/** Those that are there first; and for stamps, which are no other when a host goes away, by id. */
export const sourceOrders = { nearestFirst: sql`o.connected desc, o.id`, byId: sql`o.id` } as const;

/**
 * The hosts that have the image's bytes; null where the host that asks holds them itself. The tables are called `place` and `o` in it.
 */
export const imageSources = (
  imageId: RawBuilder<unknown>,
  hostId: RawBuilder<unknown>,
  order: RawBuilder<unknown>,
): RawBuilder<string[] | null> => sql<string[] | null>`(
  case when exists (select from image_location place where place.image_id = ${imageId} and place.host_id = ${hostId}) then null
    else (select json_agg(${endpointUrl('o')} order by ${order})
      from image_location place join host o on o.id = place.host_id
      where place.image_id = ${imageId} and ${endpointUrl('o')} <> '') end)`;

/** The digest of an image whose digest was not known when `snapshot` of it was taken. */
export const laterDigest = (snapshot: RawBuilder<unknown>, imageId: RawBuilder<unknown>): RawBuilder<string | null> =>
  sql<
    string | null
  >`case when ${snapshot} ->> 'sha256' is null then (select known.sha256 from image known where known.id = ${imageId}) end`;

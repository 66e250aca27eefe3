/**
 * Servers that were given an image whose digest was not known: as soon as it is they have it, and hosts that wait for it are told. A task
 * of the queue by the image's id; safe to repeat.
 */
import { sql } from 'kysely';
import { cloudActor, type Database } from '../../kit/database/database.ts';

/** Columns that name an image beside what they know of it. */
const naming = ['desired_root', 'desired_rescue', 'desired_shelve'].map((name) => sql.ref(`s.${name}`));
const lacking = sql`(image @> '{"sha256": null}' or desired_root @> '{"image": {"sha256": null}}'
  or desired_rescue @> '{"image": {"sha256": null}}' or desired_shelve @> '{"image": {"sha256": null}}')`;

export async function tellDigest(database: Database, imageId: string): Promise<void> {
  const [root, rescue, shelve] = naming.map(
    (column) => sql`case when ${column} ->> 'image_id' = i.id::text and ${column} @> '{"image": {"sha256": null}}'
      then jsonb_set(${column}, '{image,sha256}', to_jsonb(i.sha256)) else ${column} end`,
  );
  const named = sql.join(
    naming.map((column) => sql`${column} ->> 'image_id' = i.id::text`),
    sql` or `,
  );
  await database.transaction(cloudActor, (tx) =>
    sql`update server s set desired_root = ${root}, desired_rescue = ${rescue}, desired_shelve = ${shelve},
        image = case when s.image_id = i.id and s.image @> '{"sha256": null}'
          then jsonb_set(s.image, '{sha256}', to_jsonb(i.sha256)) else s.image end, updated_at = now()
      from (select id, sha256 from image where id = ${imageId} and sha256 is not null) i
      where s.id in (select id from server where ${lacking}) and (s.image_id = i.id or ${named})`.execute(tx),
  );
}

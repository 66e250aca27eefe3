/** Layers on an image whose digest was not known when they were made: as soon as it is they have it. A task by the image's id; safe to repeat. */
import { sql } from 'kysely';
import { cloudActor, type Database } from '../../kit/database/database.ts';

export async function tellDigest(database: Database, imageId: string): Promise<void> {
  await database.transaction(cloudActor, (tx) =>
    sql`update volume_layer l set image = jsonb_set(l.image, '{sha256}', to_jsonb(i.sha256)), updated_at = now()
      from image i where i.id = ${imageId} and i.sha256 is not null and l.image_id = i.id and l.image @> '{"sha256": null}'`.execute(
      tx,
    ),
  );
}

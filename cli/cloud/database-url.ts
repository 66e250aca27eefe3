import { serviceUser } from '../install/users.ts';
import type { Settings } from '../settings.ts';
import { cloudLayout } from './layout.ts';
import { postgresUrl } from './postgres.ts';

/** The database that this cloud uses: the setting, or the private cluster's socket. */
export function databaseUrlOf({ paths, values }: Settings): string {
  const { socketDirectory } = cloudLayout(paths).postgres;
  return values.database_url !== '' ? values.database_url : postgresUrl({ socketDirectory, user: serviceUser });
}

/**
 * Before a start: the host's directory may know servers that the database has never heard of, because the database is lost or
 * another one. Nothing would be erased (hosts quarantine), but a new cloud beside running guests is hardly ever what is
 * meant; so it is asked for by a flag. Reads only.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { parseId } from '../../contract/ids.ts';
import { CommandError } from '../command.ts';
import { dataArgument, type Settings } from '../settings.ts';
import { databaseUrlOf } from './database-url.ts';
import { readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';

const connectTimeoutMs = 5000;

/** @throws CommandError where servers lie on this machine and the database does not know this cloud */
export async function requireKnownDatabase(settings: Settings, options: { newDatabase: boolean }): Promise<void> {
  if (options.newDatabase) return;
  const servers = serversOf(cloudLayout(settings.paths).hostData);
  if (servers === 0) return;
  const missing = settings.values.database_url === '' ? ownDatabase(settings) : await otherDatabase(settings);
  if (missing === undefined) return;
  const up = `sudo ./bothy up${dataArgument(settings.paths)}`;
  throw new CommandError(
    `${missing}, but this machine has the disks of ${servers} ${servers === 1 ? 'server' : 'servers'} (nothing was touched)`,
    `put the database back or restore its dump, then ${up}; or start with a new one: ${up} --new-database, then bothy recover takes the servers up (docs/runbook-lost-database.md)`,
  );
}

function serversOf(hostData: string): number {
  const directory = join(hostData, 'servers');
  return existsSync(directory) ? readdirSync(directory).filter((name) => parseId(name) !== undefined).length : 0;
}

function ownDatabase(settings: Settings): string | undefined {
  const { directory } = cloudLayout(settings.paths).postgres;
  return existsSync(directory) ? undefined : `the database ${directory} is missing`;
}

/** One that does not answer is left to the start itself, which says so. */
async function otherDatabase(settings: Settings): Promise<string | undefined> {
  const connectionString = databaseUrlOf(settings);
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'bothy up',
  });
  try {
    await client.connect();
  } catch {
    return undefined;
  }
  try {
    const { rows } = await client.query(`select to_regclass('cloud') is not null as made`);
    if (!rows[0].made) return 'the database of database_url is empty';
    const [cloud] = (await client.query('select id from cloud')).rows;
    if (cloud === undefined) return 'the database of database_url is empty';
    const identity = readIdentity(settings.paths);
    return identity && cloud.id !== identity.cloudId
      ? `the database of database_url is of another cloud (${cloud.id})`
      : undefined;
  } finally {
    await client.end();
  }
}

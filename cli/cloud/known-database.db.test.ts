import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { CommandError } from '../command.ts';
import { loadSettings } from '../settings.ts';
import { requireKnownDatabase } from './known-database.ts';

const data = mkdtempSync(join(tmpdir(), 'bothy-known-'));
after(() => rmSync(data, { recursive: true }));
const cloudId = newId();
writeFileSync(join(data, 'cloud.json'), JSON.stringify({ cloudId, hostId: newId(), createdAt: '' }));

const settingsWith = (url: string) => {
  const settings = loadSettings(data);
  return { ...settings, values: { ...settings.values, database_url: url } };
};
const refused = (word: RegExp) => (error: unknown) => error instanceof CommandError && word.test(error.message);
const server = join(data, 'host/servers', newId());

test('a machine without servers starts with whatever database there is', async () => {
  await requireKnownDatabase(settingsWith(''), { newDatabase: false });
});

test('a machine with servers does not start without its database, unless a new one is asked for', async () => {
  mkdirSync(server, { recursive: true });
  await assert.rejects(requireKnownDatabase(settingsWith(''), { newDatabase: false }), refused(/missing.*1 server/));
  await requireKnownDatabase(settingsWith(''), { newDatabase: true });
  mkdirSync(join(data, 'postgres'));
  await requireKnownDatabase(settingsWith(''), { newDatabase: false });
});

test('nor with a database that is empty, or of another cloud', async () => {
  mkdirSync(server, { recursive: true });
  await using db = await testDatabase();
  const settings = settingsWith(db.url.reveal());
  await assert.rejects(requireKnownDatabase(settings, { newDatabase: false }), refused(/is empty/));
  await sql`insert into cloud (id, region) values (${newId()}, 'x')`.execute(db.database.query);
  await assert.rejects(requireKnownDatabase(settings, { newDatabase: false }), refused(/of another cloud/));
  await sql`update cloud set id = ${cloudId}`.execute(db.database.query);
  await requireKnownDatabase(settings, { newDatabase: false });
  await sql`drop table cloud`.execute(db.database.query);
  await assert.rejects(requireKnownDatabase(settings, { newDatabase: false }), refused(/is empty/));
});

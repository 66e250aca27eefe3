/** A new resource is a folder and one line: docs/add-a-resource.md, followed to the letter. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../contract/ids.ts';
import { until } from '../test/support/until.ts';
import { type HostInterest, looksOf, markDirty } from './host/interest.ts';
import { clearProjects } from './identity/project-resources.ts';
import { type Change, currentPosition, readChanges } from './kit/change-log/changes.ts';
import { cloudActor } from './kit/database/database.ts';
import { testDatabase, testProject } from './kit/database/testing.ts';
import { checkQuota, quotaUsage } from './kit/quota/quota.ts';
import type { ResourceDescriptor } from './kit/resource.ts';
import { resources, usage } from './resources.ts';

const page = readFileSync(new URL('../docs/add-a-resource.md', import.meta.url), 'utf8');
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)![1]!.replace(/^ {3}/gm, '');

const bookshelf = {
  noun: 'bookshelf',
  memberColumns: ['boards'],
  usage: { bookshelves: (p) => sql`select count(*) as used from bookshelf where project_id = ${p}` },
  keepsProject: {},
  wakes: { hosts: (look, { resource_id: id }) => look.server(id, null, { deleted: false }) },
} satisfies ResourceDescriptor;

test('the page describes the bookshelf of this test', () => {
  const own = readFileSync(new URL(import.meta.url), 'utf8');
  assert.ok(own.includes(block('ts').replace('export ', '')));
});

test('a resource that describes itself is counted, kept from members as it says, in its project’s way, and wakes', async () => {
  await using db = await testDatabase();
  const { database } = db;
  await sql.raw(block('sql')).execute(database.query);
  const all = [...resources, bookshelf];
  const projectId = await testProject(database);
  await sql`insert into quota (id, project_id, resource, maximum) values (gen_random_uuid(), null, 'bookshelves', 1)`.execute(
    database.query,
  );
  const after = await currentPosition(database.query);
  const id = newId();
  const create = (shelf: string) =>
    database.transaction(cloudActor, async (tx) => {
      await checkQuota(tx, projectId, bookshelf.usage, { bookshelves: 1 });
      await sql`insert into bookshelf (id, project_id, name, secret_drawer)
        values (${shelf}, ${projectId}, '書棚 📚', 'key')`.execute(tx);
    });
  await create(id);
  await assert.rejects(create(newId()), { code: 'quota_exceeded' });
  assert.deepEqual(await quotaUsage(database.query, projectId, { ...bookshelf.usage, networks: usage.networks! }), {
    bookshelves: 1,
    networks: 0,
  });

  // Transactions of other tests in this cluster hold the horizon back.
  let changes: Change[] = [];
  await until('the change to be final', async () => {
    ({ changes } = await readChanges(database.query, { after, limit: 10, projectId, resourceTypes: ['bookshelf'] }));
    return changes.length > 0;
  });
  assert.deepEqual(
    changes.map(({ action, body }) => [action, body.name]),
    [['created', '書棚 📚']],
  );
  const woken: string[] = [];
  const look = { marked: false, server: (server: string) => woken.push(server) };
  markDirty(looksOf(all), look as unknown as HostInterest & { marked: boolean }, changes);
  assert.deepEqual(woken, [id]);

  const clear = () =>
    database.transaction(cloudActor, (tx) =>
      clearProjects(tx, { resources: all, projectIds: [projectId], noun: 'project', id: 'x' }),
    );
  await assert.rejects(clear(), {
    code: 'conflict',
    reason: 'project_resources_left',
    fields: { noun: 'project', id: 'x', resources: { bookshelfs: 1 } },
  });
  await sql`delete from bookshelf`.execute(database.query);
  await clear();
});

test('resources stand after those that they refer to', async () => {
  await using db = await testDatabase();
  const { rows } = await sql<{ child: string; parent: string }>`select conrelid::regclass::text as child,
    confrelid::regclass::text as parent from pg_constraint where contype = 'f' and conrelid <> confrelid`.execute(
    db.database.query,
  );
  const place = new Map(resources.map(({ noun }, index) => [noun, index]));
  const wrong = rows
    .map(({ child, parent }) => [child.replaceAll('"', ''), parent.replaceAll('"', '')] as const)
    .filter(([child, parent]) => place.has(child) && place.has(parent) && place.get(child)! < place.get(parent)!);
  assert.deepEqual(wrong, []);
});

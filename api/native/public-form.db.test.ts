import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { resources } from '../../control/resources.ts';
import { memberTypes, publicForm } from './public-form.ts';

test('every type of the change log is either shown to members column by column or to administrators only', async () => {
  await using db = await testDatabase();
  const { rows } = await sql<{ type: string; name: string; columns: string[] }>`
    select convert_from(substring(t.tgargs from 1 for position('\\000'::bytea in t.tgargs) - 1), 'UTF8') as type,
      c.relname as name,
      (select array_agg(attname::text) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
    where p.proname = 'append_change'`.execute(db.database.query);
  assert.deepEqual([...new Set(rows.map((row) => row.type))].sort(), resources.map(({ noun }) => noun).sort());
  for (const { type, columns } of rows) {
    for (const column of resources.find(({ noun }) => noun === type)?.memberColumns ?? [])
      assert.ok(columns.includes(column), `${type} has no column ${column}`);
    if (memberTypes.includes(type)) {
      assert.ok(
        columns.includes('project_id') || type === 'project',
        `${type} belongs to no project, so no member could see it`,
      );
    }
  }
});

test('where a thing is placed, and what is not known, is not shown', () => {
  const row = { id: 'x', name: 'n', host_id: 'h', requested_host_id: 'h', epoch: 3, observed_error: {}, new_column: 1 };
  assert.deepEqual(publicForm('server', row), { id: 'x', name: 'n' });
  assert.deepEqual(publicForm('port', { ...row, binding_host: 'h', mac: 'm' }), { id: 'x', name: 'n', mac: 'm' });
  assert.deepEqual(publicForm('operation', { id: 'x', owner: 'host h', verb: 'create' }), { id: 'x', verb: 'create' });
  assert.equal(publicForm('role_assignment', row), undefined);
  assert.equal(publicForm('no such type', row), undefined);
});

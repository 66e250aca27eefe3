/** What identity decides rests on what is there when it is written; two who change different parts of one thing both do. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import type { ProjectId } from '../../contract/ids.ts';
import { betweenReadAndWrite } from '../kit/database/test-between.ts';
import { testAdmin } from '../network/testing.ts';
import { testIdentity } from './testing.ts';

const own = await testIdentity();
const between = await betweenReadAndWrite(own.db);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const { identity } = own;
const { database } = own.db;
const { credentials, domainConfig, projects, limits, users, catalogueEntries: registry } = identity;
const admin = testAdmin();
const domainId = identity.defaultDomainId;

const project = (name: string, parentId: ProjectId | null, enabled = true) =>
  projects.create(admin, { name, domainId, parentId, enabled });
const enabledBelowDisabled = async (): Promise<string[]> =>
  (
    await sql<{ name: string }>`select p.name from project p join project above on above.id = p.parent_id
      where p.enabled and not above.enabled`.execute(database.query)
  ).rows.map(({ name }) => name);

test('a project that is made below one that is disabled meanwhile is refused, or keeps that enabled', async () => {
  const above = (await project('above', null)).id;
  const outcomes = await between.run(
    'project',
    () => project('below', above),
    () => projects.update(admin, above, { enabled: false }),
  );
  assert.deepEqual(await enabledBelowDisabled(), []);
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a project that is enabled below one that is disabled meanwhile is refused, or keeps that enabled', async () => {
  const above = (await project('above too', null)).id;
  const below = (await project('below too', above, false)).id;
  const outcomes = await between.run(
    'project',
    () => projects.update(admin, below, { enabled: true }),
    () => projects.update(admin, above, { enabled: false }),
  );
  assert.deepEqual(await enabledBelowDisabled(), []);
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('who describes a limit does not take back the number that another gives it', async () => {
  const service = await registry.createService(admin, { type: 'lights', name: 'lights' });
  const name = { serviceId: service.id, region: null, resource: 'lamps' };
  const [registered] = await limits.register(admin, [{ ...name, limit: 5, description: null }]);
  const projectId = (await project('lit', null)).id;
  const [limit] = await limits.create(admin, [{ ...name, limit: 5, description: null, projectId, domainId: null }]);
  await between.run(
    'own_limit',
    () => limits.update(admin, limit!.id, { description: 'few' }),
    () => limits.update(admin, limit!.id, { limit: 7 }),
  );
  const kept = await limits.get(admin, limit!.id);
  assert.deepEqual([kept.resource_limit, kept.description], [7, 'few']);
  await between.run(
    'registered_limit',
    () => limits.updateRegistered(admin, registered!.id, { description: 'many' }),
    () => limits.updateRegistered(admin, registered!.id, { limit: 9 }),
  );
  const known = await limits.registeredOne(registered!.id);
  assert.deepEqual([known.default_limit, known.description], [9, 'many']);
});

test('of two regions that are each put below the other at once one is refused', async () => {
  for (const name of ['north', 'south']) await registry.createRegion(admin, name, {});
  const outcomes = await between.run(
    'region',
    () => registry.updateRegion(admin, 'north', { parent: 'south' }),
    () => registry.updateRegion(admin, 'south', { parent: 'north' }),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('of two who make the last credential that a user may have one does', async () => {
  const { id: userId } = await users.create(admin, { name: 'keeper', domainId });
  const wanted = { userId, type: 'cert', blob: 'b' };
  const { id } = await credentials.create(admin, wanted);
  await sql`insert into credential (id, user_id, type, sealed, extra)
    select gen_random_uuid(), user_id, type, sealed, extra from credential, generate_series(1, 498) where id = ${id}`.execute(
    database.query,
  );
  const create = () => credentials.create(admin, wanted);
  assert.deepEqual(await between.run('credential', create, create), ['done', 'refused']);
});

test('who changes a part of a credential does not take back what another changes', async () => {
  const { id: userId } = await users.create(admin, { name: 'changer', domainId });
  const projectId = (await project('of credentials', null)).id;
  const { id } = await credentials.create(admin, { userId, type: 'cert', blob: 'b' });
  await between.run(
    'credential',
    () => credentials.update(admin, id, { projectId }),
    () => credentials.update(admin, id, { blob: 'c' }),
  );
  const { project_id, blob } = await credentials.get(admin, id);
  assert.deepEqual([project_id, blob], [projectId, 'c']);
});

test('of two who put options in place of all that a domain has one stands whole', async () => {
  const put = (section: string, option: string) => () =>
    domainConfig.put(admin, domainId, { [section]: { [option]: 'x' } });
  await between.run('domain_config', put('identity', 'driver'), put('ldap', 'url'));
  assert.deepEqual(await domainConfig.get(admin, domainId, {}), { ldap: { url: 'x' } });
});

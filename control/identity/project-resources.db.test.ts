/** The end of a project against what is made in it at the same moment, with transactions that really wait for each other. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import type { DomainId, ProjectId, RoleId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { callerOf, type ServerCloud, serverCloud, silentLog } from '../compute/server/testing.ts';
import { ImageService } from '../image/index.ts';
import { testProject } from '../kit/database/testing.ts';
import { QuotaService } from '../kit/quota/index.ts';
import { NetworkService } from '../network/network/service.ts';
import { RouterService } from '../network/router/service.ts';
import { SecurityGroupService } from '../network/security-group/service.ts';
import { resources, usage, userUsage } from '../resources.ts';
import { type TestIdentity, testIdentity } from './testing.ts';

let identity: TestIdentity;
let cloud: ServerCloud;
let flavor: string;
/** A client that locks what holds the others up, and one that sees them wait. */
let holder: pg.Client;
let watcher: pg.Client;
before(async () => {
  identity = await testIdentity();
  cloud = await serverCloud(identity.db.database);
  await sql`insert into rbac_policy (id, project_id, network_id, action)
    select gen_random_uuid(), project_id, id, 'access_as_shared' from network where id = ${cloud.networkId}`.execute(
    cloud.database.query,
  );
  await cloud.addHost();
  flavor = await cloud.addFlavor();
  const client = () => new pg.Client({ connectionString: identity.db.url.reveal() });
  [holder, watcher] = [client(), client()];
  await Promise.all([holder.connect(), watcher.connect()]);
});
after(async () => {
  await Promise.all([holder.end(), watcher.end()]);
  await identity[Symbol.asyncDispose]();
});

/** That many transactions wait for a lock. */
const waiting = (wanted: number) =>
  until(`${wanted} transactions to wait`, async () => {
    const { rowCount } = await watcher.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return rowCount === wanted;
  });

interface Reference {
  table: string;
  onDelete: 'cascade' | 'refused';
}

async function referencesToProject(): Promise<Reference[]> {
  const { rows } = await sql<Reference>`select conrelid::regclass::text as table,
      case confdeltype when 'c' then 'cascade' else 'refused' end as "onDelete"
    from pg_constraint where contype = 'f' and confrelid = 'project'::regclass order by 1`.execute(
    cloud.database.query,
  );
  return rows;
}

/** The tables that have rows of a project. */
async function tablesWith(projectId: ProjectId): Promise<string[]> {
  const found: string[] = [];
  for (const { table } of await referencesToProject()) {
    if (table === 'project') continue;
    const { rows } = await sql`select from ${sql.table(table)} where project_id = ${projectId}`.execute(
      cloud.database.query,
    );
    if (rows.length > 0) found.push(table);
  }
  return found;
}

const deleteProject = (id: ProjectId) => identity.identity.projects.delete(cloud.admin, id);

test('whatever names a project references it, and is either counted before a deletion or goes along', async () => {
  const references = await referencesToProject();
  const { rows } = await sql<{ table: string }>`select c.relname as table from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'project_id' and not a.attisdropped
    where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace`.execute(
    cloud.database.query,
  );
  /** What happened stays on record; an offer may name anybody; a rule is its group's. */
  const free = ['change', 'decision', 'operation', 'image_member', 'security_group_rule'];
  assert.deepEqual(
    rows
      .map(({ table }) => table)
      .filter((table) => !free.includes(table))
      .sort(),
    [...new Set(references.map(({ table }) => table))].filter((table) => table !== 'project').sort(),
  );
  assert.deepEqual(
    references
      .filter(({ onDelete }) => onDelete === 'refused')
      .map(({ table }) => table)
      .sort(),
    [...resources.filter(({ keepsProject }) => keepsProject).map(({ noun }) => noun), 'project'].sort(),
  );
});

test('creation first: the deletion waits for a server that is being made, and is refused with it', async () => {
  const projectId = await testProject(cloud.database);
  const member = callerOf(projectId);
  await holder.query('begin');
  await holder.query('select from subnet where network_id = $1 for update', [cloud.networkId]);
  const creation = cloud.service.create(member, cloud.wish({ flavor }));
  await waiting(1);
  const deletion = assert.rejects(deleteProject(projectId), {
    code: 'conflict',
    fields: { noun: 'project', id: projectId, resources: { servers: 1, ports: 1 } },
  });
  await waiting(2);
  await holder.query('rollback');
  const { ids } = await creation;
  await deletion;
  assert.equal((await cloud.service.get(member, ids[0]!)).project_id, projectId);
});

test('deletion first: whatever is being made in the project hears that there is none, and nothing of it stays', async () => {
  const { database, admin } = cloud;
  const projectId = await testProject(database);
  const member = callerOf(projectId);
  const { rows } = await sql<{ role: RoleId; domain: DomainId }>`select r.id as role, p.domain_id as domain
    from role r, project p where r.name = 'reader' and p.id = ${projectId}`.execute(database.query);
  const { role, domain } = rows[0]!;
  const { projects, assignments, users } = identity.identity;
  const user = await users.create(admin, { name: 'u', domainId: domain });
  const images = new ImageService({ database, log: silentLog });
  const quotas = new QuotaService({ database, usage, userUsage });
  const set = (resource: string) => quotas.set(admin, projectId, { [resource]: 9 }, { force: true, counted: [] });
  await set('networks');

  // The deletion has found nothing and is about to go through.
  await holder.query('begin');
  await holder.query('select from quota where project_id = $1 for update', [projectId]);
  const deletion = deleteProject(projectId);
  await waiting(1);
  const creations = {
    server: cloud.service.create(member, cloud.wish({ flavor })),
    network: new NetworkService({ database }).create(member, [{ name: 'n' }]),
    router: new RouterService({ database }).create(member, { name: 'r' }),
    image: images.create(member, {}),
    'default security group': new SecurityGroupService({ database }).list(member, {}),
    quota: set('servers'),
    'project below it': projects.create(admin, { name: 'child', domainId: domain, parentId: projectId }),
    'role in it': assignments.grant(admin, { actor: { userId: user.id }, target: { projectId } }, role),
  };
  const settled = Promise.allSettled(Object.values(creations));
  await waiting(1 + Object.keys(creations).length);
  await holder.query('rollback');
  await deletion;
  const outcomes = await settled;
  for (const [index, what] of Object.keys(creations).entries()) {
    const outcome = outcomes[index]!;
    assert.equal(outcome.status, 'rejected', what);
    const { code, reason, fields } = outcome.reason;
    assert.deepEqual([code, reason, fields], ['not_found', 'project_not_found', { id: projectId }], what);
  }
  assert.deepEqual(await tablesWith(projectId), []);
});

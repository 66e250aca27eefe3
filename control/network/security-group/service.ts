/** Security groups and rules: the operations that the dialects may call. Each is one transaction. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, newOrderedId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, lockOwn, projectFor, requireWriter, touched } from '../../kit/rows.ts';
import { sees, sharedCondition } from '../access.ts';
import { ensureDefaultGroup, findDefaultGroup } from './default-group.ts';
import { securityGroup, securityGroupRule } from './resource.ts';
import { type Rule, type RuleWish, readRule, sameRule } from './rules.ts';
import {
  type SecurityGroupRow,
  type SecurityGroupRuleRow,
  securityGroupListing,
  securityGroupRuleListing,
} from './security-group.ts';
import { readTemplate, rulesOf } from './template.ts';

export interface SecurityGroupWish {
  project_id?: string;
  name?: string;
  description?: string;
  stateful?: boolean;
}

const inUse = (id: string) => new CloudError('conflict', 'security_group_in_use', { id });

/** The one project that the query asks about. */
function onlyProject({ filters = [] }: ListQuery): string | undefined {
  const asked = filters.filter(({ column }) => column === 'project_id').flatMap(({ values }) => values);
  return asked.length === 1 ? parseId(asked[0]!) : undefined;
}

async function isProject(db: Queryable, id: string): Promise<boolean> {
  return (await sql`select from project where id = ${id}`.execute(db)).rows.length > 0;
}

const defaultExists = () => new CloudError('conflict', 'security_group_default_already_exists', {});

const isDefaultName = (name: string | undefined): boolean => name?.toLowerCase() === 'default';

export class SecurityGroupService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** A project that looks at its groups has a default group, and so has the one project whose groups an administrator asks for. */
  async list(caller: Caller, query: ListQuery): Promise<SecurityGroupRow[]> {
    await this.#ensureDefault(caller, query);
    return listRows(this.#database.query, caller, securityGroupListing, query);
  }

  read(caller: Caller, id: string): Promise<SecurityGroupRow> {
    return readRow(this.#database.query, caller, securityGroupListing, id);
  }

  async #ensureDefault(caller: Caller, query: ListQuery): Promise<void> {
    const asked = isAdmin(caller) ? onlyProject(query) : undefined;
    const projectId = asked ?? caller.projectId;
    if (projectId === null || (await findDefaultGroup(this.#database.query, projectId))) return;
    if (asked !== undefined && !(await isProject(this.#database.query, asked))) return;
    await this.#database.transaction(actorOf(caller), (tx) => ensureDefaultGroup(tx, projectId));
  }

  /** With the rules of the template. */
  async create(caller: Caller, wishes: readonly SecurityGroupWish[]): Promise<SecurityGroupRow[]> {
    if (wishes.some((wish) => isDefaultName(wish.name))) throw defaultExists();
    const groups = wishes.map((wish) => ({
      ...wish,
      id: newId(),
      project_id: projectFor(caller, wish.project_id, 'create_security_group'),
      name: wish.name ?? '',
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const template = await readTemplate(tx, 'other');
      const byProject = Map.groupBy(groups, (group) => group.project_id);
      for (const project of [...byProject.keys()].sort()) {
        const count = byProject.get(project)!.length;
        await ensureDefaultGroup(tx, project);
        const usage = { ...securityGroup.usage, ...securityGroupRule.usage };
        const security_group_rules = template.length * count;
        await checkQuota(tx, project, usage, { security_groups: count, security_group_rules });
      }
      await tx.insertInto('security_group').values(groups).execute();
      const rules = groups.flatMap((group) => rulesOf(template, group));
      if (rules.length > 0) await tx.insertInto('security_group_rule').values(rules).execute();
      return listMade(
        tx,
        caller,
        securityGroupListing,
        groups.map(({ id }) => id),
      );
    });
  }

  async update(caller: Caller, id: string, wish: SecurityGroupWish): Promise<SecurityGroupRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<SecurityGroupRow>(tx, caller, 'security_group', id, 'update_security_group', {
        maySee: () => sees(tx, caller, securityGroupListing, id),
      });
      if (wish.name !== undefined && wish.name !== now.name) {
        if (now.is_default) {
          throw new CloudError('conflict', 'security_group_cannot_update_default', {});
        }
        if (isDefaultName(wish.name)) throw defaultExists();
      }
      if (wish.stateful !== undefined && wish.stateful !== now.stateful) {
        const { rows } = await sql`select from port_security_group where security_group_id = ${id} limit 1`.execute(tx);
        if (rows.length > 0) throw inUse(id);
      }
      const { project_id: _, ...columns } = wish;
      await tx
        .updateTable('security_group')
        .set({ ...defined(columns), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, securityGroupListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<SecurityGroupRow>(tx, caller, 'security_group', id, 'delete_security_group', {
        maySee: () => sees(tx, caller, securityGroupListing, id),
      });
      if (now.is_default && !isAdmin(caller)) {
        throw new CloudError('conflict', 'security_group_cannot_remove_default', {});
      }
      await sql`delete from security_group where id = ${id}`.execute(tx).catch((error: unknown) => {
        throw violatedConstraint(error) === undefined ? error : inUse(id);
      });
    });
  }

  /** With those of the default group, as of {@link list}. */
  async listRules(caller: Caller, query: ListQuery): Promise<SecurityGroupRuleRow[]> {
    await this.#ensureDefault(caller, query);
    return listRows(this.#database.query, caller, securityGroupRuleListing, query);
  }

  readRule(caller: Caller, id: string): Promise<SecurityGroupRuleRow> {
    return readRow(this.#database.query, caller, securityGroupRuleListing, id);
  }

  /** All or none. */
  async createRules(caller: Caller, wishes: readonly RuleWish[]): Promise<SecurityGroupRuleRow[]> {
    requireWriter(caller, 'create_security_group_rule');
    const rules = wishes.map(readRule);
    const groups = [...new Set(rules.map((rule) => rule.security_group_id))].sort();
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const projects = await projectsOf(tx, caller, groups);
      const values = rules.map((rule) => {
        return { ...rule, id: newOrderedId(), project_id: projects.get(rule.security_group_id)! };
      });
      const counts = Map.groupBy(values, (rule) => rule.project_id);
      // One round trip; the locks are taken in this order.
      await Promise.all([
        ...[...counts.keys()].sort().map((project) => {
          const wanted = { security_group_rules: counts.get(project)!.length };
          return checkQuota(tx, project, securityGroupRule.usage, wanted);
        }),
        requireNew(tx, caller, groups, rules),
      ]);
      const ids = values.map(({ id }) => id);
      const last = Promise.all([
        tx.insertInto('security_group_rule').values(values).execute(),
        touchGroups(tx, groups),
        listMade(tx, caller, securityGroupRuleListing, ids),
      ]);
      return withCommit(last.then(([, , made]) => made));
    });
  }

  async deleteRule(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const rule = await lockOwn<SecurityGroupRuleRow>(
        tx,
        caller,
        'security_group_rule',
        id,
        'delete_security_group_rule',
        { maySee: () => sees(tx, caller, securityGroupRuleListing, id) },
      );
      const last = Promise.all([
        sql`delete from security_group_rule where id = ${id}`.execute(tx),
        touchGroups(tx, [rule.security_group_id]),
      ]);
      return withCommit(last.then(() => {}));
    });
  }
}

/** A group whose rules changed has a new revision. */
async function touchGroups(tx: Tx, ids: readonly string[]): Promise<void> {
  await sql`update security_group set generation = generation + 1, updated_at = now()
    where ${isOneOf(sql`id`, ids)}`.execute(tx);
}

/** Whose groups they are that the caller may change. */
async function projectsOf(tx: Tx, caller: Caller, groups: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; project_id: string }>`select id, project_id from security_group
    where ${isOneOf(sql`id`, groups)}`.execute(tx);
  const projects = new Map(rows.map(({ id, project_id }) => [id, project_id]));
  for (const id of groups) {
    const project = projects.get(id);
    if (project !== undefined && (isAdmin(caller) || project === caller.projectId)) continue;
    if (await sees(tx, caller, securityGroupListing, id)) throw forbidden('create_security_group_rule');
    throw notFound('security_group', id);
  }
  return projects;
}

/** Locks the rows of the groups: what was no duplicate stays none. */
async function requireNew(tx: Tx, caller: Caller, groups: readonly string[], rules: readonly Rule[]): Promise<void> {
  const [{ rows: held }, { rows: existing }] = await Promise.all([
    sql<{ id: string }>`select id from security_group where ${isOneOf(sql`id`, groups)}
      order by id for update`.execute(tx),
    sql<Rule & { id: string }>`select * from security_group_rule
      where ${isOneOf(sql`security_group_id`, groups)}`.execute(tx),
    checkRemotes(tx, caller, rules, 'security_group', 'remote_group_id'),
    checkRemotes(tx, caller, rules, 'address_group', 'remote_address_group_id'),
  ]);
  for (const id of groups) if (!held.some((group) => group.id === id)) throw notFound('security_group', id);
  rules.forEach((rule, index) => {
    if (rules.slice(0, index).some((other) => sameRule(rule, other))) {
      throw new CloudError('conflict', 'duplicate_security_group_rule_in_post', {});
    }
    const known = existing.find((other) => sameRule(rule, other));
    if (known) throw new CloudError('conflict', 'security_group_rule_exists', { id: known.id });
  });
}

/** What the rules name is there for the caller, and stays until the transaction ends. */
async function checkRemotes(
  tx: Tx,
  caller: Caller,
  rules: readonly Rule[],
  type: 'security_group' | 'address_group',
  column: 'remote_group_id' | 'remote_address_group_id',
): Promise<void> {
  const ids = [...new Set(rules.flatMap((rule) => rule[column] ?? []))];
  if (ids.length === 0) return;
  // One round trip, but two statements: the right to them must be read as it is once they are held.
  const [, { rows }] = await Promise.all([
    sql`select from ${sql.table(type)} where id = any(${ids}::uuid[]) order by id for key share`.execute(tx),
    sql<{ id: string }>`select t.id from ${sql.table(type)} t
      where t.id = any(${ids}::uuid[]) and ${sharedCondition(caller, 't', type)}`.execute(tx),
  ]);
  for (const id of ids) if (!rows.some((row) => row.id === id)) throw notFound(type, id);
}

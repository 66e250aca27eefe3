/** The template of new security groups: the operations that the dialects may call. Each is one transaction. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden } from '../../kit/rows.ts';
import { type DefaultSecurityGroupRuleRow, defaultSecurityGroupRuleListing, ownGroup } from './default-rule.ts';
import { type Filter, type FilterWish, readFilter, sameFilter } from './rules.ts';
import { filterOf, keepThere } from './template.ts';

/** `remote_group_id`: a group's id, or {@link ownGroup}. */
export interface DefaultSecurityGroupRuleWish extends FilterWish {
  used_in_default_group?: boolean;
  used_in_other_groups?: boolean;
}

/** Each new group begins with all of them, and every chassis has their ACLs for each group. */
const maximumRules = 100;

export class DefaultSecurityGroupRuleService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<DefaultSecurityGroupRuleRow[]> {
    return listRows(this.#database.query, caller, defaultSecurityGroupRuleListing, query);
  }

  read(caller: Caller, id: string): Promise<DefaultSecurityGroupRuleRow> {
    return readRow(this.#database.query, caller, defaultSecurityGroupRuleListing, id);
  }

  /** All or none. @throws CloudError `forbidden`, `invalid`, `conflict`, `not_found` */
  async create(
    caller: Caller,
    wishes: readonly DefaultSecurityGroupRuleWish[],
  ): Promise<DefaultSecurityGroupRuleRow[]> {
    if (!isAdmin(caller)) throw forbidden('create_default_security_group_rule');
    const rules = wishes.map((wish) => ({
      filter: readFilter(wish),
      used_in_default_group: wish.used_in_default_group ?? false,
      used_in_other_groups: wish.used_in_other_groups ?? true,
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await checkRemotes(
        tx,
        rules.map(({ filter }) => filter),
      );
      await checkDuplicates(tx, rules);
      const rows = rules.map(({ filter: { remote_group_id, ...filter }, ...used }) => ({
        id: newOrderedId(),
        ...filter,
        ...used,
        remote_own_group: remote_group_id === ownGroup,
        remote_group_id: remote_group_id === ownGroup ? null : remote_group_id,
      }));
      await tx.insertInto('default_security_group_rule').values(rows).execute();
      return listMade(
        tx,
        caller,
        defaultSecurityGroupRuleListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    if (!isAdmin(caller)) throw forbidden('delete_default_security_group_rule');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await readRow(tx, caller, defaultSecurityGroupRuleListing, id);
      await sql`delete from default_security_group_rule where id = ${id}`.execute(tx);
    });
  }
}

interface Used {
  used_in_default_group: boolean;
  used_in_other_groups: boolean;
}

/** No group may get the same rule twice. Who else writes the template waits. */
async function checkDuplicates(tx: Tx, rules: readonly ({ filter: Filter } & Used)[]): Promise<void> {
  await sql`lock table default_security_group_rule in share row exclusive mode`.execute(tx);
  const { rows } = await sql<DefaultSecurityGroupRuleRow>`select * from default_security_group_rule`.execute(tx);
  if (rows.length + rules.length > maximumRules) {
    throw new CloudError('invalid', 'too_many_default_security_group_rules', { maximum: maximumRules });
  }
  const existing = rows.map((row) => ({
    ...{ id: row.id, used_in_default_group: row.used_in_default_group, used_in_other_groups: row.used_in_other_groups },
    filter: { ...filterOf(row), ...(row.remote_own_group && { remote_group_id: ownGroup }) },
  }));
  const together = (a: Used, b: Used) =>
    (a.used_in_default_group && b.used_in_default_group) || (a.used_in_other_groups && b.used_in_other_groups);
  rules.forEach((rule, at) => {
    if (rules.slice(0, at).some((other) => together(rule, other) && sameFilter(rule.filter, other.filter))) {
      throw new CloudError('conflict', 'duplicate_default_sg_rule_in_post', {});
    }
    const same = existing.find((other) => together(rule, other) && sameFilter(rule.filter, other.filter));
    if (same) throw new CloudError('conflict', 'default_security_group_rule_exists', { id: same.id });
  });
}

/** What the rules name is there, and stays until the transaction ends. */
async function checkRemotes(tx: Tx, filters: readonly Filter[]): Promise<void> {
  const check = async (type: 'security_group' | 'address_group', ids: readonly (string | null)[]) => {
    const wanted = ids.filter((id): id is string => id !== null && id !== ownGroup);
    const there = await keepThere(tx, type, wanted);
    const missing = wanted.find((id) => !there.has(id));
    if (missing !== undefined) throw notFound(type, missing);
  };
  await check(
    'security_group',
    filters.map((filter) => filter.remote_group_id),
  );
  await check(
    'address_group',
    filters.map((filter) => filter.remote_address_group_id),
  );
}

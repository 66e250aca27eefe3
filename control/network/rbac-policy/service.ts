/**
 * Policies: who may use what is another project's. Each operation is one transaction that holds the row of the resource, so no policy
 * goes while somebody begins to rely on it unseen by the other.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { type GrantAction, type Granted, grantsOf, maySee, type Shareable } from '../access.ts';
import { type RbacPolicyRow, rbacPolicyListing } from './rbac-policy.ts';
import { rbacPolicy as descriptor } from './resource.ts';
import { leftWithoutRight, repeatInResource } from './share.ts';

export interface RbacPolicyWish {
  project_id?: string;
  object_type: Shareable;
  object_id: string;
  action: GrantAction;
  /** Null: everybody. */
  target_project_id: string | null;
}

const inUse = (id: string) => new CloudError('conflict', 'rbac_policy_in_use', { object: id });

export class RbacPolicyService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<RbacPolicyRow[]> {
    return listRows(this.#database.query, caller, rbacPolicyListing, query);
  }

  read(caller: Caller, id: string): Promise<RbacPolicyRow> {
    return readRow(this.#database.query, caller, rbacPolicyListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly RbacPolicyWish[]): Promise<RbacPolicyRow[]> {
    const rows = wishes.map(({ object_type: type, object_id: object, ...wish }) => {
      const project_id = projectFor(caller, wish.project_id, 'create_rbac_policy');
      if (wish.target_project_id === null && !isAdmin(caller)) throw forbidden('create_rbac_policy', 'target_tenant');
      if (wish.action === 'access_as_external') {
        if (type !== 'network') throw new CloudError('invalid', 'rbac_action_of_another_type', { type });
        if (!isAdmin(caller)) throw forbidden('create_rbac_policy', 'action');
      }
      return { type, object, row: { ...wish, id: newId(), project_id, [`${type}_id`]: object } };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const byProject = Map.groupBy(rows, ({ row }) => row.project_id);
      for (const project of [...byProject.keys()].sort()) {
        await checkQuota(tx, project, descriptor.usage, { rbac_policies: byProject.get(project)!.length });
      }
      for (const { type, object, row } of rows.toSorted((a, b) => (a.object < b.object ? -1 : 1))) {
        await lockObject(tx, caller, type, object);
        if (type === 'subnet_pool') await checkScope(tx, object, row.target_project_id);
        await tx.insertInto('rbac_policy').values(row).execute().catch(refuseSecond);
        await repeatInResource(tx, type, object);
      }
      return listMade(
        tx,
        caller,
        rbacPolicyListing,
        rows.map(({ row }) => row.id),
      );
    });
  }

  /** For another project than before. Refused while the one before relies on it. */
  async update(
    caller: Caller,
    id: string,
    patch: Partial<Pick<RbacPolicyWish, 'target_project_id'>>,
  ): Promise<RbacPolicyRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockPolicy(tx, caller, id, 'update_rbac_policy');
      const { target_project_id: target } = patch;
      if (target === undefined || target === now.target_project_id) return now;
      if (target === null && !isAdmin(caller)) throw forbidden('update_rbac_policy', 'target_tenant');
      await tx
        .updateTable('rbac_policy')
        .set({ target_project_id: target, ...touched })
        .where('id', '=', id)
        .execute()
        .catch(refuseSecond);
      await settle(tx, now);
      return readRow(tx, caller, rbacPolicyListing, id);
    });
  }

  /** Refused while somebody relies on it. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockPolicy(tx, caller, id, 'delete_rbac_policy');
      await sql`delete from rbac_policy where id = ${id}`.execute(tx);
      await settle(tx, now);
    });
  }
}

/** After a policy is gone, or another's. */
async function settle(tx: Tx, before: RbacPolicyRow): Promise<void> {
  const { object_type: type, object_id: id, action, target_project_id: target } = before;
  if (await leftWithoutRight(tx, type, id, action, target)) throw inUse(id);
  if (target === null && action === 'access_as_external' && (await isDefault(tx, id))) throw inUse(id);
  await repeatInResource(tx, type, id);
}

/** Who gets a subnet pool must have a right to the address scope that it is in. */
async function checkScope(tx: Tx, pool: string, target: string | null): Promise<void> {
  const { rows } = await sql`select from subnet_pool p join address_scope s on s.id = p.address_scope_id
    where p.id = ${pool} and s.project_id is distinct from ${target}::uuid
      and not exists (select from rbac_policy g where g.address_scope_id = s.id
        and (g.target_project_id is null or g.target_project_id = ${target}::uuid))`.execute(tx);
  if (rows.length > 0) throw new CloudError('invalid', 'rbac_policy_init_error', { object: pool });
}

/** The default external network is everybody's: topologies that are made by themselves lead there. */
async function isDefault(tx: Tx, network: string): Promise<boolean> {
  const { rows } = await sql`select from network where id = ${network} and is_default`.execute(tx);
  return rows.length > 0;
}

/** The resource first, as its own changes do, and then its policy. */
async function lockPolicy(tx: Tx, caller: Caller, id: string, operation: string): Promise<RbacPolicyRow> {
  const { object_type: type, object_id: object } = await readRow(tx, caller, rbacPolicyListing, id);
  await sql`select from ${sql.table(type)} where id = ${object} for update`.execute(tx);
  await lockOwn(tx, caller, 'rbac_policy', id, operation);
  return readRow(tx, caller, rbacPolicyListing, id);
}

/** @throws CloudError: what the caller does not see is not there; what it sees but does not own is not its to give */
async function lockObject(tx: Tx, caller: Caller, type: Shareable, id: string): Promise<void> {
  const [, { rows }] = await Promise.all([
    sql`select from ${sql.table(type)} where id = ${id} for update`.execute(tx),
    sql<Granted>`select o.project_id, ${grantsOf(type, 'o')} as grants
      from ${sql.table(type)} o where o.id = ${id}`.execute(tx),
  ]);
  const object = rows[0];
  if (!object || !maySee(caller, object)) throw notFound(type, id);
  if (!isAdmin(caller) && object.project_id !== caller.projectId) {
    throw new CloudError('invalid', 'rbac_object_of_another_project', { id });
  }
}

function refuseSecond(error: unknown): never {
  if (violatedConstraint(error) !== 'rbac_policy_once') throw error;
  throw new CloudError('conflict', 'duplicate_rbac_policy', {});
}

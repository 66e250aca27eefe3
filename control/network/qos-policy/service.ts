/**
 * QoS policies: the operations that the dialects may call. Each is one transaction that holds the policy's row. Administrators alone write
 * them, as with Neutron: they say what the cloud's networks carry. Who sees one may let things of their own keep to it (use.ts).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { sees } from '../access.ts';
import { refuseOverPromise } from '../bandwidth/bandwidth.ts';
import { leftWithoutRight, share, unshare } from '../rbac-policy/share.ts';
import { type QosPolicyRow, type QosRuleRow, qosPolicyListing, qosRuleListing } from './qos-policy.ts';
import type { QosDirection, QosRuleKind } from './rule.ts';
import { keeperOf } from './use.ts';

export interface QosPolicyWish {
  project_id?: string;
  name?: string;
  description?: string;
  shared?: boolean;
  is_default?: boolean;
}

/** A rule without its kind; which members it has, the kind says (rule.ts). */
export interface QosRuleWish {
  direction?: QosDirection;
  max_kbps?: number;
  max_burst_kbps?: number;
  dscp_mark?: number;
  min_kbps?: number;
}

export class QosPolicyService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<QosPolicyRow[]> {
    return listRows(this.#database.query, caller, qosPolicyListing, query);
  }

  read(caller: Caller, id: string): Promise<QosPolicyRow> {
    return readRow(this.#database.query, caller, qosPolicyListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly QosPolicyWish[]): Promise<QosPolicyRow[]> {
    requireAdmin(caller, 'create_policy');
    const rows = wishes.map((wish) => ({
      ...wish,
      id: newId(),
      project_id: projectFor(caller, wish.project_id, 'create_policy'),
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      for (const row of rows) {
        await tx.insertInto('qos_policy').values(row).execute().catch(refuseSecondDefault(row.project_id));
      }
      await share(
        tx,
        'qos_policy',
        rows.filter(({ shared }) => shared),
      );
      return listMade(
        tx,
        caller,
        qosPolicyListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async update(caller: Caller, id: string, patch: Omit<QosPolicyWish, 'project_id'>): Promise<QosPolicyRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockPolicy(tx, caller, id, 'update_policy');
      if (patch.shared === true && !now.shared) await share(tx, 'qos_policy', [now]);
      if (patch.shared === false && now.shared) {
        await unshare(tx, 'qos_policy', id, 'access_as_shared');
        if (await leftWithoutRight(tx, 'qos_policy', id, 'access_as_shared', null)) {
          throw new CloudError('conflict', 'rbac_policy_in_use', { object: id });
        }
      }
      await tx
        .updateTable('qos_policy')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute()
        .catch(refuseSecondDefault(now.project_id));
      return readRow(tx, caller, qosPolicyListing, id);
    });
  }

  /** With its rules. Refused while something keeps to it. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPolicy(tx, caller, id, 'delete_policy');
      const keeper = await keeperOf(tx, id);
      if (keeper) throw new CloudError('conflict', 'qos_policy_in_use', { id, object: keeper });
      await sql`delete from qos_policy where id = ${id}`.execute(tx);
    });
  }

  /** Of one kind, of a policy that the caller sees. */
  async listRules(caller: Caller, policyId: string, kind: QosRuleKind, query: ListQuery): Promise<QosRuleRow[]> {
    await this.read(caller, policyId);
    const own = [
      { column: 'qos_policy_id', values: [policyId] },
      { column: 'kind', values: [kind] },
    ];
    return listRows(this.#database.query, caller, qosRuleListing, {
      ...query,
      filters: [...own, ...(query.filters ?? [])],
    });
  }

  /** @param policyId undefined: whosever it is */
  async readRule(caller: Caller, policyId: string | undefined, kind: QosRuleKind, id: string): Promise<QosRuleRow> {
    if (policyId !== undefined) await this.read(caller, policyId);
    return findRule(this.#database.query, caller, policyId, kind, id);
  }

  /** All or none. One of a kind and direction for each policy. */
  async createRules(
    caller: Caller,
    policyId: string,
    kind: QosRuleKind,
    wishes: readonly QosRuleWish[],
  ): Promise<QosRuleRow[]> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPolicy(tx, caller, policyId, `create_policy_${kind}_rule`);
      const rows = wishes.map((wish) => ({ ...wish, id: newId(), qos_policy_id: policyId, kind }));
      for (const row of rows) {
        await refuseSecondRule(tx, row);
        await refuseContradiction(tx, row);
        await tx.insertInto('qos_rule').values(row).execute().catch(refuseOverPromise(policyId));
      }
      await touchPolicy(tx, policyId);
      return listMade(
        tx,
        caller,
        qosRuleListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async updateRule(
    caller: Caller,
    policyId: string | undefined,
    kind: QosRuleKind,
    id: string,
    patch: QosRuleWish,
  ): Promise<QosRuleRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockRule(tx, caller, policyId, kind, id, `update_policy_${kind}_rule`);
      if (Object.keys(patch).length === 0) return now;
      await refuseSecondRule(tx, { ...now, ...patch });
      await refuseContradiction(tx, { ...now, ...patch });
      await tx
        .updateTable('qos_rule')
        .set(defined(patch))
        .where('id', '=', id)
        .execute()
        .catch(refuseOverPromise(now.qos_policy_id));
      await touchPolicy(tx, now.qos_policy_id);
      return readRow(tx, caller, qosRuleListing, id);
    });
  }

  async deleteRule(caller: Caller, policyId: string | undefined, kind: QosRuleKind, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockRule(tx, caller, policyId, kind, id, `delete_policy_${kind}_rule`);
      await sql`delete from qos_rule where id = ${id}`.execute(tx);
      await touchPolicy(tx, now.qos_policy_id);
    });
  }
}

function requireAdmin(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) throw forbidden(operation);
}

/** What is not seen is not there; what is seen is still no one's to change but administrators'. */
async function lockPolicy(tx: Tx, caller: Caller, id: string, operation: string): Promise<QosPolicyRow> {
  const row = await lockOwn<QosPolicyRow>(tx, caller, 'qos_policy', id, operation, {
    maySee: () => sees(tx, caller, qosPolicyListing, id),
  });
  requireAdmin(caller, operation);
  return row;
}

async function findRule(
  db: Parameters<typeof readRow>[0],
  caller: Caller,
  policyId: string | undefined,
  kind: QosRuleKind,
  id: string,
): Promise<QosRuleRow> {
  const rule = await readRow(db, caller, qosRuleListing, id);
  if (rule.kind !== kind || (policyId !== undefined && rule.qos_policy_id !== policyId)) throw notFound('qos_rule', id);
  return rule;
}

/** The policy first, as all of its changes do. */
async function lockRule(
  tx: Tx,
  caller: Caller,
  policyId: string | undefined,
  kind: QosRuleKind,
  id: string,
  operation: string,
): Promise<QosRuleRow> {
  const of = policyId ?? (await findRule(tx, caller, undefined, kind, id)).qos_policy_id;
  await lockPolicy(tx, caller, of, operation);
  return findRule(tx, caller, of, kind, id);
}

const touchPolicy = (tx: Tx, id: string) => tx.updateTable('qos_policy').set(touched).where('id', '=', id).execute();

/** Under the policy's lock, so nobody comes between. */
async function refuseSecondRule(
  tx: Tx,
  rule: { id: string; qos_policy_id: string; kind: QosRuleKind; direction?: QosDirection },
): Promise<void> {
  const { rows } = await sql<{ id: string }>`select id from qos_rule where qos_policy_id = ${rule.qos_policy_id}
    and kind = ${rule.kind} and direction = ${rule.direction ?? 'egress'} and id <> ${rule.id}`.execute(tx);
  if (rows[0]) {
    throw new CloudError('conflict', 'qos_rules_conflict', {
      policy: rule.qos_policy_id,
      kind: rule.kind,
      rule: rows[0].id,
    });
  }
}

type RuleRates = {
  qos_policy_id: string;
  direction?: QosDirection;
  max_kbps?: number | null;
  min_kbps?: number | null;
};

/** What is promised may pass: of one direction no minimum is above the limit, as in Neutron. Under the policy's lock. */
async function refuseContradiction(tx: Tx, rule: RuleRates): Promise<void> {
  const { qos_policy_id: policy, direction = 'egress', max_kbps = null, min_kbps = null } = rule;
  const { rows } = await sql<{ kind: QosRuleKind; value: number }>`
    select kind, coalesce(min_kbps, max_kbps) as value from qos_rule where qos_policy_id = ${policy} and direction = ${direction}
      and (kind = 'minimum_bandwidth' and min_kbps > ${max_kbps}::integer
        or kind = 'bandwidth_limit' and max_kbps < ${min_kbps}::integer)`.execute(tx);
  const [existing] = rows;
  const value = max_kbps ?? min_kbps;
  if (!existing || value === null) return;
  throw new CloudError('conflict', 'qos_rule_parameter_conflict', { policy, value, existing });
}

const refuseSecondDefault = (project: string) => (error: unknown) => {
  if (violatedConstraint(error) !== 'qos_policy_default') throw error;
  throw new CloudError('conflict', 'qos_policy_default_already_exists', { project });
};

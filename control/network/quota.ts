/** Quota of the network resources: read by the project, written by administrators. What counts is each resource's own word (resource.ts). */
import { sql } from 'kysely';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import type { Database } from '../kit/database/database.ts';
import { defaultLimits, quotaLimits, resetLimits, setLimits } from '../kit/quota/limits.ts';
import { quotaUsage, requireAboveUsage } from '../kit/quota/quota.ts';
import { forbidden } from '../kit/rows.ts';
import { floatingIp } from './floating-ip/resource.ts';
import { network } from './network/resource.ts';
import { port } from './port/resource.ts';
import { rbacPolicy } from './rbac-policy/resource.ts';
import { router } from './router/resource.ts';
import { securityGroup, securityGroupRule } from './security-group/resource.ts';
import { subnet } from './subnet/resource.ts';
import { subnetPool } from './subnet-pool/resource.ts';
import { trunk } from './trunk/resource.ts';

const counted = {
  ...network.usage,
  ...subnet.usage,
  ...subnetPool.usage,
  ...port.usage,
  ...router.usage,
  ...floatingIp.usage,
  ...securityGroup.usage,
  ...securityGroupRule.usage,
  ...rbacPolicy.usage,
  ...trunk.usage,
};

export type NetworkQuota = keyof typeof counted;
export const networkQuotas = Object.keys(counted) as NetworkQuota[];
export type Limits = Record<NetworkQuota, number>;

export class NetworkQuotaService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  async limits(caller: Caller, projectId: string): Promise<Limits> {
    if (!isAdmin(caller) && caller.projectId !== projectId) throw forbidden('get_quota');
    return pick(await quotaLimits(this.#database.query, projectId));
  }

  /** For everyone: what a project has that nobody wrote limits for. */
  async defaults(): Promise<Limits> {
    return pick(await defaultLimits(this.#database.query));
  }

  async usage(caller: Caller, projectId: string): Promise<Record<NetworkQuota, { limit: number; used: number }>> {
    const limits = await this.limits(caller, projectId);
    const used = await quotaUsage(this.#database.query, projectId, counted);
    return Object.fromEntries(
      networkQuotas.map((name) => [name, { limit: limits[name], used: used[name] ?? 0 }]),
    ) as never;
  }

  /** Projects that have limits of their own. */
  async list(caller: Caller): Promise<{ projectId: string; limits: Limits }[]> {
    if (!isAdmin(caller)) throw forbidden('get_quota');
    const defaults = await this.defaults();
    const { rows } = await sql<{ project_id: string; limits: Partial<Limits> }>`
      select project_id, jsonb_object_agg(resource, maximum) as limits from quota
      where project_id is not null and resource = any(${[...networkQuotas]}::text[])
      group by project_id order by project_id`.execute(this.#database.query);
    return rows.map((row) => ({ projectId: row.project_id, limits: { ...defaults, ...row.limits } }));
  }

  /**
   * @param options.aboveUsage none may fall below what is used
   * @throws CloudError `forbidden`, `not_found`, `invalid`
   */
  async set(
    caller: Caller,
    projectId: string,
    limits: Partial<Limits>,
    options: { aboveUsage: boolean },
  ): Promise<Limits> {
    if (!isAdmin(caller)) throw forbidden('update_quota');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      if (options.aboveUsage) await requireAboveUsage(tx, projectId, limits as Record<string, number>, counted);
      await setLimits(tx, projectId, limits);
      return pick(await quotaLimits(tx, projectId));
    });
  }

  /** Back to the defaults. */
  async reset(caller: Caller, projectId: string): Promise<void> {
    if (!isAdmin(caller)) throw forbidden('delete_quota');
    await this.#database.transaction(actorOf(caller), (tx) => resetLimits(tx, projectId, networkQuotas));
  }
}

const pick = (limits: Readonly<Record<string, number>>): Limits =>
  Object.fromEntries(networkQuotas.map((name) => [name, limits[name] ?? -1])) as Limits;

/**
 * Quota limits as people see and set them. What counts and how is in control/kit/quota/quota.ts; usage is always counted
 * from the truth, so there is nothing here that could drift.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin, requireProject } from '../caller.ts';
import type { Database, Tx } from '../database/database.ts';
import type { Usage } from '../resource.ts';
import { quotaLimits, quotaUsage } from './quota.ts';

export interface QuotaView {
  /** -1: no limit. */
  limits: Record<string, number>;
  /** Only of the resources that were asked for. */
  usage: Record<string, number>;
}

export class QuotaService {
  readonly #database: Database;
  readonly #usage: Usage;

  /** @param options.usage how everything that counts is counted */
  constructor(options: { database: Database; usage: Usage }) {
    this.#database = options.database;
    this.#usage = options.usage;
  }

  /**
   * Limits and usage of the caller's own project; administrators may ask for any.
   * @throws CloudError `forbidden`, `invalid` for a project that is none
   */
  async show(caller: Caller, projectId: string | null, resources: readonly string[]): Promise<QuotaView> {
    const id = projectId ?? requireProject(caller, 'show quotas');
    if (id !== caller.projectId) {
      requireAdmin(caller, 'show another project’s quotas');
      await this.#requireKnown(id);
    }
    const db = this.#database.query;
    const [limits, usage] = await Promise.all([
      quotaLimits(db, id),
      resources.length > 0 ? quotaUsage(db, id, this.#counted(resources)) : {},
    ]);
    return { limits, usage };
  }

  /** What a project has that nobody set anything for. */
  async defaults(): Promise<Record<string, number>> {
    const { rows } = await sql<{ resource: string; maximum: number }>`select resource, maximum from quota
      where project_id is null`.execute(this.#database.query);
    return Object.fromEntries(rows.map((row) => [row.resource, row.maximum]));
  }

  /**
   * Sets some limits of a project. Without `force` none may fall below what is used.
   * @param counted resources whose usage can be counted
   * @throws CloudError `forbidden`, `invalid`
   */
  async set(
    caller: Caller,
    projectId: string,
    limits: Readonly<Record<string, number>>,
    options: { force: boolean; counted: readonly string[] },
  ): Promise<void> {
    requireAdmin(caller, 'set quotas');
    await this.#requireKnown(projectId);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      if (!options.force) await requireAboveUsage(tx, projectId, limits, this.#counted(options.counted));
      const rows = Object.entries(limits).map(([resource, maximum]) => ({ id: newId(), resource, maximum }));
      if (rows.length === 0) return;
      await sql`insert into quota (id, project_id, resource, maximum)
        select id, ${projectId}::uuid, resource, maximum
        from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, resource text, maximum bigint)
        on conflict (project_id, resource) do update set maximum = excluded.maximum`.execute(tx);
    });
  }

  /** Back to the defaults, for the named resources. */
  async reset(caller: Caller, projectId: string, resources: readonly string[]): Promise<void> {
    requireAdmin(caller, 'reset quotas');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await sql`delete from quota where project_id = ${projectId} and resource = any(${[...resources]}::text[])`.execute(
        tx,
      );
    });
  }

  #counted(resources: readonly string[]): Usage {
    return Object.fromEntries(resources.map((resource) => [resource, this.#usage[resource]!]));
  }

  async #requireKnown(projectId: string): Promise<void> {
    const { rows } = await sql`select from project where id = ${projectId}`.execute(this.#database.query);
    if (rows.length === 0) throw new CloudError('invalid', 'quota_project_invalid', { project: projectId });
  }
}

async function requireAboveUsage(
  tx: Tx,
  projectId: string,
  limits: Readonly<Record<string, number>>,
  counted: Usage,
): Promise<void> {
  const resources = Object.keys(limits).filter((resource) => resource in counted);
  if (resources.length === 0) return;
  const usage = await quotaUsage(tx, projectId, counted);
  for (const resource of resources) {
    const [limit, used] = [limits[resource]!, usage[resource] ?? 0];
    if (limit >= 0 && limit < used) {
      throw new CloudError('invalid', 'quota_below_usage', { resource, limit, used });
    }
  }
}

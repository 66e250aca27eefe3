/**
 * Quota limits as people see and set them. What counts and how is in control/kit/quota/quota.ts; usage is always counted
 * from the truth, so there is nothing here that could drift.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireAdmin, requireProject } from '../caller.ts';
import type { Database, Tx } from '../database/database.ts';
import type { Usage } from '../resource.ts';
import { defaultLimits, type Limits, quotaLimits, resetLimits, setLimits } from './limits.ts';
import { quotaUsage } from './quota.ts';

export interface QuotaView {
  limits: Limits;
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
  defaults(): Promise<Limits> {
    return defaultLimits(this.#database.query);
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
      await setLimits(tx, projectId, limits);
    });
  }

  /** What every project has for which nobody set another limit. May fall below what one uses: it gets no more, and loses nothing. */
  async setDefaults(caller: Caller, limits: Readonly<Record<string, number>>): Promise<Limits> {
    requireAdmin(caller, 'set default quotas');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await setLimits(tx, null, limits);
      return defaultLimits(tx);
    });
  }

  /** Back to the defaults, for the named resources. */
  async reset(caller: Caller, projectId: string, resources: readonly string[]): Promise<void> {
    requireAdmin(caller, 'reset quotas');
    await this.#database.transaction(actorOf(caller), (tx) => resetLimits(tx, projectId, resources));
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

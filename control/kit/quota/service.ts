/**
 * Quota limits as people see and set them. What counts and how is in control/kit/quota/quota.ts; usage is always counted
 * from the truth, so there is nothing here that could drift.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireAdmin, requireProject } from '../caller.ts';
import type { Database } from '../database/database.ts';
import type { Usage, UserUsage } from '../resource.ts';
import {
  defaultLimits,
  type Limits,
  quotaLimits,
  resetLimits,
  resetUserLimits,
  setLimits,
  setUserLimits,
  userLimits,
} from './limits.ts';
import { quotaUsage, requireAboveUsage } from './quota.ts';

export interface QuotaView {
  limits: Limits;
  /** Only of the resources that were asked for. */
  usage: Record<string, number>;
}

export class QuotaService {
  readonly #database: Database;
  readonly #usage: Usage;
  readonly #userUsage: UserUsage;

  /**
   * @param options.usage how everything that counts is counted
   * @param options.userUsage and what of it may be limited for one user
   */
  constructor(options: { database: Database; usage: Usage; userUsage: UserUsage }) {
    this.#database = options.database;
    this.#usage = options.usage;
    this.#userUsage = options.userUsage;
  }

  /**
   * Limits and usage of the caller's own project; administrators may ask for any.
   * @param resources of those that are counted at all
   * @throws CloudError `forbidden`, `invalid` for a project that is none
   */
  async show(caller: Caller, projectId: string | null, resources: readonly string[]): Promise<QuotaView> {
    const id = projectId ?? requireProject(caller, 'show quotas');
    if (id !== caller.projectId) {
      requireAdmin(caller, 'show another project’s quotas');
      await this.#requireKnown(id);
    }
    return this.#view(id, resources);
  }

  /**
   * As `show`, but of a project that is none what a new one would have.
   * @param more counted beside them: what there is one of for each of something
   * @throws CloudError `forbidden`
   */
  async showOrDefaults(
    caller: Caller,
    projectId: string | null,
    resources: readonly string[],
    more: Usage = {},
  ): Promise<QuotaView> {
    const id = projectId ?? requireProject(caller, 'show quotas');
    if (id !== caller.projectId) requireAdmin(caller, 'show another project’s quotas');
    return this.#view(id, resources, more);
  }

  async #view(id: string, resources: readonly string[], more: Usage = {}): Promise<QuotaView> {
    const db = this.#database.query;
    const counted = { ...this.#counted(resources), ...more };
    const [limits, usage] = await Promise.all([
      quotaLimits(db, id),
      Object.keys(counted).length > 0 ? quotaUsage(db, id, counted) : {},
    ]);
    return { limits, usage };
  }

  /** What one user may have of a project's, and has, of what can be limited for a user; all else is the project's. */
  async showUser(caller: Caller, projectId: string, userId: string): Promise<QuotaView> {
    const { limits } = await this.show(caller, projectId, []);
    const db = this.#database.query;
    const [own, usage] = await Promise.all([
      userLimits(db, projectId, userId),
      quotaUsage(db, projectId, this.#ofUser(userId)),
    ]);
    return { limits: { ...limits, ...own }, usage };
  }

  /**
   * Limits of one user within the project's. Without `force` none below what the user has, none above what the project may have.
   * @throws CloudError `forbidden`, `invalid`
   */
  async setUser(
    caller: Caller,
    projectId: string,
    userId: string,
    limits: Readonly<Record<string, number>>,
    options: { force: boolean },
  ): Promise<void> {
    requireAdmin(caller, 'set quotas');
    await this.#requireKnown(projectId);
    const usage = this.#ofUser(userId);
    const other = Object.keys(limits).find((resource) => !(resource in usage));
    if (other) throw new CloudError('invalid', 'quota_of_no_user', { resource: other });
    await this.#database.transaction(actorOf(caller), async (tx) => {
      if (!options.force) {
        await requireAboveUsage(tx, projectId, limits, usage);
        requireWithin(await quotaLimits(tx, projectId), limits);
      }
      await setUserLimits(tx, projectId, userId, limits);
    });
  }

  async resetUser(caller: Caller, projectId: string, userId: string): Promise<void> {
    requireAdmin(caller, 'reset quotas');
    await this.#database.transaction(actorOf(caller), (tx) => resetUserLimits(tx, projectId, userId));
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
    options: { force: boolean; counted: readonly string[]; more?: Usage },
  ): Promise<void> {
    requireAdmin(caller, 'set quotas');
    await this.#requireKnown(projectId);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const counted = { ...this.#counted(options.counted), ...options.more };
      if (!options.force) await requireAboveUsage(tx, projectId, limits, counted);
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

  /** Back to the defaults, for the named resources, and those of all its users. */
  async reset(caller: Caller, projectId: string, resources: readonly string[]): Promise<void> {
    requireAdmin(caller, 'reset quotas');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await resetLimits(tx, projectId, resources);
      await resetUserLimits(tx, projectId, null);
    });
  }

  #counted(resources: readonly string[]): Usage {
    return Object.fromEntries(Object.entries(this.#usage).filter(([resource]) => resources.includes(resource)));
  }

  #ofUser(userId: string): Usage {
    const entries = Object.entries(this.#userUsage);
    return Object.fromEntries(
      entries.map(([resource, count]) => [resource, (project: string) => count(project, userId)]),
    );
  }

  async #requireKnown(projectId: string): Promise<void> {
    const { rows } = await sql`select from project where id = ${projectId}`.execute(this.#database.query);
    if (rows.length === 0) throw new CloudError('invalid', 'quota_project_invalid', { project: projectId });
  }
}

function requireWithin(project: Limits, limits: Readonly<Record<string, number>>): void {
  const whole = (limit: number | undefined) => (limit === undefined || limit < 0 ? Number.POSITIVE_INFINITY : limit);
  for (const [resource, limit] of Object.entries(limits)) {
    const maximum = whole(project[resource]);
    if (whole(limit) > maximum) throw new CloudError('invalid', 'quota_above_project', { resource, limit, maximum });
  }
}

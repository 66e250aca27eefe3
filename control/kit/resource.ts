/**
 * What a resource tells about itself, once, in the `resource.ts` of its folder. Whatever treats all resources alike (quota,
 * the native dialect, a project's deletion, host streams, projections) asks here instead of knowing them by name; so a new
 * resource is a folder and one line in control/resources.ts. See docs/add-a-resource.md.
 */
import type { RawBuilder } from 'kysely';

/** How what counts against quota is counted for a project, by the quota's name. */
export type Usage = Readonly<Record<string, (projectId: string) => RawBuilder<{ used: number }>>>;

/** The same of what one user has of a project's. */
export type UserUsage = Readonly<Record<string, (projectId: string, userId: string) => RawBuilder<{ used: number }>>>;

export interface ResourceDescriptor {
  /** Its main table, and its type in the change log. */
  noun: string;
  /**
   * The columns that members of its project may read, beside those that every resource shows (see {@link generalColumns}):
   * column by column, so that a new one stays hidden until someone shows it. Absent: administrators alone see the resource.
   */
  memberColumns?: readonly string[];
  usage?: Usage;
  /** Of those of which a user may be given less than the project has. */
  userUsage?: UserUsage;
  /**
   * People know its rows and must remove them before their project can go; `except` are those that the cloud itself made. Absent:
   * its rows go along with their project (the foreign key says `cascade`).
   */
  keepsProject?: { except?: RawBuilder<unknown> };
  /** The columns that name the users whom a row is about: what the change log says of it goes when one of them is gone. */
  aboutUser?: readonly string[];
  /** Whom a change of it wakes. */
  wakes?: Wakes;
}

/** One optional function for each kind of sleeper. Open: each kind adds its own (`declare module`), so the kit knows none. */
// biome-ignore lint/suspicious/noEmptyInterface: see above
export interface Wakes {}

/** Shown of every resource that members may read. */
export const generalColumns = [
  'id',
  'project_id',
  'name',
  'description',
  'tags',
  'created_at',
  'updated_at',
  'generation',
] as const;

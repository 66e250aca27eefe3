/** What the kit refuses: reasons that any service may pass on (see contract/errors.ts). */
import type { NoFields } from '../../contract/errors.ts';

/** Of calls: each dialect has a sentence for each of these. */
export interface KitReasons {
  authentication_required: NoFields;
  /** The operation needs a role that the caller does not have where it acts. */
  role_required: { operation: string; needs: 'admin' | 'manager' | 'member' | 'reader' | 'service' };
  project_scope_required: { operation: string };
  /** Whoever acts in no project must name the one that the new resource shall belong to. */
  project_required: { operation: string };
  /** Only an administrator makes things for a project that the call does not act in. */
  project_of_another: NoFields;
  /** With `attribute`: the operation would be allowed without it. */
  policy_not_authorized: { operation: string; attribute?: string };
  actor_malformed: NoFields;
  project_not_found: { id: string };
  marker_not_found: { marker: string };
  quota_exceeded: { resource: string; limit: number; used: number; wanted: number };
  quota_project_invalid: { project: string };
  /** Of a user, above the project's. */
  quota_above_project: { resource: string; limit: number; maximum: number };
  /** Only the whole project has a limit of it. */
  quota_of_no_user: { resource: string };
  quota_below_usage: { resource: string; limit: number; used: number };
  tag_invalid: { tag: string; maximum: number };
  too_many_tags: { maximum: number };
  tag_not_found: { tag: string };
  /** Somebody else changed it since. */
  revision_number_constraint_failed: { expected: number; current: number };
}

/** Of reading what changed. */
export interface ChangeReasons {
  resume_token_malformed: NoFields;
  /** List anew, then carry on at `resume`. */
  resume_token_expired: { why: 'another_database' | 'older_than_kept' | 'in_the_future'; resume: string };
  change_feed_not_started: NoFields;
}

/** Of a process's start and its standing among others: no dialect ever sees these. */
export interface ProcessReasons {
  /** The database was made by a newer version: that one must be started. */
  migration_unknown_to_this_version: { migration: string };
  migration_applied_with_another_text: { migration: string };
  migration_failed: { migration: string };
  lease_lost: { role: string };
}

declare module '../../contract/errors.ts' {
  interface Reasons extends KitReasons, ChangeReasons, ProcessReasons {}
}

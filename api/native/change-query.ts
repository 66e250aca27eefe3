/** What a caller asks of the change log, and a change as callers read it. */

import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import {
  type Change,
  currentPosition,
  firstPosition,
  formatPosition,
  type Position,
  parsePosition,
  readChanges,
} from '../../control/kit/change-log/changes.ts';
import type { Queryable } from '../../control/kit/database/database.ts';
import { Refusal } from '../boundary/refusal.ts';
import { projectToRead } from './caller.ts';
import { memberTypes, publicForm } from './public-form.ts';

/** Where and what to read, as the caller's present rights allow it. */
export interface ChangeFilter {
  /** Undefined: every project's. */
  projectId?: string;
  /** Undefined: every type. */
  resourceTypes?: readonly string[];
}

export interface ChangeRequest {
  allProjects: boolean;
  types: readonly string[] | null;
}

/** @throws CloudError `forbidden`, `invalid` for a type that the caller can't see */
export function filterFor(caller: Caller, request: ChangeRequest): ChangeFilter {
  const projectId = projectToRead(caller, request.allProjects);
  const filter = projectId === undefined ? {} : { projectId };
  if (isAdmin(caller)) return request.types ? { ...filter, resourceTypes: request.types } : filter;
  const unknown = request.types?.find((type) => !memberTypes.includes(type));
  if (unknown !== undefined) {
    throw new Refusal(
      'invalid',
      `there are no changes of type ${unknown} to read; there are ${memberTypes.join(', ')}`,
    );
  }
  return { ...filter, resourceTypes: request.types ?? memberTypes };
}

/** A change as the caller may read it. */
export function changeDocument(caller: Caller, change: Change) {
  return {
    resume: formatPosition(change.position),
    at: change.at.toISOString(),
    action: change.action,
    type: change.resource_type,
    id: change.resource_id,
    project_id: change.project_id,
    generation: change.generation,
    actor_id: change.actor_id,
    request_id: change.request_id,
    resource: isAdmin(caller) ? change.body : (publicForm(change.resource_type, change.body) ?? {}),
  };
}

/**
 * Where to start. No token: at the beginning of what is kept, or at the end for who watches; `end` is the end.
 * @throws CloudError `invalid` for what is no token, `expired` for one that is of no use any more
 */
export async function startPosition(db: Queryable, after: string | undefined, watch: boolean): Promise<Position> {
  if (after === 'end' || (after === undefined && watch)) return currentPosition(db);
  if (after === undefined) return firstPosition(db);
  const position = parsePosition(after);
  // A watcher must hear of it before its stream begins.
  if (watch) await readChanges(db, { after: position, limit: 1 });
  return position;
}

/** GET /native/v1/operations: what was asked for, what it waits for, how it ended. */
import type { FastifyInstance } from 'fastify';
import { CloudError } from '../../contract/errors.ts';
import { parseId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import { type OperationRow, readOperations } from '../../control/kit/operation/read-operations.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { projectToRead } from './caller.ts';
import type { NativeDeps } from './index.ts';
import { flag, numberOf, queryOf } from './query.ts';

const states = ['running', 'succeeded', 'failed'] as const;

export function operationRoutes(app: FastifyInstance, { database }: NativeDeps): void {
  app.get('/v1/operations', async (request) => {
    const query = queryOf(request, ['resource_id', 'state', 'limit', 'before', 'all_projects']);
    const caller = callerOf(request);
    const projectId = projectToRead(caller, flag(query.all_projects));
    const state = states.find((one) => one === query.state);
    if (query.state !== undefined && !state) throw new CloudError('invalid', `state is one of ${states.join(', ')}`);
    const limit = numberOf('limit', query.limit, { lowest: 1, highest: 1000, otherwise: 100 });
    const rows = await readOperations(database.query, {
      limit,
      ...(projectId === undefined ? {} : { projectId }),
      ...(state ? { state } : {}),
      ...id('resource_id', query.resource_id, 'resourceId'),
      ...id('before', query.before, 'before'),
    });
    return {
      operations: rows.map((row) => operationDocument(caller, row)),
      before: rows.length === limit ? rows.at(-1)!.id : null,
    };
  });

  app.get('/v1/operations/:id', async (request) => {
    const caller = callerOf(request);
    const given = (request.params as { id: string }).id;
    const wanted = parseId(given);
    // An administrator finds every project's; members their own only.
    const projectId = isAdmin(caller) ? undefined : projectToRead(caller, false);
    const rows = wanted
      ? await readOperations(database.query, { id: wanted, limit: 1, ...(projectId ? { projectId } : {}) })
      : [];
    if (!rows[0]) throw new CloudError('not_found', `there is no operation ${given}`);
    return { operation: operationDocument(caller, rows[0]) };
  });
}

/** @throws CloudError `invalid` */
function id<Name extends string>(parameter: string, text: string | undefined, name: Name): { [K in Name]?: string } {
  if (text === undefined) return {};
  const value = parseId(text);
  if (!value) throw new CloudError('invalid', `${parameter} is no id`);
  return { [name]: value } as { [K in Name]?: string };
}

function operationDocument(caller: Caller, row: OperationRow) {
  return {
    id: row.id,
    project_id: row.project_id,
    type: row.resource_type,
    resource_id: row.resource_id,
    verb: row.verb,
    generation: row.generation,
    state: row.state,
    waiting_for: row.waiting_for,
    deadline: row.deadline,
    attempt: row.attempt,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message },
    actor_id: row.actor_id,
    request_id: row.request_id,
    created_at: row.created_at,
    updated_at: row.updated_at,
    finished_at: row.finished_at,
    // Names a host.
    ...(isAdmin(caller) ? { owner: row.owner } : {}),
  };
}

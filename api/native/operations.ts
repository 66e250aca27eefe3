/** GET /native/v1/operations: what was asked for, what it waits for, how it ended. */
import { Type } from 'typebox';
import { parseId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import { type OperationRow, readOperations } from '../../control/kit/operation/read-operations.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { projectToRead } from './caller.ts';
import type { NativeDeps } from './deps.ts';
import { oneOperation, operationPage } from './documents.ts';
import { flag, flagText, idText, numberText, parameters } from './query.ts';

const states = ['running', 'succeeded', 'failed'] as const;

const list = {
  summary: 'List operations, newest first',
  rights: 'caller',
  query: parameters({
    resource_id: Type.Optional(idText),
    state: Type.Optional(
      Type.Refine(
        Type.String({ examples: ['running'] }),
        (text) => states.some((state) => state === text),
        () => `is one of ${states.join(', ')}`,
      ),
    ),
    limit: Type.Optional(numberText(1, 1000)),
    before: Type.Optional(idText),
    all_projects: Type.Optional(flagText),
  }),
  answers: { 200: operationPage },
} as const;

export function operationRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/operations', list, async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    const projectId = projectToRead(caller, flag(query.all_projects));
    const state = states.find((one) => one === query.state);
    const limit = Number(query.limit ?? 100);
    const rows = await readOperations(database.query, {
      limit,
      ...(projectId === undefined ? {} : { projectId }),
      ...(state ? { state } : {}),
      ...(query.resource_id === undefined ? {} : { resourceId: parseId(query.resource_id)! }),
      ...(query.before === undefined ? {} : { before: parseId(query.before)! }),
    });
    return {
      operations: rows.map((row) => operationDocument(caller, row)),
      before: rows.length === limit ? rows.at(-1)!.id : null,
    };
  });

  const show = { summary: 'Show an operation', rights: 'caller', answers: { 200: oneOperation } } as const;
  app.get('/v1/operations/:id', show, async (request) => {
    const caller = callerOf(request);
    const given = request.params.id;
    const wanted = parseId(given);
    // An administrator finds every project's; members their own only.
    const projectId = isAdmin(caller) ? undefined : projectToRead(caller, false);
    const rows = wanted
      ? await readOperations(database.query, { id: wanted, limit: 1, ...(projectId ? { projectId } : {}) })
      : [];
    if (!rows[0]) throw new Refusal('not_found', `there is no operation ${given}`);
    return { operation: operationDocument(caller, rows[0]) };
  });
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

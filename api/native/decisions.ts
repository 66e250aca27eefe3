/**
 * GET /native/v1/decisions: why something was placed where it is, or nowhere. Members read the reasons and the nearest fix; what was asked and
 * what each host or pool was found to be (`inputs`) names hosts, and is for administrators.
 */
import { Type } from 'typebox';
import { parseId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../../control/kit/caller.ts';
import { type DecisionRow, readDecisions } from '../../control/kit/decision/read-decisions.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { projectToRead } from './caller.ts';
import type { NativeDeps } from './deps.ts';
import { decisionPage, oneDecision } from './documents.ts';
import { flag, flagText, idText, numberText, parameters } from './query.ts';

const list = {
  summary: 'List decisions, newest first',
  rights: 'caller',
  query: parameters({
    resource_id: Type.Optional(idText),
    limit: Type.Optional(numberText(1, 1000)),
    before: Type.Optional(idText),
    all_projects: Type.Optional(flagText),
  }),
  answers: { 200: decisionPage },
} as const;
const show = { summary: 'Show a decision', rights: 'caller', answers: { 200: oneDecision } } as const;

export function decisionRoutes(app: Boundary, { database }: NativeDeps): void {
  app.get('/v1/decisions', list, async (request) => {
    const { query } = request;
    const caller = callerOf(request);
    const projectId = projectToRead(caller, flag(query.all_projects));
    const limit = Number(query.limit ?? 100);
    const rows = await readDecisions(database.query, {
      limit,
      ...(projectId === undefined ? {} : { projectId }),
      ...(query.resource_id === undefined ? {} : { resourceId: parseId(query.resource_id)! }),
      ...(query.before === undefined ? {} : { before: parseId(query.before)! }),
    });
    return {
      decisions: rows.map((row) => document(caller, row)),
      before: rows.length === limit ? rows.at(-1)!.id : null,
    };
  });

  app.get('/v1/decisions/:id', show, async (request) => {
    const caller = callerOf(request);
    const given = request.params.id;
    const wanted = parseId(given);
    // An administrator finds every project's; members their own only.
    const projectId = isAdmin(caller) ? undefined : projectToRead(caller, false);
    const rows = wanted
      ? await readDecisions(database.query, { id: wanted, limit: 1, ...(projectId ? { projectId } : {}) })
      : [];
    if (!rows[0]) throw new Refusal('not_found', `there is no decision ${given}`);
    return { decision: document(caller, rows[0]) };
  });
}

function document(caller: Caller, row: DecisionRow) {
  const { message, fix } = row.explanation as { message?: string; fix?: string };
  return {
    ...{ id: row.id, project_id: row.project_id, type: row.resource_type, resource_id: row.resource_id },
    ...{ kind: row.kind, outcome: row.outcome, message: message ?? '', fix: fix ? fix : null },
    created_at: row.created_at.toISOString(),
    ...(isAdmin(caller) && { refusals: row.explanation.refusals ?? {}, inputs: row.inputs }),
  };
}

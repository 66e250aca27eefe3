/** /servers/{id}/os-instance-actions: the server's operations as Nova names them. */
import type { FastifyRequest } from 'fastify';
import type { ServerOperation, ServerService, ShownServer } from '../../../control/compute/server/index.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, nextLinks, pageOf, queryOf, refuseUnknown } from './paging.ts';
import { readTime } from './server-list.ts';
import { type Body, hostIdOf, plainTime } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const action = (version: number) => ({
  ...{ action: a.text, instance_uuid: a.id, request_id: a.text, user_id: a.orNull(a.text), project_id: a.orNull(a.id) },
  ...{ start_time: a.text, message: a.orNull(a.text), ...(version >= 58 && { updated_at: a.text }) },
});
const event = (version: number) =>
  a.record({
    ...{ event: a.text, start_time: a.text, finish_time: a.orNull(a.text), result: a.orNull(a.text) },
    traceback: a.some(a.orNull(a.text)),
    ...(version >= 62 && { host: a.some(a.orNull(a.text)), hostId: a.text }),
    ...(version >= 84 && { details: a.orNull(a.text) }),
  });
const contracts = {
  list: {
    summary: 'List what was done with a server',
    rights: 'reader',
    query: a.query('limit', 'marker', 'changes-since', 'changes-before'),
    answers: {
      200: v.since([1, 58], (version) =>
        a.record({
          instanceActions: a.list(action(version)),
          ...(version >= 58 && { links: a.some(a.links) }),
        }),
      ),
    },
  },
  show: {
    summary: 'Show what was done with a server, and how it went',
    rights: 'reader',
    answers: {
      200: v.since([1, 51, 58, 62, 84], (version) => {
        const events = a.listOf(event(version));
        return a.record({
          instanceAction: a.record({ ...action(version), events: version >= 51 ? events : a.some(events) }),
        });
      }),
    },
  },
} as const;

/** Our verbs in Nova's words. */
const novaNames: Readonly<Record<string, string>> = {
  'reboot soft': 'reboot',
  'reboot hard': 'reboot',
  reset: 'resetState',
};

export function instanceActionRoutes(app: Boundary, servers: ServerService): void {
  app.get('/servers/:id/os-instance-actions', contracts.list, async (request) => {
    const paged = request.microversion >= 58;
    const query = queryOf(request);
    const before = request.microversion >= 66 ? ['changes-before'] : [];
    refuseUnknown(request, ['limit', 'marker', 'changes-since', ...before], 58);
    const { limit, marker } = paged ? pageOf(query) : { limit: undefined, marker: undefined };
    const time = (key: string) => {
      const text = paged ? first(query, key) : undefined;
      return text === undefined ? {} : { [key === 'changes-since' ? 'since' : 'before']: readTime(text, key) };
    };
    const { server, operations } = await servers.operations(callerOf(request), serverIdOf(request), {
      deletedToo: request.microversion >= 21,
      ...(limit !== undefined && { limit }),
      ...(marker !== undefined && { marker }),
      ...time('changes-since'),
      ...(request.microversion >= 66 && time('changes-before')),
    });
    const body: Body = { instanceActions: operations.map((operation) => actionBody(request, server, operation)) };
    if (limit !== undefined && limit > 0) {
      const [count, last] = [operations.length, operations.at(-1)?.request_id ?? undefined];
      const links = nextLinks(request, `servers/${server.id}/os-instance-actions`, { limit, count, last });
      if (links) body.links = links;
    }
    return body;
  });
  app.get('/servers/:id/os-instance-actions/:requestId', contracts.show, async (request) => {
    const { requestId } = request.params;
    const { server, operations } = await servers.operations(callerOf(request), serverIdOf(request), {
      requestId,
      deletedToo: request.microversion >= 21,
    });
    const operation = operations[0];
    if (!operation) throw new Refusal('not_found', `Action ${requestId.slice(0, 100)} not found`);
    const body = actionBody(request, server, operation);
    const seesAll = isAdmin(callerOf(request));
    if (seesAll || request.microversion >= 51) body.events = [eventBody(request, server, operation, seesAll)];
    return { instanceAction: body };
  });
}

/** Named by Nova's functions: those that are about something else than the server itself are called so. */
const eventOf = (name: string): string =>
  /_(interface|volume)$/.test(name) ? `compute_${name}` : `compute_${name}_instance`;

const nameOf = (operation: ServerOperation): string => novaNames[operation.verb] ?? operation.verb;

function actionBody(request: FastifyRequest, server: ShownServer, operation: ServerOperation): Body {
  return {
    action: nameOf(operation),
    instance_uuid: server.id,
    request_id: operation.request_id,
    user_id: operation.actor_id,
    project_id: server.project_id,
    start_time: plainTime(operation.created_at),
    message: operation.state === 'failed' ? 'Error' : null,
    ...(request.microversion >= 58 && { updated_at: plainTime(operation.updated_at) }),
  };
}

function eventBody(request: FastifyRequest, server: ShownServer, operation: ServerOperation, seesAll: boolean): Body {
  const version = request.microversion;
  const results = { running: null, succeeded: 'Success', failed: 'Error' } as const;
  return {
    event: eventOf(nameOf(operation)),
    start_time: plainTime(operation.created_at),
    finish_time: plainTime(operation.finished_at),
    result: results[operation.state],
    ...(seesAll && { traceback: null }),
    ...(seesAll && version >= 62 && { host: server.host_name }),
    ...(version >= 62 && { hostId: hostIdOf(server.host_name, server.project_id) }),
    ...(version >= 84 && { details: operation.error_message ?? operation.waiting_for }),
  };
}

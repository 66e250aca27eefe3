/** GET /native/v1/changes: the change log as pages, or watched. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CloudError } from '../../contract/errors.ts';
import { formatPosition, readChanges } from '../../control/kit/change-log/changes.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { tokenOf } from './caller.ts';
import { type ChangeRequest, changeDocument, filterFor, startPosition } from './change-query.ts';
import type { NativeDeps } from './index.ts';
import { flag, numberOf, queryOf } from './query.ts';
import { ChangeWatch } from './watch.ts';

const maxLimit = 1000;
/** Each holds a connection and reads the log; a user who needs more can share one. */
const maxWatchesPerUser = 64;

const knownParameters = ['after', 'types', 'limit', 'watch', 'all_projects'];

export function changeRoutes(app: FastifyInstance, deps: NativeDeps): void {
  const watches = new Map<ChangeWatch, string>();
  app.addHook('preClose', async () => {
    for (const watch of watches.keys()) await watch.end('stopping');
  });

  app.get('/v1/changes', async (request, reply) => {
    const query = queryOf(request, knownParameters);
    const caller = callerOf(request);
    const asked: ChangeRequest = { allProjects: flag(query.all_projects), types: typesOf(query.types) };
    const filter = filterFor(caller, asked);
    if (flag(query.watch) || wantsEvents(request)) {
      const after = header(request, 'last-event-id') ?? query.after;
      return watch(deps, watches, request, reply, asked, after);
    }
    const position = await startPosition(deps.database.query, query.after, false);
    const limit = numberOf('limit', query.limit, { lowest: 1, highest: maxLimit, otherwise: 100 });
    const page = await readChanges(deps.database.query, { ...filter, after: position, limit });
    return {
      changes: page.changes.map((change) => changeDocument(caller, change)),
      resume: formatPosition(page.position),
      more: page.changes.length === limit,
    };
  });
}

async function watch(
  deps: NativeDeps,
  watches: Map<ChangeWatch, string>,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: ChangeRequest,
  after: string | undefined,
): Promise<FastifyReply> {
  const { userId } = callerOf(request);
  const position = await startPosition(deps.database.query, after, true);
  if ([...watches.values()].filter((user) => user === userId).length >= maxWatchesPerUser) {
    throw new CloudError('quota_exceeded', `a user can watch at most ${maxWatchesPerUser} times at once`);
  }
  const one = new ChangeWatch({
    database: deps.database,
    feed: deps.feed,
    authenticator: deps.identity,
    token: tokenOf(request),
    requestId: request.id,
    request: asked,
    after: position,
    response: reply.hijack().raw,
    ...deps.watch,
  });
  watches.set(one, userId);
  void one.run().finally(() => watches.delete(one));
  return reply;
}

function typesOf(text: string | undefined): string[] | null {
  if (text === undefined) return null;
  const types = text.split(',');
  if (types.length > 100 || types.some((type) => !/^[a-z_]{1,64}$/.test(type))) {
    throw new CloudError('invalid', 'types is a list of resource types, separated by commas');
  }
  return types;
}

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

const wantsEvents = (request: FastifyRequest): boolean => (request.headers.accept ?? '').includes('text/event-stream');

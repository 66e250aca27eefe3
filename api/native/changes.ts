/** GET /native/v1/changes: the change log as pages, or watched. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { formatPosition, readChanges } from '../../control/kit/change-log/changes.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { Refusal } from '../boundary/refusal.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import { tokenOf } from './caller.ts';
import { type ChangeRequest, changeDocument, filterFor, startPosition } from './change-query.ts';
import type { NativeDeps } from './deps.ts';
import { changePage } from './documents.ts';
import { flag, flagText, numberText, parameters } from './query.ts';
import { ChangeWatch } from './watch.ts';

const maxLimit = 1000;
/** Each holds a connection and reads the log; a user who needs more can share one. */
const maxWatchesPerUser = 64;

const typeList = Type.Refine(
  Type.String({ examples: ['server,port'] }),
  (text) => text.split(',').length <= 100 && text.split(',').every((type) => /^[a-z_]{1,64}$/.test(type)),
  () => 'is a list of resource types, separated by commas',
);

const read = {
  summary: 'Read the change log, in pages or watched (text/event-stream)',
  rights: 'caller',
  query: parameters({
    after: Type.Optional(Type.String({ description: 'A resume token; `end` is the end of the log' })),
    types: Type.Optional(typeList),
    limit: Type.Optional(numberText(1, maxLimit)),
    watch: Type.Optional(flagText),
    all_projects: Type.Optional(flagText),
  }),
  answers: { 200: changePage },
} as const;

/** @param fastify is told of the watches, which end before it does */
export function changeRoutes(app: Boundary, deps: NativeDeps, fastify: FastifyInstance): void {
  const watches = new Map<ChangeWatch, string>();
  fastify.addHook('preClose', async () => {
    for (const watch of watches.keys()) await watch.end('stopping');
  });

  app.get('/v1/changes', read, async (request, reply) => {
    const { query } = request;
    const caller = callerOf(request);
    const types = query.types?.split(',') ?? null;
    const asked: ChangeRequest = { allProjects: flag(query.all_projects), types };
    const filter = filterFor(caller, asked);
    if (flag(query.watch) || wantsEvents(request)) {
      const after = header(request, 'last-event-id') ?? query.after;
      return watch(deps, watches, request, reply, asked, after);
    }
    const position = await startPosition(deps.database.query, query.after, false);
    const limit = Number(query.limit ?? 100);
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
    throw new Refusal('quota_exceeded', `a user can watch at most ${maxWatchesPerUser} times at once`);
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
  const failed = (err: unknown) => {
    request.log.error({ err, requestId: request.id }, 'a watch failed');
    reply.raw.destroy();
  };
  void one
    .run()
    .catch(failed)
    .finally(() => watches.delete(one));
  return reply;
}

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
};

const wantsEvents = (request: FastifyRequest): boolean => (request.headers.accept ?? '').includes('text/event-stream');

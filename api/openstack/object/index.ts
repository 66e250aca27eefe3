/** Swift's Object Storage API v1 at /object. Translates; control/object decides. */
import type { FastifyInstance } from 'fastify';
import type { ContainerService, ObjectService } from '../../../control/object/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Sentences } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { plainSentence } from '../../boundary/sentences.ts';
import type { Dialect } from '../../server.ts';
import type { Authenticator } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import { accountRoutes } from './account.ts';
import { answer } from './answer.ts';
import { containerRoutes } from './container.ts';
import { corsRoutes } from './cors.ts';
import { objectFaults, swiftFault } from './faults.ts';
import { capabilities } from './info.ts';
import { objectRoutes } from './object.ts';
import { routable } from './path.ts';
import { admitVisitors } from './request.ts';
import { writingRoutes } from './writing.ts';

export interface ObjectDialectOptions {
  authenticator: Authenticator;
  containers: ContainerService;
  objects: ObjectService;
}

export const objectInfo = {
  title: 'Object Storage API v1',
  version: '1.0',
  description: "OpenStack's Object Storage API (Swift's) as Bothy answers it.",
  fault: swiftFault,
  faultTypes: ['text/html'],
} as const;

const refusals: Sentences = {
  refuse: (part, fault) => new Refusal('invalid', plainSentence(part, fault)),
  unstorable: () => new Refusal('invalid', 'Invalid UTF8 or contains NULL', { details: { httpStatus: 412 } }),
};

export function objectDialect(options: ObjectDialectOptions): Dialect {
  return {
    prefix: '/object',
    claim: ({ url = '/' }) => routable(url),
    plugin: async (fastify) => {
      fastify.addHttpMethod('COPY', { hasBody: true });
      speakFaults(fastify, objectFaults);
      nameTransactions(fastify);
      admitVisitors(fastify, options.authenticator);
      // Left on the wire, whatever it is.
      fastify.removeAllContentTypeParsers();
      fastify.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
      const app = new Boundary(fastify, { sentences: refusals });
      infoRoutes(app);
      accountRoutes(app, options.containers);
      containerRoutes(app, options);
      objectRoutes(app, options);
      writingRoutes(app, options);
      corsRoutes(app, options.containers);
      app.refuseOtherMethods(wrongMethod);
    },
  };
}

/** `tx`, 21 digits of the request's id, and the time: Swift's own form of a request's name. */
function nameTransactions(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    const digits = (request.id.match(/[0-9a-f]{2,}/g)?.join('') ?? '').slice(-21).padStart(21, '0');
    const seconds = Math.floor(Date.now() / 1000)
      .toString(16)
      .padStart(10, '0');
    reply.header('x-trans-id', `tx${digits}-${seconds}`);
  });
}

const info = { summary: 'Show what the service can do', rights: 'open', answers: { 200: 'application/json' } } as const;
const health = { summary: 'Whether the service answers', rights: 'open', answers: { 200: 'text/plain' } } as const;

function infoRoutes(app: Boundary): void {
  app.read('/info', info, async (_request, reply) =>
    answer(reply, {
      status: 200,
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: JSON.stringify(capabilities),
    }),
  );
  app.read('/healthcheck', health, async (_request, reply) =>
    answer(reply, { status: 200, headers: { 'content-type': 'text/plain' }, body: 'OK' }),
  );
}

const wrongMethod = (allowed: readonly string[]): Refusal =>
  new Refusal('invalid', '', { details: { httpStatus: 405, headers: { allow: allowed.join(', ') } } });

/** Amazon's S3. Translates; control/object decides. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { hasReason } from '../../contract/errors.ts';
import type { SignedRequests } from '../../control/identity/index.ts';
import { fits } from '../boundary/check.ts';
import type { Contract } from '../boundary/contract.ts';
import type { Dialect } from '../server.ts';
import { aclOperations } from './acl.ts';
import { bucketOperations } from './buckets.ts';
import { asText, Call, type S3Services } from './call.ts';
import { answerPreflight, corsOperations, sayOrigin } from './cors.ts';
import { deleteOperations } from './delete-objects.ts';
import { refuse } from './faults.ts';
import { listOperations } from './list-objects.ts';
import { lockOperations, unsetOperations } from './lock.ts';
import { multipartOperations } from './multipart.ts';
import { objectOperations } from './objects.ts';
import { Chooser, entriesOf, type Operation, type Operations } from './operations.ts';
import { postObject } from './post-object.ts';
import { S3Refusal } from './refusal.ts';
import { tagOperations } from './tags.ts';
import { isForm, isS3, s3Prefix, type Target, targetOf } from './target.ts';
import { versionOperations } from './versions.ts';

export interface S3DialectOptions extends S3Services {
  signedRequests: SignedRequests;
}

const s3Operations: Operations = {
  ...bucketOperations,
  ...listOperations,
  ...objectOperations,
  ...deleteOperations,
  ...multipartOperations,
  ...versionOperations,
  ...tagOperations,
  ...aclOperations,
  ...corsOperations,
  ...lockOperations,
  ...unsetOperations,
};

export const s3Info = {
  title: 'Amazon S3',
  version: '2006-03-01',
  description:
    "S3's API as Bothy answers it. Behind a path's question mark stands what of the query chooses the operation, and in parentheses a header that does.",
  fault: Type.Object(
    {
      Code: Type.String(),
      Message: Type.String(),
      Resource: Type.String(),
      RequestId: Type.String(),
      HostId: Type.String(),
    },
    { title: 'Error' },
  ),
  faultTypes: ['application/xml'],
} as const;

/** The one route of the router's: which operation it is, says the table. */
const contract: Contract = {
  summary: 'S3',
  rights: 'open',
  bytes: '*/*',
  answers: {},
  operations: entriesOf(s3Operations),
};

export function s3Dialect(options: S3DialectOptions): Dialect {
  const chooser = new Chooser(s3Operations);
  return {
    prefix: s3Prefix,
    claim: (request) => (isS3(request) ? s3Prefix : undefined),
    plugin: async (app) => {
      leaveBodies(app);
      app.decorateRequest('givenType', '');
      app.addHook('onRequest', async (request, reply) => {
        reply.header('x-amz-request-id', request.id);
        // Fastify refuses what is no media type; an object may be of any.
        request.givenType = request.headers['content-type'] ?? '';
        delete request.raw.headers['content-type'];
      });
      const handler = async (request: FastifyRequest, reply: FastifyReply) => {
        try {
          await answer({ request, reply, chooser, options });
        } catch (error) {
          refuse(error, request, reply);
        }
        return reply;
      };
      app.route({
        method: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'],
        url: '',
        config: { contract, open: true },
        handler,
      });
      app.setErrorHandler((error, request, reply) => refuse(error, request, reply));
      app.setNotFoundHandler((request, reply) =>
        refuse(
          new S3Refusal('MethodNotAllowed', 'The specified method is not allowed against this resource.'),
          request,
          reply,
        ),
      );
    },
  };
}

/** Bytes stay on the wire, whatever type they are said to be of, for a type that no server knows is a good one here. */
function leaveBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined));
}

interface Asked {
  request: FastifyRequest;
  reply: FastifyReply;
  chooser: Chooser;
  options: S3DialectOptions;
}

async function answer({ request, reply, chooser, options }: Asked): Promise<void> {
  const target = targetOf(request.originalUrl, request.headers.host);
  refuseWorker(request, target);
  const { method, raw } = request;
  const given = { request, reply, target, services: options, signedRequests: options.signedRequests };
  if (method === 'OPTIONS' && target.bucket !== undefined) return answerPreflight(new Call(given));
  const rawHeaders = raw.rawHeaders.map(asText);
  const signing = { method, ...target.raw, rawHeaders };
  const form = method === 'POST' && target.key === undefined && target.query.size === 0 && isForm(request.givenType);
  if (request.headers.origin !== undefined) await sayOrigin(new Call(given));
  const signed = await options.signedRequests.visit(signing, request.id);
  const visitor = { caller: signed.caller, referrer: request.headers.referer };
  const call = new Call({ ...given, signed, visitor });
  if (form && target.bucket !== undefined) return postObject(call);
  const { operation } = chooser.choose(method, target, (header) => raw.headers[header] !== undefined);
  // Nobody's documents are not even read: none of what they ask for is anybody's to do.
  if (signed.caller === null && (operation.rights !== 'open' || operation.body))
    throw new S3Refusal('AccessDenied', 'Access Denied');
  requireFits(operation, call);
  if (operation.body) await call.readDocument(operation.body, operation.bodyBytes ?? 64 * 1024);
  try {
    await operation.run(call);
  } catch (error) {
    // Nothing was done and no byte was read: a container is looked for before its object.
    if (!hasReason(error, 'container_not_found') || !(await call.lookElsewhere())) throw error;
    await operation.run(call);
  }
}

/**
 * A script that a browser would put between all pages under its path and this server: a presigned URL of a bucket named `identity` has
 * the path of identity's own pages. A host name of the bucket's own is nobody else's. @throws S3Refusal
 */
function refuseWorker({ headers }: FastifyRequest, { virtual }: Target): void {
  if (headers['service-worker'] === undefined || virtual) return;
  throw new S3Refusal('AccessDenied', 'Service workers are served where the bucket is a host name of its own');
}

function requireFits({ query }: Operation, call: Call): void {
  if (!query || fits(query, Object.fromEntries(call.target.query))) return;
  throw new S3Refusal('InvalidArgument', 'The parameters of the query are not those of this operation');
}

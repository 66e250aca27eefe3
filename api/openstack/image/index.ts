/** Glance's Image API v2 at /image. Translates; control/image decides. */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import type { ImageMemberService, ImageService, ImageTransfer } from '../../../control/image/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import { patchTypes } from './body.ts';
import { dataRoutes } from './data.ts';
import { imageFaults } from './faults.ts';
import { imageRoutes } from './images.ts';
import { memberRoutes } from './members.ts';
import { schemaRoutes } from './schemas.ts';
import { versionRoutes } from './versions.ts';

export interface ImageDialectOptions {
  authenticator: Authenticator;
  images: ImageService;
  members: ImageMemberService;
  transfer: ImageTransfer;
}

export function imageDialect(options: ImageDialectOptions): Dialect {
  return {
    prefix: '/image',
    plugin: async (app) => {
      speakFaults(app, imageFaults);
      authenticateAll(app, options.authenticator);
      readBodies(app);
      const refuseOthers = methodsByPath(app);
      versionRoutes(app);
      schemaRoutes(app);
      imageRoutes(app, options.images);
      memberRoutes(app, options.members);
      dataRoutes(app, options.transfer);
      refuseOthers();
    },
  };
}

function readBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    ['application/json', ...Object.keys(patchTypes)],
    { parseAs: 'string' },
    (request, body, done) => {
      // Some clients name a type and send nothing.
      if (body === '') done(null, undefined);
      else parse(request, body as string, done);
    },
  );
  // Left on the wire: image bytes are piped, see data.ts.
  app.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null, undefined));
}

/** Glance answers 405, with what is allowed, where only the method is wrong. */
function methodsByPath(app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  let listening = true;
  app.addHook('onRoute', ({ routePath, method }) => {
    if (!listening) return;
    const methods = known.get(routePath) ?? new Set();
    for (const one of Array.isArray(method) ? method : [method]) methods.add(one);
    known.set(routePath, methods);
  });
  return () => {
    listening = false;
    for (const [url, methods] of known) {
      if (url === '' || url === '/') continue;
      const others = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter(
        (method) => !methods.has(method),
      ) as HTTPMethods[];
      const allow = [...methods].join(', ');
      app.route({
        method: others,
        url,
        handler: async () => {
          throw new Refusal('invalid', 'The method is not allowed for this resource.', {
            details: { httpStatus: 405, headers: { allow } },
          });
        },
      });
    }
  };
}

/** Glance's Image API v2 at /image. Translates; control/image decides. */

import type { FastifyInstance } from 'fastify';
import { CloudError } from '../../../contract/errors.ts';
import type {
  ImageImportService,
  ImageMemberService,
  ImageService,
  ImageTransfer,
  WebRulesNow,
} from '../../../control/image/index.ts';
import type { MetadefService } from '../../../control/image/metadef/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Sentences } from '../../boundary/contract.ts';
import { readJson } from '../../boundary/json.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { plainSentence } from '../../boundary/sentences.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import * as a from './answers.ts';
import { patchTypes } from './body.ts';
import { dataRoutes } from './data.ts';
import { imageFaults } from './faults.ts';
import { imageRoutes } from './images.ts';
import { importRoutes } from './imports.ts';
import { memberRoutes } from './members.ts';
import { metadefRoutes } from './metadefs.ts';
import { schemaRoutes } from './schemas.ts';
import { versionRoutes } from './versions.ts';

export interface ImageDialectOptions {
  authenticator: Authenticator;
  images: ImageService;
  members: ImageMemberService;
  transfer: ImageTransfer;
  imports: ImageImportService;
  metadefs: MetadefService;
  webRules: WebRulesNow;
}

export const imageInfo = {
  title: 'Image API v2',
  version: '2.13',
  description: "OpenStack's Image API (Glance's) as Bothy answers it.",
  fault: a.glanceFault,
  faultTypes: ['application/json', 'text/html', 'text/plain'],
} as const;

/** For what the readers of this folder find no words of Glance's for. */
const refusals: Sentences = { refuse: (part, fault) => new Refusal('invalid', plainSentence(part, fault)) };

export function imageDialect(options: ImageDialectOptions): Dialect {
  return {
    prefix: '/image',
    plugin: async (fastify) => {
      speakFaults(fastify, imageFaults);
      authenticateAll(fastify, options.authenticator);
      refuseEmptyId(fastify);
      readJson(fastify, { also: Object.keys(patchTypes) });
      // Left on the wire: image bytes are piped, see data.ts.
      fastify.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null, undefined));
      const app = new Boundary(fastify, { sentences: refusals });
      versionRoutes(app);
      schemaRoutes(app);
      imageRoutes(app, options.images);
      memberRoutes(app, options.members);
      dataRoutes(app, options.transfer);
      importRoutes(app, options);
      metadefRoutes(app, options.metadefs);
      app.refuseOtherMethods(wrongMethod);
    },
  };
}

/** `/v2/images/` is an image without an id, not the list: a client that has lost an id must not delete or read something else. */
function refuseEmptyId(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }) => {
    if (url.split('?', 1)[0]!.endsWith('/v2/images/')) throw new CloudError('not_found', 'image_not_found', { id: '' });
  });
}

/** Glance says what is allowed where only the method is wrong. */
const wrongMethod = (allowed: readonly string[]): Refusal =>
  new Refusal('invalid', 'The method is not allowed for this resource.', {
    details: { httpStatus: 405, headers: { allow: allowed.join(', ') } },
  });

/** Placement's API at /placement, v1 with microversions: what hosts have, are and give out. Translates; decides nothing. See README.md. */
import { Type } from 'typebox';
import type { ResourceProviderService } from '../../../control/compute/resource-provider/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Sentences } from '../../boundary/contract.ts';
import { readJson } from '../../boundary/json.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { plainSentence } from '../../boundary/sentences.ts';
import type { Dialect } from '../../server.ts';
import { type Authenticator, authenticateAll } from '../common/authenticate.ts';
import { permit } from '../common/permit.ts';
import { allocationRoutes } from './allocations.ts';
import * as a from './answers.ts';
import { speakPlacementFaults, versionFault } from './faults.ts';
import { maximumVersion, minimumVersion, speakMicroversions } from './microversion.ts';
import { providerRoutes } from './providers.ts';
import { resourceClassRoutes } from './resource-classes.ts';
import { traitRoutes } from './traits.ts';

export interface PlacementDialectOptions {
  authenticator: Authenticator;
  providers: ResourceProviderService;
}

export const placementInfo = {
  title: 'Placement API v1',
  version: `1.${maximumVersion}`,
  description: "OpenStack's Placement API as Bothy answers it, with microversions.",
  fault: a.placementFault,
} as const;

const sentences: Sentences = {
  refuse: (part, fault) => new Refusal('invalid', `JSON does not validate: ${plainSentence(part, fault)}`),
};

const version = a.record({
  ...{ id: a.text, max_version: a.text, min_version: a.text, status: a.text },
  links: a.list({ rel: a.text, href: a.text }),
});
const root = {
  summary: 'List versions',
  rights: 'open',
  answers: { 200: a.record({ versions: Type.Array(version) }) },
} as const;

export function placementDialect({ authenticator, providers }: PlacementDialectOptions): Dialect {
  return {
    prefix: '/placement',
    plugin: async (app) => {
      speakPlacementFaults(app);
      readJson(app);
      speakMicroversions(app, (error, reply) => reply.code(406).send(versionFault(error.message, reply.request)));
      authenticateAll(app, authenticator);
      const boundary = new Boundary(app, { sentences, permit, versionOf: (request) => request.microversion });
      boundary.get('/', root, () => ({
        versions: [
          {
            ...{
              id: 'v1.0',
              max_version: `1.${maximumVersion}`,
              min_version: `1.${minimumVersion}`,
              status: 'CURRENT',
            },
            links: [{ rel: 'self', href: '' }],
          },
        ],
      }));
      providerRoutes(boundary, providers);
      resourceClassRoutes(boundary);
      traitRoutes(boundary, providers);
      allocationRoutes(boundary, providers);
      boundary.refuseOtherMethods(
        (allowed) =>
          new Refusal('invalid', 'The method specified is not allowed for this resource.', {
            details: { httpStatus: 405, headers: { allow: allowed.join(', ') } },
          }),
      );
    },
  };
}

/** OpenStack Identity v3 at /identity/v3. Translates; control/identity decides. */
import type { FastifyInstance } from 'fastify';
import type { IdentityService } from '../../../control/identity/index.ts';
import { Boundary } from '../../boundary/boundary.ts';
import type { Sentences } from '../../boundary/contract.ts';
import { readJson } from '../../boundary/json.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { plainSentence } from '../../boundary/sentences.ts';
import type { Dialect } from '../../server.ts';
import { authenticateAll } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import * as a from './answers.ts';
import { identityFaults } from './faults.ts';
import { idMustStay, type Routes } from './resource.ts';
import { accessKeyRoutes } from './routes/access-keys.ts';
import { applicationCredentialRoutes } from './routes/application-credentials.ts';
import { authRoutes } from './routes/auth.ts';
import { catalogueRoutes } from './routes/catalogue.ts';
import { credentialRoutes } from './routes/credentials.ts';
import { domainConfigRoutes } from './routes/domain-config.ts';
import { domainRoutes } from './routes/domains.ts';
import { endpointFilterRoutes } from './routes/endpoint-filter.ts';
import { federatedAuthRoutes } from './routes/federated-auth.ts';
import { federationRoutes } from './routes/federation.ts';
import { grantRoutes } from './routes/grants.ts';
import { groupRoutes } from './routes/groups.ts';
import { limitRoutes } from './routes/limits.ts';
import { policyRoutes } from './routes/policies.ts';
import { projectRoutes } from './routes/projects.ts';
import { revocationRoutes } from './routes/revocations.ts';
import { roleRoutes } from './routes/roles.ts';
import { serviceProviderRoutes } from './routes/service-providers.ts';
import { trustRoutes } from './routes/trusts.ts';
import { userRoutes } from './routes/users.ts';
import { versionRoutes } from './routes/versions.ts';
import { webSsoRoutes } from './routes/websso.ts';

const all: Routes[] = [
  versionRoutes,
  authRoutes,
  catalogueRoutes,
  endpointFilterRoutes,
  policyRoutes,
  limitRoutes,
  domainConfigRoutes,
  domainRoutes,
  revocationRoutes,
  projectRoutes,
  userRoutes,
  applicationCredentialRoutes,
  credentialRoutes,
  accessKeyRoutes,
  trustRoutes,
  federationRoutes,
  serviceProviderRoutes,
  federatedAuthRoutes,
  webSsoRoutes,
  groupRoutes,
  roleRoutes,
  grantRoutes,
];

const sentences: Sentences = { refuse: (part, fault) => new Refusal('invalid', plainSentence(part, fault)) };

export const identityInfo = {
  title: 'Identity API v3',
  version: '3.14',
  description: "OpenStack's Identity API (Keystone's) as Bothy answers it.",
  fault: a.keystoneFault,
} as const;

/** @param options.publicUrl without a slash at the end */
export function identityDialect(options: { identity: IdentityService; publicUrl: string }): Dialect {
  const deps = { identity: options.identity, base: `${options.publicUrl}/identity` };
  return {
    prefix: '/identity',
    async plugin(app: FastifyInstance) {
      speakFaults(app, identityFaults);
      authenticateAll(app, options.identity);
      readJson(app);
      app.addHook('preHandler', idMustStay);
      const boundary = new Boundary(app, { sentences });
      for (const routes of all) routes(boundary, deps);
    },
  };
}

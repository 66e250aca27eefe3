/** OpenStack Identity v3 at /identity/v3. Translates; control/identity decides. */
import type { FastifyInstance } from 'fastify';
import type { IdentityService } from '../../../control/identity/index.ts';
import type { Dialect } from '../../server.ts';
import { authenticateAll } from '../common/authenticate.ts';
import { speakFaults } from '../common/faults.ts';
import { acceptEmptyJson, refuseUnstorableText } from '../common/input.ts';
import { identityFaults } from './faults.ts';
import type { Routes } from './resource.ts';
import { applicationCredentialRoutes } from './routes/application-credentials.ts';
import { authRoutes } from './routes/auth.ts';
import { catalogueRoutes } from './routes/catalogue.ts';
import { domainRoutes } from './routes/domains.ts';
import { grantRoutes } from './routes/grants.ts';
import { groupRoutes } from './routes/groups.ts';
import { projectRoutes } from './routes/projects.ts';
import { roleRoutes } from './routes/roles.ts';
import { userRoutes } from './routes/users.ts';
import { versionRoutes } from './routes/versions.ts';

const all: Routes[] = [
  versionRoutes,
  authRoutes,
  catalogueRoutes,
  domainRoutes,
  projectRoutes,
  userRoutes,
  applicationCredentialRoutes,
  groupRoutes,
  roleRoutes,
  grantRoutes,
];

/** @param options.publicUrl without a slash at the end */
export function identityDialect(options: { identity: IdentityService; publicUrl: string }): Dialect {
  const deps = { identity: options.identity, base: `${options.publicUrl}/identity` };
  return {
    prefix: '/identity',
    async plugin(app: FastifyInstance) {
      speakFaults(app, identityFaults);
      authenticateAll(app, options.identity);
      acceptEmptyJson(app);
      refuseUnstorableText(app);
      for (const routes of all) routes(app, deps);
    },
  };
}

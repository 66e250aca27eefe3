/** The parts that hang on the identity service, each over the same context. */

import { ApplicationCredentialService } from './application-credentials.ts';
import { AssignmentService } from './assignments.ts';
import { CatalogueService } from './catalogue-service.ts';
import type { IdentityContext } from './context.ts';
import { CredentialService } from './credentials.ts';
import { DomainConfigService } from './domain-config.ts';
import { DomainService } from './domains.ts';
import { EndpointFilterService } from './endpoint-filter.ts';
import { FederationService } from './federation.ts';
import { GroupService } from './groups.ts';
import { LimitService } from './limits.ts';
import { PolicyService } from './policies.ts';
import { ProjectService } from './projects.ts';
import { RevocationEvents } from './revocation-events.ts';
import { RoleService } from './roles.ts';
import { ServiceProviders } from './service-providers.ts';
import { TrustService } from './trusts.ts';
import { UserService } from './users.ts';

export class IdentityParts {
  readonly catalogueEntries: CatalogueService;
  readonly endpointFilter: EndpointFilterService;
  readonly policies: PolicyService;
  readonly limits: LimitService;
  readonly domains: DomainService;
  readonly projects: ProjectService;
  readonly users: UserService;
  readonly groups: GroupService;
  readonly roles: RoleService;
  readonly assignments: AssignmentService;
  readonly applicationCredentials: ApplicationCredentialService;
  readonly credentials: CredentialService;
  readonly trusts: TrustService;
  readonly federation: FederationService;
  readonly serviceProviders: ServiceProviders;
  readonly domainConfig: DomainConfigService;
  readonly revocations: RevocationEvents;

  /** @param options.lifetimeMs the longest that a token lives */
  constructor(context: IdentityContext, options: { lifetimeMs: number }) {
    this.catalogueEntries = new CatalogueService(context);
    this.endpointFilter = new EndpointFilterService(context);
    this.policies = new PolicyService(context);
    this.limits = new LimitService(context);
    this.domains = new DomainService(context);
    this.projects = new ProjectService(context);
    this.users = new UserService(context);
    this.groups = new GroupService(context);
    this.roles = new RoleService(context);
    this.assignments = new AssignmentService(context);
    this.applicationCredentials = new ApplicationCredentialService(context);
    this.credentials = new CredentialService(context);
    this.trusts = new TrustService(context);
    this.federation = new FederationService(context);
    this.serviceProviders = new ServiceProviders(context);
    this.domainConfig = new DomainConfigService(context);
    this.revocations = new RevocationEvents(context, options);
  }
}

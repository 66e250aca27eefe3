/** Identity's own: but for projects, the cloud's inside and other people's rights, which members never read. */
import type { ResourceDescriptor } from '../kit/resource.ts';

const inside = (...nouns: string[]): ResourceDescriptor[] => nouns.map((noun) => ({ noun }));

export const identityResources: readonly ResourceDescriptor[] = [
  ...inside('domain', 'domain_config'),
  { noun: 'project', memberColumns: ['domain_id', 'parent_id', 'enabled'] },
  ...inside('user', 'user_group', 'user_group_member', 'role', 'role_implication', 'role_assignment'),
  ...inside(
    'application_credential',
    'access_rule',
    'credential',
    'trust',
    'identity_provider',
    'mapping',
    'federation_protocol',
    'service_provider',
    'token_revocation',
  ),
  ...inside(
    'region',
    'service',
    'endpoint',
    'endpoint_group',
    'project_endpoint',
    'project_endpoint_group',
    'policy',
    'registered_limit',
    'own_limit',
  ),
];

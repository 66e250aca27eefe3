/** Identity's own: but for projects, the cloud's inside and other people's rights, which members never read. */
import type { ResourceDescriptor } from '../kit/resource.ts';

const inside = (...nouns: string[]): ResourceDescriptor[] => nouns.map((noun) => ({ noun }));
const ofUser = (noun: string): ResourceDescriptor => ({ noun, aboutUser: ['user_id'] });

export const identityResources: readonly ResourceDescriptor[] = [
  ...inside('domain', 'domain_config'),
  { noun: 'project', memberColumns: ['domain_id', 'parent_id', 'enabled'] },
  ...[{ noun: 'user', aboutUser: ['id'] }, ...inside('user_group'), ofUser('user_group_member')],
  ...[...inside('role', 'role_implication'), ofUser('role_assignment')],
  ...['application_credential', 'access_rule', 'credential'].map(ofUser),
  { noun: 'trust', aboutUser: ['trustor_user_id', 'trustee_user_id', 'origin_user_id'] },
  ...inside('identity_provider', 'mapping', 'federation_protocol', 'service_provider', 'token_revocation'),
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

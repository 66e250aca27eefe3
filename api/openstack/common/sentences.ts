/** What Keystone, Glance, Neutron and Nova say alike of the reasons that any of our services may have. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';

type OfLimits = 'quota_above_project' | 'quota_of_no_user' | 'quota_below_usage';

/** What is said of limits, with the dialect's own names of what is limited. */
export const limitSentences = (nameOf: (resource: string) => string): Pick<SentenceTable<KitReasons>, OfLimits> => ({
  quota_above_project: ({ resource, limit, maximum }) =>
    `Quota limit ${limit} for ${nameOf(resource)} must be less than or equal to ${maximum}.`,
  quota_of_no_user: ({ resource }) => `There is no quota of ${nameOf(resource)} for a single user.`,
  quota_below_usage: ({ resource, limit, used }) =>
    `Quota limit ${limit} for ${nameOf(resource)} must be greater than or equal to already used and reserved ${used}.`,
});

export const kitSentences: SentenceTable<KitReasons> = {
  authentication_required: 'The request you have made requires authentication.',
  role_required: ({ operation, needs }) =>
    `${operation} needs the role ${needs}${needs === 'member' ? ' in the project' : ''}`,
  project_scope_required: ({ operation }) => `${operation} needs a token that is scoped to a project`,
  project_required: ({ operation }) => `${operation} needs a token that is scoped to a project, or a project_id`,
  project_of_another:
    "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
  policy_not_authorized: ({ operation, attribute }) =>
    `rule:${operation}${attribute === undefined ? '' : ` and rule:${operation}:${attribute}`} is disallowed by policy`,
  actor_malformed: 'the request id or actor id has characters that it may not have',
  project_not_found: ({ id }) => `Could not find project: ${id}.`,
  marker_not_found: ({ marker }) => `Marker ${marker} could not be found.`,
  quota_exceeded: ({ resource, limit, used, wanted }) =>
    `quota exceeded for ${resource}: ${used} of ${limit} used, ${wanted} more requested`,
  ...limitSentences((resource) => resource),
  quota_project_invalid: ({ project }) => `Project ID ${project} is not a valid project.`,
  tag_invalid: ({ tag, maximum }) => `'${tag}' is not a valid tag: 1 to ${maximum} characters and no comma`,
  too_many_tags: ({ maximum }) => `a resource can have at most ${maximum} tags`,
  tag_not_found: ({ tag }) => `Tag ${tag} could not be found.`,
  revision_number_constraint_failed: ({ expected, current }) =>
    `Constrained to ${expected}, but current revision is ${current}`,
};

export const hostSentences: SentenceTable<HostReasons> = {
  host_not_found: ({ id }) => `host ${id} could not be found`,
  host_unreachable: ({ host }) => `host ${host} could not be reached`,
  host_answer_malformed: 'the host answered an upload with something else than a result',
  host_refused: ({ said }) => said,
  upload_cut_off: 'the upload was cut off before its end',
};

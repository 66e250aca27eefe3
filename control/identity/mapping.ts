/**
 * Mapping rules (Keystone's federation): from what a provider says of somebody to a user, groups and projects here. A rule counts
 * where all that it asks of the remote side holds; what its remote entries name by themselves stands for {0}, {1} … on the local
 * side. Pure.
 */
import { CloudError } from '../../contract/errors.ts';

/** What a provider says, each value by itself. */
export type Assertion = Readonly<Record<string, readonly string[]>>;

export interface RemoteRule {
  type: string;
  any_one_of?: string[];
  not_any_of?: string[];
  whitelist?: string[];
  blacklist?: string[];
  regex?: boolean;
}

interface DomainName {
  id?: string;
  name?: string;
}

export interface LocalRule {
  user?: { id?: string; name?: string; email?: string; domain?: DomainName; type?: 'ephemeral' | 'local' };
  group?: { id: string } | { name: string; domain: DomainName };
  groups?: string;
  group_ids?: string;
  domain?: DomainName;
  projects?: { name: string; roles: { name: string }[] }[];
}

export interface MappingRule {
  local: LocalRule[];
  remote: RemoteRule[];
}

export interface Mapped {
  user: NonNullable<LocalRule['user']>;
  groups: ({ id: string } | { name: string; domain: DomainName })[];
  projects: NonNullable<LocalRule['projects']>;
}

/** A value of the assertion: what is many stays many where it stands alone. */
type Direct = readonly string[];

/** @throws CloudError `unauthenticated` where no rule gives a user */
export function applyMapping(rules: readonly MappingRule[], assertion: Assertion): Mapped {
  const locals = rules.flatMap((rule) => {
    const direct = matches(rule.remote, assertion);
    return direct ? rule.local.map((local) => filled(local, direct)) : [];
  });
  const user = locals.find((local) => local.user)?.user;
  if (!user?.name && !user?.id) throw new CloudError('unauthenticated', 'mapping_gives_no_user', {});
  return {
    user,
    groups: locals.flatMap(groupsOf),
    projects: locals.flatMap((local) => local.projects ?? []),
  };
}

/** What the rule takes over from the assertion; undefined where it does not count. */
function matches(remote: readonly RemoteRule[], assertion: Assertion): Direct[] | undefined {
  const direct: Direct[] = [];
  for (const rule of remote) {
    const values = assertion[rule.type];
    if (!values || values.length === 0) return undefined;
    const among = (list: readonly string[]) =>
      values.filter((value) => list.some((one) => isLike(one, value, rule.regex)));
    if (rule.any_one_of) {
      if (among(rule.any_one_of).length === 0) return undefined;
    } else if (rule.not_any_of) {
      if (among(rule.not_any_of).length > 0) return undefined;
    } else if (rule.whitelist) direct.push(among(rule.whitelist));
    else if (rule.blacklist) {
      const unwanted = among(rule.blacklist);
      direct.push(values.filter((value) => !unwanted.includes(value)));
    } else direct.push(values);
  }
  return direct;
}

/** Administrators write patterns, so they are trusted; they are found anywhere in the value, as Keystone searches them. */
const isLike = (wanted: string, value: string, regex = false): boolean =>
  regex ? new RegExp(wanted).test(value) : wanted === value;

/** The local side with {n} filled in, at every depth. */
function filled(local: LocalRule, direct: readonly Direct[]): LocalRule {
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') return fillText(value, direct);
    if (Array.isArray(value)) return value.map(fill);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  };
  return fill(local) as LocalRule;
}

/** Several values are joined by what no name holds; {@link listOf} parts them again. */
const separator = '\u001f';
const listOf = (text: string): string[] => text.split(separator).filter((one) => one !== '');

/** @throws CloudError `unauthenticated` where the rule names what its remote side does not have */
function fillText(text: string, direct: readonly Direct[]): string {
  return text.replace(/\{(\d{1,3})\}/g, (_, index: string) => {
    const values = direct[Number(index)];
    if (!values) throw new CloudError('unauthenticated', 'mapping_names_too_many', {});
    return values.join(separator);
  });
}

function groupsOf(local: LocalRule): Mapped['groups'] {
  const groups: Mapped['groups'] = [];
  if (local.group) groups.push(local.group);
  if (local.groups !== undefined && local.domain) {
    groups.push(...listOf(local.groups).map((name) => ({ name, domain: local.domain! })));
  }
  if (local.group_ids !== undefined) groups.push(...listOf(local.group_ids).map((id) => ({ id })));
  return groups;
}

/** What a provider's claims are called in rules: as they are, and as Apache's OpenID Connect module hands them to Keystone. */
export function assertionOf(claims: Readonly<Record<string, unknown>>): Assertion {
  const found: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(claims)) {
    const values = [value].flat().filter((one) => ['string', 'number', 'boolean'].includes(typeof one));
    if (values.length === 0) continue;
    const texts = values.map(String);
    for (const key of [name, `OIDC-${name}`, `HTTP_OIDC_${name.toUpperCase().replaceAll('-', '_')}`])
      found[key] = texts;
  }
  return found;
}

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

/** What a remote entry takes over of the assertion. */
type Direct = readonly string[];

/** A local side that is filled in: its groups one by one. */
type Filled = Omit<LocalRule, 'groups' | 'group_ids'> & { groups: string[]; group_ids: string[] };

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
function filled(local: LocalRule, direct: readonly Direct[]): Filled {
  const fill = (value: unknown): unknown => {
    if (typeof value === 'string') return fillText(value, direct);
    if (Array.isArray(value)) return value.map(fill);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  };
  const { groups, group_ids: ids, ...rest } = local;
  return { ...(fill(rest) as LocalRule), groups: fillEach(groups, direct), group_ids: fillEach(ids, direct) };
}

const placeholder = /\{(\d{1,3})\}/g;

/** Several values are parted by commas, as Apache's module parts them. @throws CloudError `unauthenticated` where the rule names what its remote side does not have */
function fillText(text: string, direct: readonly Direct[]): string {
  return text.replace(placeholder, (_, index: string) => valuesAt(index, direct).join(','));
}

/** One text for each value of the one that is named. */
function fillEach(text: string | undefined, direct: readonly Direct[]): string[] {
  if (text === undefined) return [];
  const [only, ...others] = text.matchAll(placeholder);
  if (!only || others.length > 0) return [fillText(text, direct)];
  return valuesAt(only[1]!, direct).map((value) => text.replace(only[0], () => value));
}

function valuesAt(index: string, direct: readonly Direct[]): Direct {
  const values = direct[Number(index)];
  if (!values) throw new CloudError('unauthenticated', 'mapping_names_too_many', {});
  return values;
}

function groupsOf({ group, groups, group_ids: ids, domain }: Filled): Mapped['groups'] {
  return [
    ...(group ? [group] : []),
    ...(domain ? groups.map((name) => ({ name, domain })) : []),
    ...ids.map((id) => ({ id })),
  ];
}

/** Nothing here has a name with one of these, and PostgreSQL takes neither NUL nor half of a surrogate pair. */
const isText = (value: unknown): boolean =>
  typeof value !== 'string' || (value.isWellFormed() && !/\p{Cc}/u.test(value));

/** What a provider's claims are called in rules: as they are, and as Apache's OpenID Connect module hands them to Keystone. */
export function assertionOf(claims: Readonly<Record<string, unknown>>): Assertion {
  const found: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(claims)) {
    const values = [value].flat().filter((one) => ['string', 'number', 'boolean'].includes(typeof one) && isText(one));
    if (values.length === 0) continue;
    const texts = values.map(String);
    for (const key of [name, `OIDC-${name}`, `HTTP_OIDC_${name.toUpperCase().replaceAll('-', '_')}`])
      found[key] = texts;
  }
  return found;
}

/**
 * Multi-factor rules (Keystone's user options `multi_factor_auth_enabled` and `multi_factor_auth_rules`): each rule names
 * methods, and a log-in must have proven all methods of one rule. They bind every way to get a token, application
 * credentials and tokens included, as Keystone's do.
 *
 * Unlike Keystone, a method that this cloud does not have is not left out of a rule: a rule that needs it can not be met.
 * Left out, ["password", "oauth1"] would be met by a password alone, which is what its author wanted to end.
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { Queryable } from '../kit/database/database.ts';
import type { Named } from './authorization.ts';
import type { Proven } from './login.ts';
import type { Extra } from './tables.ts';

export const factorsEnabledOption = 'multi_factor_auth_enabled';
export const factorRulesOption = 'multi_factor_auth_rules';

/** What was proven is right, and not enough. */
export class InsufficientFactors extends CloudError<'authentication_required'> {
  readonly proven: Proven;
  readonly user: Named<string> & { domain: Named<string> };
  /** The rules that what was proven is a part of. */
  readonly required: string[][];

  constructor(proven: Proven, user: InsufficientFactors['user'], required: string[][]) {
    super('unauthenticated', 'authentication_required', {}, { cause: 'the methods meet no rule of the user' });
    this.proven = proven;
    this.user = user;
    this.required = required;
  }
}

/** Rules as they count: Keystone overlooks what is no list of methods, and empty ones. */
function rulesOf(options: Extra): string[][] {
  const rules = options[factorRulesOption];
  if (options[factorsEnabledOption] === false || !Array.isArray(rules)) return [];
  return rules.filter(
    (rule) => Array.isArray(rule) && rule.length > 0 && rule.every((method) => typeof method === 'string'),
  );
}

const meets = (rules: readonly string[][], methods: readonly string[]): boolean =>
  rules.length === 0 || rules.some((rule) => rule.every((method) => methods.includes(method)));

/** @throws InsufficientFactors. Who is disabled is refused elsewhere, and gets no receipt here. */
export async function requireFactors(db: Queryable, proven: Proven): Promise<void> {
  const { rows } = await sql<{ options: Extra; user: InsufficientFactors['user'] }>`
    select u.options, json_build_object('id', u.id, 'name', u.name, 'domain',
      json_build_object('id', d.id, 'name', d.name)) as "user"
    from "user" u join domain d on d.id = u.domain_id
    where u.id = ${proven.userId} and u.enabled and d.enabled and u.options ? ${factorRulesOption}`.execute(db);
  if (!rows[0]) return;
  const rules = rulesOf(rows[0].options);
  if (meets(rules, proven.methods)) return;
  const required = rules.filter((rule) => rule.some((method) => proven.methods.includes(method)));
  throw new InsufficientFactors(proven, rows[0].user, required);
}

/** @throws CloudError `invalid` */
export function checkFactorOptions(options: Extra | undefined): void {
  const rules = options?.[factorRulesOption];
  if (rules === undefined || rules === null) return;
  const isRule = (rule: unknown) =>
    Array.isArray(rule) &&
    rule.length > 0 &&
    rule.length <= 16 &&
    new Set(rule).size === rule.length &&
    rule.every((method) => typeof method === 'string' && method !== '' && method.length <= 64);
  if (!Array.isArray(rules) || rules.length > 64 || !rules.every(isRule)) {
    throw new CloudError('invalid', 'option_not_method_lists', { option: factorRulesOption });
  }
}

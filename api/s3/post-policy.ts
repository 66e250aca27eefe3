/** The policy of a form: what whoever has the form may upload, as its signer said it ("POST Policy", Amazon S3 API Reference). Pure. */
import { S3Refusal } from './refusal.ts';

type Condition = { operator: 'eq' | 'starts-with'; field: string; value: string } | { least: number; most: number };

export interface PostPolicy {
  expiresAt: number;
  conditions: readonly Condition[];
}

const malformed = (why: string) => new S3Refusal('InvalidPolicyDocument', `Invalid Policy: ${why}`);
const denied = (why: string) => new S3Refusal('AccessDenied', `Invalid according to Policy: ${why}`);

/** @param encoded base64, as the form has it @throws S3Refusal */
export function readPostPolicy(encoded: string): PostPolicy {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'));
  } catch {
    throw malformed('Invalid JSON.');
  }
  const { expiration, conditions } = (document ?? {}) as { expiration?: unknown; conditions?: unknown };
  const expiresAt = typeof expiration === 'string' ? Date.parse(expiration) : Number.NaN;
  if (Number.isNaN(expiresAt)) throw malformed('Policy missing expiration.');
  if (!Array.isArray(conditions)) throw malformed('Policy missing conditions.');
  return { expiresAt, conditions: conditions.flatMap(conditionsOf) };
}

function conditionsOf(condition: unknown): Condition[] {
  if (Array.isArray(condition)) return [listed(condition)];
  if (typeof condition !== 'object' || condition === null) throw malformed('Invalid Condition.');
  return Object.entries(condition).map(([field, value]) => {
    if (typeof value !== 'string') throw malformed('Invalid Simple-Condition: value must be a string.');
    return { operator: 'eq', field: field.toLowerCase(), value };
  });
}

function listed([operator, a, b, ...rest]: unknown[]): Condition {
  const name = typeof operator === 'string' ? operator.toLowerCase() : '';
  if (rest.length > 0) throw malformed('Invalid Condition.');
  if (name === 'content-length-range') {
    const [least, most] = [Number(a), Number(b)];
    if (!Number.isSafeInteger(least) || !Number.isSafeInteger(most)) throw malformed('Invalid content-length-range.');
    return { least, most };
  }
  if (
    (name !== 'eq' && name !== 'starts-with') ||
    typeof a !== 'string' ||
    typeof b !== 'string' ||
    !a.startsWith('$')
  ) {
    throw malformed('Invalid Condition.');
  }
  return { operator: name, field: a.slice(1).toLowerCase(), value: b };
}

/** Fields that a policy need not name. */
const free = ['policy', 'x-amz-signature', 'file', 'submit', 'awsaccesskeyid', 'signature'];

/** Every field must be allowed, and every condition met. @throws S3Refusal */
export function requireAllowed({ conditions }: PostPolicy, fields: ReadonlyMap<string, string>): void {
  for (const condition of conditions) {
    if ('least' in condition) continue;
    const { operator, field, value } = condition;
    const said = fields.get(field) ?? '';
    if (operator === 'eq' ? said === value : said.startsWith(value)) continue;
    throw denied(`Policy Condition failed: ["${operator}", "$${field}", "${value}"]`);
  }
  const named = new Set(conditions.flatMap((condition) => ('field' in condition ? condition.field : [])));
  for (const field of fields.keys()) {
    if (named.has(field) || free.includes(field) || field.startsWith('x-ignore-')) continue;
    throw denied(`Extra input fields: ${field.slice(0, 80)}`);
  }
}

/** Bytes that the file may have. */
export function boundsOf({ conditions }: PostPolicy): { least: number; most: number } {
  let [least, most] = [0, Number.POSITIVE_INFINITY];
  for (const condition of conditions) {
    if ('least' in condition) [least, most] = [Math.max(least, condition.least), Math.min(most, condition.most)];
  }
  return { least, most };
}

/** Conditional requests as HTTP has them (RFC 9110, section 13): pure. Entity tags are compared without quotes. */
import { CloudError } from '../../contract/errors.ts';
import type { Conditions } from './object.ts';

export interface Validators {
  etag: string;
  updatedAt: Date;
}

const listOf = (tags: string | readonly string[] | undefined): readonly string[] | undefined =>
  typeof tags === 'string' ? [tags] : tags;

const matches = (tags: readonly string[], found: Validators | undefined): boolean =>
  found !== undefined && (tags.includes('*') || tags.includes(found.etag));

/** Times of HTTP are whole seconds. */
const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);

/** The first condition that does not hold, in the order of RFC 9110 (13.2.2); `found`: undefined where there is none. */
function failedCondition(
  conditions: Conditions,
  found: Validators | undefined,
): 'if_match' | 'if_unmodified_since' | 'if_none_match' | 'if_modified_since' | undefined {
  const [match, noneMatch] = [listOf(conditions.ifMatch), listOf(conditions.ifNoneMatch)];
  if (match) {
    if (!matches(match, found)) return 'if_match';
  } else if (conditions.ifUnmodifiedSince && found) {
    if (seconds(found.updatedAt) > seconds(conditions.ifUnmodifiedSince)) return 'if_unmodified_since';
  }
  if (noneMatch) {
    if (matches(noneMatch, found)) return 'if_none_match';
  } else if (conditions.ifModifiedSince && found) {
    if (seconds(found.updatedAt) <= seconds(conditions.ifModifiedSince)) return 'if_modified_since';
  }
  return undefined;
}

const hasConditions = ({ ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince }: Conditions): boolean =>
  [ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince].some((condition) => condition !== undefined);

/** Of a write. */
export function failedWrite(conditions: Conditions, found: Validators | undefined): CloudError | undefined {
  const condition = hasConditions(conditions) ? failedCondition(conditions, found) : undefined;
  return condition && new CloudError('conflict', 'object_precondition_failed', { condition });
}

/** Of a read: what it says of "not modified" is no refusal in HTTP, but nothing is read either. @throws CloudError `conflict` */
export function requireRead(conditions: Conditions, found: Validators): void {
  const condition = hasConditions(conditions) ? failedCondition(conditions, found) : undefined;
  if (condition === 'if_none_match' || condition === 'if_modified_since') {
    throw new CloudError('conflict', 'object_not_modified', {
      etag: found.etag,
      updated_at: found.updatedAt.toISOString(),
    });
  }
  if (condition) throw new CloudError('conflict', 'object_precondition_failed', { condition });
}

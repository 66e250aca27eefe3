/** Conditional reads (RFC 9110, section 13), as Swift judges them. Pure. */
import type { HeaderTexts } from '../../boundary/headers.ts';
import { parseHttpDate, wholeSecond } from './times.ts';

/** The texts of a list, or `*`; quotes and marks of weakness do not count, for clients write MD5 sums without them too. */
function tagsOf(list: string): '*' | string[] {
  const tags = list
    .split(',')
    .map((tag) =>
      tag
        .trim()
        .replace(/^W\//, '')
        .replace(/^"(.*)"$/, '$1'),
    )
    .filter((tag) => tag !== '');
  return tags.includes('*') ? '*' : tags;
}

const names = (list: string, etag: string): boolean => {
  const tags = tagsOf(list);
  return tags === '*' || tags.includes(etag);
};

export type Verdict = 'send' | 'not_modified' | 'failed';

/** @param etag without quotes */
export function judge(headers: HeaderTexts, { etag, changedAt }: { etag: string; changedAt: Date }): Verdict {
  const {
    'if-match': match,
    'if-none-match': noneMatch,
    'if-modified-since': modifiedSince,
    'if-unmodified-since': unmodifiedSince,
  } = headers;
  const changed = wholeSecond(changedAt);
  if (match && !names(match, etag)) return 'failed';
  if (noneMatch && names(noneMatch, etag)) return 'not_modified';
  const notSince = unmodifiedSince ? parseHttpDate(unmodifiedSince) : undefined;
  if (notSince && changed > notSince) return 'failed';
  const since = modifiedSince && !noneMatch ? parseHttpDate(modifiedSince) : undefined;
  return since && changed <= since ? 'not_modified' : 'send';
}

/** Whether a range holds for what is there now: `If-Range` is a tag or a date. */
export function rangeHolds(
  ifRange: string | undefined,
  { etag, changedAt }: { etag: string; changedAt: Date },
): boolean {
  if (!ifRange) return true;
  const date = parseHttpDate(ifRange);
  return date ? wholeSecond(changedAt) <= date : names(ifRange, etag);
}

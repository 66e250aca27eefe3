/**
 * Access rules of application credentials: the only requests that such a token is good for. In OpenStack each service's
 * middleware holds them; here every dialect does, in {@link authenticateAll}.
 */
import { CloudError } from '../../../contract/errors.ts';
import type { AccessRule } from '../../../control/kit/caller.ts';

/** A dialect's first path segment is its catalogue type; where OpenStack knows a service by other names too, all count. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  volume: ['volumev3', 'block-storage'],
};

const patterns = new WeakMap<AccessRule, RegExp>();

/** `**` is anything, `*` and `{name}` are one segment, all else is itself. */
export function patternOf(rule: AccessRule): RegExp {
  let pattern = patterns.get(rule);
  if (!pattern) {
    const parts = rule.path.split(/(\*\*|\*|\{[^{}/]*\})/).map((part, index) => {
      if (index % 2 === 0) return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      return part === '**' ? '.*' : '[^/]+';
    });
    pattern = new RegExp(`^${parts.join('')}/?$`);
    patterns.set(rule, pattern);
  }
  return pattern;
}

/**
 * @param url path and query of the request; its first segment is the dialect's
 * @throws CloudError `forbidden`
 */
export function requireAccess(rules: readonly AccessRule[], method: string, url: string): void {
  const [, service = '', path = ''] = /^\/([^/?]*)([^?]*)/.exec(url) ?? [];
  const types = [service, ...(otherNames[service] ?? [])];
  const allowed = rules.some(
    (rule) => types.includes(rule.service) && rule.method === method && patternOf(rule).test(path),
  );
  if (!allowed) {
    throw new CloudError('forbidden', "the application credential's access rules do not allow this request");
  }
}

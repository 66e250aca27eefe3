/**
 * Access rules of application credentials: the only requests that such a token is good for. In OpenStack each service's
 * middleware holds them; here every dialect does, in {@link authenticateAll}.
 *
 * What is judged is what the router chose, never the text of the request: a route's own path with the decoded values of its
 * parameters. Two readers of one URL would differ sooner or later (`#`, `%2f`, `//`, absolute-form), and the difference
 * would be a way around every rule.
 */
import type { FastifyRequest } from 'fastify';
import type { AccessRule } from '../../../control/kit/caller.ts';
import { Refusal } from '../../boundary/refusal.ts';

/** A dialect's first path segment is its catalogue type; where OpenStack knows a service by other names too, all count. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  volume: ['volumev3', 'block-storage'],
};

const patterns = new WeakMap<AccessRule, RegExp>();

/** `**` is anything, `*` and `{name}` are one segment, all else is itself, however it is escaped. */
export function patternOf(rule: AccessRule): RegExp {
  let pattern = patterns.get(rule);
  if (!pattern) {
    const path = rule.path.replace(/(.)\/+$/, '$1');
    const parts = path.split(/(\*\*|\*|\{[^{}/]*\})/).map((part, index) => {
      if (index % 2 === 0) return normal(part).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      return part === '**' ? '.*' : '[^/]+';
    });
    pattern = new RegExp(`^${parts.join('')}$`, 's');
    patterns.set(rule, pattern);
  }
  return pattern;
}

/** A rule's own text in the form of {@link routedPath}: escapes decoded, but for a slash that separates nothing. */
function normal(literal: string): string {
  const decoded = literal.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return decoded.map(segment).join('/');
}

/** A value that stands for one segment whatever is in it. */
const segment = (value: string): string => value.replaceAll('%', '%25').replaceAll('/', '%2F');

/** What the router chose. Undefined where nothing of ours is routed, or where a value is empty: no rule is meant so. */
export function routedPath(route: string | undefined, params: unknown): string | undefined {
  if (route === undefined) return undefined;
  const given = params as Record<string, string | undefined>;
  const segments = route.split('/').map((part) => {
    if (!part.includes(':') && !part.includes('*')) return part;
    const value = /^:\w+$/.test(part) ? given[part.slice(1)] : undefined;
    return value ? segment(value) : undefined;
  });
  return segments.includes(undefined) ? undefined : segments.join('/').replace(/(.)\/+$/, '$1');
}

/** Refuses what no rule allows, and what can not be judged. @throws CloudError `forbidden` */
export function requireAccess(rules: readonly AccessRule[], request: FastifyRequest): void {
  requireRule(rules, request.method, request.is404 ? undefined : routedPath(request.routeOptions.url, request.params));
}

/**
 * @param routed the dialect's segment and the path in it
 * @throws CloudError `forbidden`
 */
export function requireRule(rules: readonly AccessRule[], method: string, routed: string | undefined): void {
  const [, service = '', path = ''] = /^\/([^/]+)(\/.*)?$/s.exec(routed ?? '') ?? [];
  const types = [service, ...(otherNames[service] ?? [])];
  const allowed = rules.some(
    (rule) => types.includes(rule.service) && rule.method === method && patternOf(rule).test(path),
  );
  if (!allowed) {
    throw new Refusal('forbidden', "the application credential's access rules do not allow this request");
  }
}

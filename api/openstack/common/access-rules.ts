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
  object: ['object-store'],
};

/** One place in a rule: a character, or a wildcard's part. */
type Step = { character: string } | { wild: 'any' | 'segment'; repeats: boolean };

const patterns = new WeakMap<AccessRule, readonly Step[]>();

/** `**` is anything, `*` and `{name}` are one segment, all else is itself, however it is escaped. */
function patternOf(rule: AccessRule): readonly Step[] {
  let pattern = patterns.get(rule);
  if (!pattern) {
    const path = rule.path.replace(/(.)\/+$/, '$1');
    pattern = path.split(/(\*\*|\*|\{[^{}/]*\})/).flatMap((part, index): Step[] => {
      if (index % 2 === 0) return [...normal(part)].map((character) => ({ character }));
      if (part === '**') return [{ wild: 'any', repeats: true }];
      return [
        { wild: 'segment', repeats: false },
        { wild: 'segment', repeats: true },
      ];
    });
    patterns.set(rule, pattern);
  }
  return pattern;
}

/**
 * All ways through the rule at once. No regular expression: it would try them one after the other, and a tenant who writes
 * a dozen stars would stop the process for everybody.
 */
function covers(pattern: readonly Step[], path: string): boolean {
  let places = new Set<number>();
  const reach = (into: Set<number>, from: number) => {
    for (let place = from; !into.has(place); place++) {
      into.add(place);
      const step = pattern[place];
      if (!step || 'character' in step || !step.repeats) return;
    }
  };
  reach(places, 0);
  for (const character of path) {
    const next = new Set<number>();
    for (const place of places) {
      const step = pattern[place];
      if (!step) continue;
      if ('character' in step) {
        if (step.character === character) reach(next, place + 1);
      } else if (step.wild === 'any' || character !== '/') {
        reach(next, step.repeats ? place : place + 1);
      }
    }
    places = next;
  }
  return places.has(pattern.length);
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
    (rule) => types.includes(rule.service) && rule.method === method && covers(patternOf(rule), path),
  );
  if (!allowed) {
    throw new Refusal('forbidden', "the application credential's access rules do not allow this request");
  }
}

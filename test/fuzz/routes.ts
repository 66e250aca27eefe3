/** Every route that control registers, as it tells itself, and how a walk asks for it. */
import type { RouteOptions } from 'fastify';
import type { Victim } from './victim.ts';

export interface Route {
  method: string;
  url: string;
  open: boolean;
}

const verbs = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** `listen` is what control tells of its routes (`hooks.onRoute`). */
export function routeList(): { routes: Route[]; listen(route: RouteOptions): void } {
  const routes: Route[] = [];
  return {
    routes,
    listen({ method, url, config }) {
      for (const one of [method].flat()) {
        // v2.0 of Nova is the routes of 2.1 again, and Cinder's are there with and without a project.
        if (verbs.includes(one) && !/^\/(compute\/v2|volume\/v3\/:projectId)\//.test(url))
          routes.push({ method: one, url, open: config?.open === true });
      }
    },
  };
}

/** The route with the victim's ids in it: each parameter is of the collection before it. */
export function aimed({ url }: Route, victim: Victim): string {
  const segments = url.split('/');
  return segments
    .map((segment, index) => {
      if (!segment.startsWith(':')) return segment;
      return encodeURIComponent(
        victim.ids[segments[index - 1]!] ?? (segment === ':project' ? victim.projectId : victim.mark),
      );
    })
    .join('/');
}

/** Ways to ask for more than one's own. */
export const reachesOf = (victim: Victim): string[] => [
  '',
  `?project_id=${victim.projectId}`,
  `?tenant_id=${victim.projectId}`,
  '?all_tenants=1',
  '?all_projects=true',
  `?owner=${victim.projectId}&visibility=all`,
  `?user_id=${victim.ids.users}`,
  `?id=${victim.ids.networks}`,
];

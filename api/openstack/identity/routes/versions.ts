/** Version documents: what a client asks first, without a token. */
import type { Deps, Routes } from '../resource.ts';

const version = (deps: Deps) => ({
  id: 'v3.14',
  status: 'stable',
  updated: '2020-04-07T00:00:00Z',
  links: [{ rel: 'self', href: `${deps.base}/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
});

export const versionRoutes: Routes = (app, deps) => {
  const open = { config: { open: true } };
  app.get('/', open, (_request, reply) => reply.code(300).send({ versions: { values: [version(deps)] } }));
  app.get('/v3', open, () => ({ version: version(deps) }));
};

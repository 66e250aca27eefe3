/** Version documents: what a client asks first, without a token. */
import { oneVersion, versions } from '../answers.ts';
import type { Deps, Routes } from '../resource.ts';

const version = (deps: Deps) => ({
  id: 'v3.14',
  status: 'stable',
  updated: '2020-04-07T00:00:00Z',
  links: [{ rel: 'self', href: `${deps.base}/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
});

const list = { summary: 'List versions', rights: 'open', answers: { 300: versions } } as const;
const show = { summary: 'Show the version', rights: 'open', answers: { 200: oneVersion } } as const;

export const versionRoutes: Routes = (app, deps) => {
  app.get('/', list, (_request, reply) => reply.code(300).send({ versions: { values: [version(deps)] } }));
  app.get('/v3', show, () => ({ version: version(deps) }));
};

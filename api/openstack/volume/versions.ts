/** The version documents, open to all: clients find the range of microversions here. */
import type { FastifyRequest } from 'fastify';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';
import { maximumVersion, minimumVersion } from './microversion.ts';
import { rootOf } from './paging.ts';

const version = (request: FastifyRequest) => ({
  id: 'v3.0',
  status: 'CURRENT',
  version: `3.${maximumVersion}`,
  min_version: `3.${minimumVersion}`,
  updated: '2022-03-30T00:00:00Z',
  links: [
    { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' },
    { rel: 'self', href: `${rootOf(request)}/v3/` },
  ],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.volume+json;version=3' }],
});

const shown = a.record({
  versions: a.list({
    ...{ id: a.text, status: a.text, version: a.text, min_version: a.text, updated: a.text },
    links: a.list({ rel: a.text, href: a.text, type: a.some(a.text) }),
    'media-types': a.list({ base: a.text, type: a.text }),
  }),
});
const contracts = {
  // As Cinder, which offers a choice where there is one version.
  list: { summary: 'List API versions', rights: 'open', answers: { 300: shown } },
  show: { summary: 'Show the API version', rights: 'open', answers: { 200: shown } },
} as const;

export function versionRoutes(app: Boundary): void {
  app.get('/', contracts.list, (request, reply) => reply.code(300).send({ versions: [version(request)] }));
  app.get('/v3', contracts.show, (request) => ({ versions: [version(request)] }));
}

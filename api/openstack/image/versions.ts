/** Which versions of the Image API there are; open to all. */
import type { FastifyRequest } from 'fastify';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';

/** 2.14 and later are about caches and hidden places of several stores, which Bothy does not have. */
const current = 'v2.13';
const supported = [
  'v2.12',
  'v2.11',
  'v2.10',
  'v2.9',
  'v2.8',
  'v2.7',
  'v2.6',
  'v2.5',
  'v2.4',
  'v2.3',
  'v2.2',
  'v2.1',
  'v2.0',
];

const choices = { summary: 'List versions', rights: 'open', answers: { 300: a.versions } } as const;
const list = { summary: 'List versions', rights: 'open', answers: { 200: a.versions } } as const;

export function versionRoutes(app: Boundary): void {
  const versions = (request: Pick<FastifyRequest, 'host'>) => ({
    versions: [current, ...supported].map((id) => ({
      id,
      status: id === current ? 'CURRENT' : 'SUPPORTED',
      links: [{ rel: 'self', href: `https://${request.host}/image/v2/` }],
    })),
  });
  // 300 Multiple Choices, as Glance says at its root.
  app.get('/', choices, (request, reply) => reply.code(300).send(versions(request)));
  app.get('/versions', list, (request) => versions(request));
  // Catalogues name the version's own URL; discovery begins there.
  app.get('/v2', list, (request) => versions(request));
}

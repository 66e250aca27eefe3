/** Objects: GET and HEAD. */
import { isCloudError } from '../../../contract/errors.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { ContainerServices } from './container.ts';
import { containerOf, corsHeaders } from './cors.ts';
import { objectReadHeaders } from './object-contracts.ts';
import { sendObject } from './object-read.ts';
import { objectOf, whereOf } from './request.ts';
import { admitSigned, hidden, tempUrlHeaders } from './signed.ts';
import { sendWebObject, showsWeb } from './static-web.ts';

const read = {
  summary: 'Download an object, or show it',
  rights: 'reader',
  headers: objectReadHeaders,
  answers: { 200: 'application/octet-stream', 206: 'application/octet-stream', 301: null, 304: null },
} as const;

export function objectRoutes(app: Boundary, services: ContainerServices): void {
  const { containers, objects } = services;
  app.read('/v1/:account/:container/:object', read, async (request, reply) => {
    const [where, name] = [whereOf(request), objectOf(request)];
    const url = await admitSigned(request, containers);
    const web = url ? undefined : await showsWeb(request, containers);
    try {
      const asks = request.headers.origin === undefined ? undefined : await containerOf(request, containers);
      const cors = asks ? corsHeaders(request, asks) : {};
      return await sendObject(request, reply, {
        ...{ objects, visitor: request.visit, where, name, headers: cors },
        ...(url && {
          hide: (told) => ({ ...hidden(told), ...tempUrlHeaders(url, name, told['content-disposition']) }),
        }),
      });
    } catch (error) {
      if (web && isCloudError(error, 'not_found', 'unauthenticated')) {
        return sendWebObject(request, reply, { ...services, web, error, name });
      }
      throw error;
    }
  });
}

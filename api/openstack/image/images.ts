/** Images: everything but bytes and members. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ImageService } from '../../../control/image/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { type PatchDraft, parseNewImage, parsePatch, patchTypes } from './body.ts';
import { parseListQuery } from './query.ts';
import { imagesView, imageView, storeId } from './view.ts';

export interface ById {
  Params: { id: string };
}

export function imageRoutes(app: FastifyInstance, images: ImageService): void {
  app.post('/v2/images', async (request, reply) => {
    const image = await images.create(callerOf(request), parseNewImage(request.body));
    return reply
      .code(201)
      .header('location', `https://${request.host}/image/v2/images/${image.id}`)
      .header('openstack-image-store-ids', storeId)
      .send(imageView(image));
  });

  app.get('/v2/images', async (request) => {
    const query = new URLSearchParams(request.url.split('?', 2)[1] ?? '');
    const { limit, ...options } = parseListQuery(query);
    const found = limit === 0 ? [] : await images.list(callerOf(request), { ...options, limit: limit + 1 });
    return imagesView(found.slice(0, limit), query, { hasMore: found.length > limit });
  });

  app.get<ById>('/v2/images/:id', async (request) =>
    imageView(await images.show(callerOf(request), request.params.id)),
  );

  app.patch<ById>('/v2/images/:id', async (request) => {
    const changes = parsePatch(request.body, draftOf(request));
    return imageView(await images.update(callerOf(request), request.params.id, changes));
  });

  app.delete<ById>('/v2/images/:id', async (request, reply) => {
    await images.delete(callerOf(request), request.params.id);
    return reply.code(204).send();
  });

  for (const [action, wanted] of [
    ['deactivate', 'deactivated'],
    ['reactivate', 'active'],
  ] as const) {
    app.post<ById>(`/v2/images/:id/actions/${action}`, async (request, reply) => {
      await images.setActive(callerOf(request), request.params.id, wanted);
      return reply.code(204).send();
    });
  }

  app.put<{ Params: { id: string; tag: string } }>('/v2/images/:id/tags/:tag', async (request, reply) => {
    await images.addTag(callerOf(request), request.params.id, request.params.tag);
    return reply.code(204).send();
  });

  app.delete<{ Params: { id: string; tag: string } }>('/v2/images/:id/tags/:tag', async (request, reply) => {
    await images.removeTag(callerOf(request), request.params.id, request.params.tag);
    return reply.code(204).send();
  });

  app.get('/v2/info/import', async () => ({
    'import-methods': { description: 'Import methods available.', type: 'array', value: [] },
  }));
  app.get('/v2/info/stores', async () => ({ stores: [{ id: storeId, default: 'true' }] }));
}

/** @throws CloudError that becomes 415 */
function draftOf(request: FastifyRequest): PatchDraft {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const draft = Object.entries(patchTypes).find(([known]) => known === type)?.[1];
  if (draft) return draft;
  const allowed = Object.keys(patchTypes).sort().join(', ');
  throw new Refusal('invalid', `Image PATCH expects Content-Type one of: ${allowed}`, {
    details: { httpStatus: 415, headers: { 'accept-patch': allowed } },
  });
}

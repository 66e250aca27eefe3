/** Images: everything but bytes and members. */
import type { FastifyRequest } from 'fastify';
import { type ImageService, importMethods } from '../../../control/image/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { newImageBody, type PatchDraft, parseNewImage, parsePatch, patchBody, patchTypes } from './body.ts';
import { listQuery, parseListQuery, searchOf } from './query.ts';
import { imagesView, imageView, storeId } from './view.ts';

const none = { 204: null } as const;
const create = {
  summary: 'Create an image',
  rights: 'member',
  body: newImageBody,
  answers: { 201: a.image },
  explain: { body: parseNewImage },
} as const;
const list = { summary: 'List images', rights: 'reader', query: listQuery, answers: { 200: a.images } } as const;
const show = { summary: 'Show an image', rights: 'reader', answers: { 200: a.image } } as const;
const update = {
  summary: 'Change an image',
  rights: 'member',
  body: patchBody,
  bodyTypes: Object.keys(patchTypes),
  answers: { 200: a.image },
  explain: { body: (value: unknown, request: FastifyRequest) => parsePatch(value, draftOf(request)) },
} as const;
const remove = { summary: 'Delete an image', rights: 'member', answers: none } as const;
const putTag = { summary: 'Add a tag', rights: 'member', answers: none } as const;
const removeTag = { summary: 'Remove a tag', rights: 'member', answers: none } as const;

export function imageRoutes(app: Boundary, images: ImageService): void {
  app.post('/v2/images', create, async (request, reply) => {
    const image = await images.create(callerOf(request), parseNewImage(request.body));
    // openstacksdk takes a cloud that tells no methods for one that can not import.
    return reply
      .code(201)
      .header('location', `https://${request.host}/image/v2/images/${image.id}`)
      .header('openstack-image-store-ids', storeId)
      .header('openstack-image-import-methods', importMethods.join(','))
      .send(imageView(image));
  });

  app.get('/v2/images', list, async (request) => {
    const query = searchOf(request.query);
    const { limit, ...options } = parseListQuery(query);
    const found = limit === 0 ? [] : await images.list(callerOf(request), { ...options, limit: limit + 1 });
    return imagesView(found.slice(0, limit), query, { hasMore: found.length > limit });
  });

  app.get('/v2/images/:id', show, async (request) =>
    imageView(await images.show(callerOf(request), request.params.id)),
  );

  app.patch('/v2/images/:id', update, async (request) => {
    const changes = parsePatch(request.body, draftOf(request));
    return imageView(await images.update(callerOf(request), request.params.id, changes));
  });

  app.delete('/v2/images/:id', remove, async (request, reply) => {
    await images.delete(callerOf(request), request.params.id);
    return reply.code(204).send();
  });

  for (const [action, wanted] of [
    ['deactivate', 'deactivated'],
    ['reactivate', 'active'],
  ] as const) {
    const contract = { summary: `Make it ${wanted}`, rights: 'member', answers: none } as const;
    app.post(`/v2/images/:id/actions/${action}`, contract, async (request, reply) => {
      await images.setActive(callerOf(request), request.params.id, wanted);
      return reply.code(204).send();
    });
  }

  app.put('/v2/images/:id/tags/:tag', putTag, async (request, reply) => {
    await images.addTag(callerOf(request), request.params.id, request.params.tag);
    return reply.code(204).send();
  });

  app.delete('/v2/images/:id/tags/:tag', removeTag, async (request, reply) => {
    await images.removeTag(callerOf(request), request.params.id, request.params.tag);
    return reply.code(204).send();
  });
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

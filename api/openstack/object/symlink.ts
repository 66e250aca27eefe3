/** `X-Symlink-Target`: an object that stands for another, of whatever account; with a tag only as long as that is the same. */
import type { FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import type { ObjectWish } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { hasBody } from './body.ts';
import { namedBy } from './object-headers.ts';
import { type Names, objectOf, projectOf, whereOf } from './request.ts';
import type { Services } from './write-parts.ts';

export async function symlinkOf(request: FastifyRequest, { objects }: Services): Promise<Pick<ObjectWish, 'manifest'>> {
  const headers = headersOf(request);
  const text = headers['x-symlink-target'];
  if (text === undefined) return {};
  const { container, object: name } = namedBy('X-Symlink-Target', text);
  if (hasBody(request)) throw new Refusal('invalid', 'Symlink requests require a zero byte body');
  const { account: own } = request.params as Names;
  const account = headers['x-symlink-target-account'] ?? own;
  const projectId = projectOf({ visit: request.visit, params: { account } } as FastifyRequest);
  const where = whereOf(request);
  if (projectId === where.projectId && container === where.container && name === objectOf(request)) {
    throw new Refusal('invalid', 'Symlink cannot target itself');
  }
  const etag = headers['x-symlink-target-etag']?.replace(/^"(.*)"$/, '$1');
  const symlink = { kind: 'symlink', projectId, container, name } as const;
  if (etag === undefined) return { manifest: symlink };
  const conflict = (why: string) => new Refusal('conflict', why);
  try {
    const target = await objects.head(request.visit, { projectId, container }, name);
    if (target.etag !== etag) {
      throw conflict(`Object Etag '${target.etag}' does not match X-Symlink-Target-Etag header '${etag}'`);
    }
    return { manifest: { ...symlink, etag, sizeBytes: target.sizeBytes } };
  } catch (error) {
    if (isCloudError(error, 'not_found')) throw conflict('X-Symlink-Target does not exist');
    throw error;
  }
}

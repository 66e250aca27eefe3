/** What PUT, COPY, DELETE and their relatives do alike. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ObjectWish, PutResult, Where } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { answer } from './answer.ts';
import { archiveOf, bringBack, keepCurrent } from './archive.ts';
import type { ContainerServices } from './container.ts';
import { httpDate } from './times.ts';

export type Services = ContainerServices;

/** What goes before a name is overwritten. */
export async function archiveBefore(
  request: FastifyRequest,
  services: Services,
  where: Where,
  name: string,
): Promise<void> {
  const { containers, objects } = services;
  // Whoever may not write learns nothing of the container.
  const info = await containers.show(request.visit, where, 'write');
  const archive = archiveOf(info);
  if (archive) await keepCurrent(objects, { visitor: request.visit, where, name, archive });
}

export const written = (
  reply: FastifyReply,
  { etag, updatedAt, versioned, versionId }: Pick<PutResult, 'etag' | 'updatedAt' | 'versioned' | 'versionId'>,
  headers: Record<string, string> = {},
) =>
  answer(reply, {
    status: 201,
    headers: {
      Etag: etag,
      'Last-Modified': httpDate(updatedAt),
      ...(versioned && { 'X-Object-Version-Id': versionId }),
      ...headers,
    },
  });

export function conditionOf(request: FastifyRequest): Pick<ObjectWish, 'ifNoneMatch'> {
  const condition = headersOf(request)['if-none-match'];
  if (condition === undefined) return {};
  if (condition.trim() === '*') return { ifNoneMatch: '*' };
  throw new Refusal('invalid', 'If-None-Match only supports *');
}

/** @throws CloudError as the service does */
export async function removeObject(
  request: FastifyRequest,
  { containers, objects }: Services,
  { where, name, versionId }: { where: Where; name: string; versionId?: string | undefined },
): Promise<{ versionId?: string } | undefined> {
  const visitor = request.visit;
  const archive = versionId === undefined ? archiveOf(await containers.show(visitor, where, 'write')) : undefined;
  if (archive && (await bringBack(objects, { visitor, where, name, archive }))) return undefined;
  const { versionId: told } = await objects.delete(visitor, where, name, { versionId });
  return told === 'null' ? undefined : { versionId: told };
}

export const nothing = () => ({ bytes: Readable.from([]), sizeBytes: 0 });

/** The server's own copies: what is there is read, and written under another name. */
import { Readable } from 'node:stream';
import type { ObjectService, ObjectWish, PutResult, Visitor, Where } from '../../../control/object/index.ts';
import { copiesOf } from './object-read.ts';

export interface CopySource {
  where: Where;
  name: string;
  versionId?: string;
  /** A manifest or a symlink as it is; else the bytes that it leads to, as one object. */
  raw?: boolean;
}

/** @param wish what shall be other than at the source */
export async function copyObjectTo(
  objects: ObjectService,
  visitor: Visitor,
  { where, name, ...options }: CopySource,
  to: { where: Where; name: string },
  wish: Partial<ObjectWish> = {},
): Promise<PutResult> {
  const opened = await objects.open(visitor, where, name, options);
  const { object, sizeBytes } = opened;
  const { contentType, metadata, headers, expiresAt } = object;
  const all = { contentType, metadata, headers, ...(expiresAt && { expiresAt }), ...wish };
  const manifest = wish.manifest ?? (options.raw ? object.manifest : null);
  if (manifest) {
    return objects.put(visitor, to.where, to.name, { bytes: Readable.from([]), sizeBytes: 0 }, { ...all, manifest });
  }
  const bytes = sizeBytes === 0 ? Readable.from([]) : copiesOf(await opened.read());
  return objects.put(visitor, to.where, to.name, { bytes, sizeBytes }, all);
}

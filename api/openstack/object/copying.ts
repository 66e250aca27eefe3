/** The server's own copies: what is there is read, and written under another name. */
import type {
  CopySource,
  ObjectService,
  ObjectWish,
  PutResult,
  Visitor,
  Where,
} from '../../../control/object/index.ts';

/**
 * @param from `raw`: a manifest or a symlink as it is; else the bytes that it leads to, as one object
 * @param wish what shall be other than at the source
 */
export function copyObjectTo(
  objects: ObjectService,
  visitor: Visitor,
  from: CopySource,
  to: { where: Where; name: string },
  wish: Partial<ObjectWish> = {},
): Promise<PutResult> {
  return objects.copy(visitor, from, to, ({ object: { contentType, metadata, headers, expiresAt, manifest } }) => ({
    ...{ contentType, metadata, headers },
    ...(expiresAt && { expiresAt }),
    ...(from.raw && manifest && { manifest }),
    ...wish,
  }));
}

/** DeleteObjects: up to a thousand keys, each with its own outcome. */
import { Type } from 'typebox';
import { isCloudError } from '../../contract/errors.ts';
import type { Call } from './call.ts';
import { malformedXml } from './call.ts';
import { faultOf } from './faults.ts';
import { deleteKey } from './objects.ts';
import type { Operations } from './operations.ts';
import { notImplemented } from './refusal.ts';
import type { Node } from './xml/write.ts';

const text = Type.Optional(Type.String());
const wish = Type.Object({
  Quiet: Type.Optional(Type.Boolean()),
  Object: Type.Array(
    Type.Object({
      Key: Type.String(),
      VersionId: text,
      ETag: text,
      LastModifiedTime: text,
      Size: Type.Optional(Type.Integer()),
    }),
    {
      maxItems: 1000,
      minItems: 1,
    },
  ),
});

interface Wish {
  Quiet?: boolean;
  Object: { Key: string; VersionId?: string; ETag?: string; LastModifiedTime?: string; Size?: number }[];
}

async function deleteObjects(call: Call): Promise<void> {
  const { Quiet, Object: wishes } = call.requireDocument<Wish>();
  // A bucket that is not there, or not the caller's, is one refusal and not a thousand.
  await call.services.containers.show(call.visitor, await call.where(), 'write');
  const outcomes = await Promise.all(wishes.map((one) => deleteOne(call, one)));
  call.xml('DeleteResult', Quiet ? outcomes.filter((node) => node?.[0] === 'Error') : outcomes);
}

async function deleteOne(
  call: Call,
  { Key, VersionId, ETag, LastModifiedTime, Size }: Wish['Object'][number],
): Promise<Node> {
  const version: Node = VersionId === undefined ? undefined : ['VersionId', VersionId];
  try {
    if (LastModifiedTime !== undefined || Size !== undefined)
      throw notImplemented('conditions of a deletion but for ETag');
    if (Key === '') throw malformedXml('an empty key');
    const etag = ETag?.replace(/^"(.*)"$/, '$1');
    const headers = await deleteKey(call, Key, {
      ...(VersionId !== undefined && { versionId: VersionId }),
      ...(etag !== undefined && { ifMatch: etag }),
    });
    const marker = headers['x-amz-delete-marker'] !== undefined;
    return [
      'Deleted',
      [
        ['Key', Key],
        version,
        marker ? ['DeleteMarker', true] : undefined,
        marker ? ['DeleteMarkerVersionId', String(headers['x-amz-version-id'])] : undefined,
      ],
    ];
  } catch (error) {
    if (!isCloudError(error)) throw error;
    const { code, message } = faultOf(error);
    return ['Error', [['Key', Key], version, ['Code', code], ['Message', message]]];
  }
}

export const deleteOperations: Operations = {
  DeleteObjects: {
    ...{ method: 'POST', level: 'bucket', by: ['delete'], rights: 'open', body: wish, bodyBytes: 8 * 1024 * 1024 },
    summary: 'takes up to a thousand objects away',
    run: deleteObjects,
  },
};

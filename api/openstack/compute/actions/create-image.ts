import { type TSchema, Type } from 'typebox';
import { type ImageId, newId } from '../../../../contract/ids.ts';
import { serverActions } from '../../../../control/compute/server/index.ts';
import * as a from '../answers.ts';
import { rootOf } from '../paging.ts';
import * as v from '../validate.ts';
import { type ActionCall, action } from './action.ts';

const common = { name: v.name, metadata: Type.Optional(v.metadata) };

/** The image is told by the header until 2.45 brought a body. */
const answers = {
  202: v.since([1, 45], (version): TSchema => (version < 45 ? Type.Null() : a.record({ image_id: a.id }))),
};

export const createImage = action({
  summary: 'Make an image of the disk of a server, which goes on meanwhile',
  rights: 'member',
  body: v.strict(common),
  answers,
  async run(call, { name, metadata = {} }) {
    const imageId = newId<ImageId>();
    await call.servers.act(call.caller, call.id, serverActions.createImage, { imageId, name, metadata });
    return told(call, imageId);
  },
});

export const createBackup = action({
  summary: 'Make an image of the disk of a server, and delete older ones of its kind',
  rights: 'member',
  body: v.strict({ ...common, backup_type: v.text(0, 255), rotation: v.integer(0) }),
  answers,
  async run(call, { name, metadata = {}, backup_type: backupType, rotation: given }) {
    const imageId = newId<ImageId>();
    const rotation = Number(given);
    const wish = { imageId, name, metadata, backupType, rotation };
    await call.servers.act(call.caller, call.id, serverActions.createBackup, wish);
    // Nova names no image that goes as soon as it is there.
    return rotation > 0 || call.request.microversion >= 45 ? told(call, imageId) : undefined;
  },
});

function told({ request, reply }: ActionCall, imageId: ImageId) {
  if (request.microversion >= 45) return { image_id: imageId };
  reply.header('location', `${rootOf(request).replace(/\/compute$/, '')}/image/v2/images/${imageId}`);
  return undefined;
}

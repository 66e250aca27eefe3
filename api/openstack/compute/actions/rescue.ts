import { Type } from 'typebox';
import { serverLimits } from '../../../../contract/host/limits.ts';
import { type ImageId, parseId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import { newAdminPassword, serverActions } from '../../../../control/compute/server/index.ts';
import * as a from '../answers.ts';
import * as v from '../validate.ts';
import { accepted, action } from './action.ts';

const wish = v.strict({
  adminPass: Type.Optional(v.text(0, serverLimits.adminPasswordLength)),
  rescue_image_ref: Type.Optional(v.uuid),
});

export const rescue = action({
  summary: 'Boot a server from an image, with its own disk as the second',
  rights: 'member',
  body: Type.Union([wish, Type.Null()]),
  answers: { 200: a.record({ adminPass: a.text }) },
  async run({ servers, caller, id, request, reply }, argument) {
    const { adminPass, rescue_image_ref: image } = argument ?? {};
    const password = adminPass === undefined ? newAdminPassword() : new Secret(adminPass);
    const imageId = image === undefined ? null : (parseId<ImageId>(image) ?? null);
    await servers.act(caller, id, serverActions.rescue, {
      imageId,
      password,
      volumeBacked: request.microversion >= 87,
    });
    reply.code(200);
    return { adminPass: password.reveal() };
  },
});

export const unrescue = action({
  summary: 'Boot a rescued server from its own disk again',
  rights: 'member',
  answers: accepted,
  run: ({ servers, caller, id }) => servers.act(caller, id, serverActions.unrescue),
});

import { type Static, Type } from 'typebox';
import { serverLimits } from '../../../../contract/host/limits.ts';
import { type ImageId, parseId } from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import { newAdminPassword, serverActions } from '../../../../control/compute/server/index.ts';
import { Refusal } from '../../../boundary/refusal.ts';
import * as a from '../answers.ts';
import { linksOf } from '../paging.ts';
import { shownServer } from '../server-contracts.ts';
import { notesOf, showServer } from '../servers.ts';
import * as v from '../validate.ts';
import { type ActionCall, action } from './action.ts';

const optional = Type.Optional;

/** nova/api/openstack/compute/schemas/servers.py, rebuild */
const wish = (version: number) =>
  v.strict({
    imageRef: v.uuid,
    name: optional(v.name),
    adminPass: optional(v.text(0, serverLimits.adminPasswordLength)),
    metadata: optional(v.metadata),
    preserve_ephemeral: optional(v.boolean),
    'OS-DCF:diskConfig': optional(v.diskConfig),
    accessIPv4: optional(Type.Union([v.ipv4, Type.Literal('')])),
    accessIPv6: optional(Type.Union([v.ipv6, Type.Literal('')])),
    personality: v.when(version < 57, Type.Array(v.injectedFile, { maxItems: serverLimits.files })),
    description: v.when(version >= 19, v.description),
    key_name: v.when(version >= 54, Type.Union([v.name, Type.Null()])),
    user_data: v.when(version >= 57, Type.Union([v.base64, Type.Null()])),
    trusted_image_certificates: v.when(
      version >= 63,
      Type.Union([Type.Null(), Type.Array(v.text(1, 255), { minItems: 1, maxItems: 50 })]),
    ),
    hostname: v.when(version >= 90, version >= 94 ? v.fqdn : v.hostname),
  });
type RebuildWish = serverActions.RebuildWish;
type Wish = Static<ReturnType<typeof wish>>;

/** The server as PUT shows it, and what it was given with the rebuild. */
const answer = (version: number) =>
  a.record({
    server: shownServer(
      version,
      { one: true, brief: version < 75 },
      {
        adminPass: a.text,
        ...(version >= 54 && version < 75 && { key_name: a.orNull(a.text) }),
        ...(version >= 57 && { user_data: a.orNull(a.text) }),
      },
    ),
  });
const answers = [1, 9, 19, 26, 47, 54, 57, 63, 71, 73, 75, 96];

export const rebuild = action({
  summary: 'Make the disk of a server anew from an image',
  rights: 'member',
  body: v.since([1, 19, 54, 57, 63, 90, 94], wish),
  answers: { 202: v.since(answers, answer) },
  async run(call, argument) {
    const { servers, caller, id, request, reply } = call;
    const asked = readWish(argument, request.microversion);
    await servers.act(caller, id, serverActions.rebuild, asked);
    reply.header('location', linksOf(request, 'servers', id)[0]!.href);
    return { server: await shown(call, asked) };
  },
});

async function shown({ servers, caller, id, request }: ActionCall, { password }: RebuildWish) {
  const version = request.microversion;
  const body = await showServer(servers, request, { one: true, brief: version < 75 });
  if (version >= 54) body.key_name = (await servers.get(caller, id)).key_name;
  if (version >= 57) {
    body.user_data = await servers.ownUserData(caller, id);
    delete body['OS-EXT-SRV-ATTR:user_data'];
  }
  body.adminPass = password.reveal();
  return body;
}

/** @throws CloudError `invalid` */
function readWish(given: Wish, version: number): RebuildWish {
  if (given.preserve_ephemeral !== undefined && v.toBoolean(given.preserve_ephemeral)) {
    throw new Refusal('invalid', 'The current driver does not support preserving ephemeral partitions.');
  }
  if (given.trusted_image_certificates) {
    throw new Refusal('invalid', 'trusted_image_certificates is not in this release of Bothy: images are not signed');
  }
  return {
    imageId: parseId<ImageId>(given.imageRef) ?? null,
    password: given.adminPass === undefined ? newAdminPassword() : new Secret(given.adminPass),
    notes: { ...notesOf(given), ...(given.metadata !== undefined && { metadata: given.metadata }) },
    files: given.personality ?? [],
    reimage: version >= 93,
    ...(given.key_name !== undefined && { keyName: given.key_name }),
    ...(given.user_data !== undefined && { userData: given.user_data }),
  };
}

/** POST /volumes/{id}/action: each a line of a table, with its contract; who has a volume is elsewhere. */
import { type TSchema, Type } from 'typebox';
import { hasReason } from '../../../contract/errors.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import type { VolumeService } from '../../../control/storage/volume/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import type { ActionContract, Input, Versions } from '../../boundary/contract.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';
import { updatedAt } from './volume-view.ts';
import { size } from './volumes.ts';

export interface VolumeCall {
  volumes: VolumeService;
  caller: Caller;
  /** The volume's. */
  id: string;
  /** The microversion's second number. */
  version: number;
}

export interface VolumeAction extends ActionContract {
  /** @returns the answer's body; nothing: without one */
  run(call: VolumeCall, argument: unknown): unknown;
}

function action<B extends TSchema | Versions>(
  contract: Omit<ActionContract, 'body' | 'rights'> & {
    rights?: 'admin' | 'reader';
    body: B;
    run(call: VolumeCall, argument: Input<B, unknown>): unknown;
  },
): VolumeAction {
  return { rights: 'member', ...contract } as VolumeAction;
}

const optional = Type.Optional;
const accepted = { 202: null } as const;
const anything = Type.Unknown();
const metadata = { 200: a.record({ metadata: a.textsByName }) };
const statusText = optional(Type.Union([v.text(0, 255), Type.Null()]));
const diskFormats = ['raw', 'vmdk', 'vdi', 'qcow2', 'vhd', 'vhdx', 'ploop'] as const;
const image = {
  ...{ image_name: v.text(1, 255), force: optional(v.boolean), disk_format: optional(Type.Enum([...diskFormats])) },
  container_format: optional(Type.Union([v.text(0, 255), Type.Null()])),
};
const uploadBody = v.since([0, 1], (version) =>
  v.strict({
    ...image,
    visibility: v.when(version >= 1, Type.Enum(['community', 'public', 'private', 'shared'])),
    protected: v.when(version >= 1, v.boolean),
  }),
);
const uploaded = a.record({
  ...{ id: a.id, updated_at: a.orNull(a.time), status: a.text, display_description: a.orNull(a.text), size: a.integer },
  ...{ volume_type: a.byName(Type.Unknown()), image_id: a.id, container_format: a.text, disk_format: a.text },
  ...{ image_name: a.text, visibility: a.some(a.text), protected: a.some(a.boolean) },
});

const changes: Readonly<Record<string, VolumeAction>> = {
  'os-extend': action({
    summary: 'Make a volume larger',
    body: v.strict({ new_size: size }),
    answers: accepted,
    run: ({ volumes, caller, id, version }, { new_size }) =>
      volumes.extend(caller, id, { sizeGib: Number(new_size), inUse: version >= 42 }),
  }),
  'os-retype': action({
    summary: 'Give a volume another type',
    body: v.strict({
      new_type: v.text(1, 255),
      migration_policy: optional(Type.Union([Type.Enum(['on-demand', 'never']), Type.Null()])),
    }),
    answers: accepted,
    run: ({ volumes, caller, id }, { new_type: type, migration_policy }) =>
      volumes.retype(caller, id, { type, policy: migration_policy ?? 'never' }).catch((error) => {
        // It is the body that names it.
        throw hasReason(error, 'volume_type_not_found') ? error.as('invalid') : error;
      }),
  }),
  'os-set_bootable': action({
    summary: 'Say whether a volume can be booted from',
    body: v.strict({ bootable: v.boolean }),
    answers: { 200: null },
    run: ({ volumes, caller, id }, { bootable }) => volumes.setBootable(caller, id, v.toBoolean(bootable)),
  }),
  'os-update_readonly_flag': action({
    summary: 'Say whether a volume may only be read',
    body: v.strict({ readonly: v.boolean }),
    answers: accepted,
    run: ({ volumes, caller, id }, { readonly }) => volumes.setReadOnly(caller, id, v.toBoolean(readonly)),
  }),
  revert: action({
    summary: 'Put a volume back to what its latest snapshot holds',
    versions: { from: 40 },
    body: Type.Object({ snapshot_id: optional(Type.Union([v.text(0, 255), Type.Null()])) }),
    answers: accepted,
    run: ({ volumes, caller, id }, { snapshot_id }) => volumes.revert(caller, id, snapshot_id ?? null),
  }),
  'os-reimage': action({
    summary: 'Write an image to a volume',
    versions: { from: 68 },
    body: v.strict({ image_id: v.uuid, reimage_reserved: optional(v.boolean) }),
    answers: accepted,
    run: ({ volumes, caller, id }, { image_id: imageId, reimage_reserved: reserved = false }) =>
      volumes.reimage(caller, id, { imageId, reserved: v.toBoolean(reserved) }),
  }),
  'os-volume_upload_image': action({
    summary: 'Make an image of a volume',
    body: uploadBody,
    answers: { 202: a.record({ 'os-volume_upload_image': uploaded }) },
    run: upload,
  }),
};

/** What the schema of its version knows. */
interface UploadWish {
  image_name: string;
  force?: boolean | string;
  disk_format?: (typeof diskFormats)[number];
  container_format?: string | null;
  visibility?: 'community' | 'public' | 'private' | 'shared';
  protected?: boolean | string;
}

async function upload({ volumes, caller, id, version }: VolumeCall, argument: unknown) {
  const wish = argument as UploadWish;
  const { image_name: name, disk_format: asked = 'raw', visibility = 'private' } = wish;
  const containerFormat = wish.container_format || 'bare';
  const [force, kept] = [v.toBoolean(wish.force ?? false), v.toBoolean(wish.protected ?? false)];
  const { imageId, diskFormat, volume } = await volumes.upload(caller, id, {
    ...{ name, diskFormat: asked, containerFormat, force, visibility, protected: kept },
  });
  return {
    'os-volume_upload_image': {
      ...{ id, updated_at: updatedAt(volume), status: 'uploading', display_description: volume.description },
      ...{
        size: volume.size_gib,
        volume_type: { id: volume.volume_type_id, name: volume.type_name },
        image_id: imageId,
      },
      ...{ container_format: containerFormat, disk_format: diskFormat, image_name: name },
      ...(version >= 1 && { visibility, protected: kept }),
    },
  };
}

const imageMetadata: Readonly<Record<string, VolumeAction>> = {
  'os-set_image_metadata': action({
    summary: 'Change what a volume keeps of its image',
    body: v.strict({ metadata: v.metadata }),
    answers: metadata,
    run: async ({ volumes, caller, id }, { metadata: more }) => ({
      metadata: await volumes.editMetadata(caller, id, 'image_metadata', (present) => ({ ...present, ...more })),
    }),
  }),
  'os-show_image_metadata': action({
    summary: 'Show what a volume keeps of its image',
    rights: 'reader',
    body: anything,
    answers: metadata,
    run: async ({ volumes, caller, id }) => ({ metadata: (await volumes.get(caller, id)).image_metadata ?? {} }),
  }),
  'os-unset_image_metadata': action({
    summary: 'Take something of what a volume keeps of its image',
    body: v.strict({ key: v.text(1, 255) }),
    answers: { 200: null },
    async run({ volumes, caller, id }, { key }) {
      await volumes.editMetadata(caller, id, 'image_metadata', (present) => {
        if (Object.hasOwn(present, key)) return without(present, key);
        throw new Refusal('not_found', `Glance metadata for volume/snapshot ${id} cannot be found.`);
      });
    },
  }),
};

export const without = (texts: Readonly<Record<string, string>>, key: string): Record<string, string> =>
  Object.fromEntries(Object.entries(texts).filter(([name]) => name !== key));

const administrators: Readonly<Record<string, VolumeAction>> = {
  'os-reset_status': action({
    summary: 'Declare the status of a volume, or take that back',
    rights: 'admin',
    body: v.strict({ status: statusText, attach_status: statusText, migration_status: statusText }),
    answers: accepted,
    run({ volumes, caller, id }, { status, attach_status, migration_status }) {
      if (status == null && attach_status == null && migration_status == null) {
        throw new Refusal('invalid', "Must specify 'status', 'attach_status' or 'migration_status' for update.");
      }
      const lower = (text: string | null | undefined) => text?.toLowerCase() ?? null;
      const [attachStatus, migrationStatus] = [lower(attach_status), lower(migration_status)];
      return volumes.reset(caller, id, { status: lower(status), attachStatus, migrationStatus });
    },
  }),
  'os-force_delete': action({
    summary: 'Delete a volume, whatever its status',
    rights: 'admin',
    body: anything,
    answers: accepted,
    run: ({ volumes, caller, id }) => volumes.delete(caller, id, { cascade: false, force: true }),
  }),
  'os-migrate_volume': action({
    summary: 'Move a volume to another pool of its host',
    rights: 'admin',
    body: v.strict({
      ...{ host: optional(Type.Union([v.text(0, 255), Type.Null()])), force_host_copy: optional(v.boolean) },
      ...{ lock_volume: optional(v.boolean), cluster: optional(v.nameOrNull) },
    }),
    answers: accepted,
    run: ({ volumes, caller, id }, { host, cluster }) =>
      volumes.migrate(caller, id, { backend: host ?? null, cluster: cluster ?? null }),
  }),
  'os-migrate_volume_completion': action({
    summary: 'End a migration for another service: here each ends by itself',
    rights: 'admin',
    body: v.strict({ new_volume: v.uuid, error: optional(v.boolean) }),
    answers: { 200: null },
    async run({ volumes, caller, id }) {
      await volumes.get(caller, id);
      throw new Refusal('invalid', 'Invalid volume: a migration has no second volume here, and ends by itself.');
    },
  }),
  'os-unmanage': action({
    summary: 'Take a volume out of the cloud and lay its content into its pool',
    rights: 'admin',
    body: anything,
    answers: accepted,
    run: ({ volumes, caller, id }) => volumes.unmanage(caller, id),
  }),
};

export const volumeActions: Readonly<Record<string, VolumeAction>> = {
  ...changes,
  ...imageMetadata,
  ...administrators,
};

/** @param services what the actions of all files work with */
export function volumeActionRoutes<S extends Pick<VolumeCall, 'volumes'>>(
  app: Boundary,
  services: S,
  actions: Readonly<
    Record<string, ActionContract & { run(call: S & Omit<VolumeCall, 'volumes'>, argument: never): unknown }>
  >,
): void {
  app.actions(
    '/volumes/:id/action',
    { summary: 'Do something with a volume', rights: 'reader' },
    actions,
    async (request, reply, { action: chosen, argument }) => {
      const call = { ...services, caller: callerOf(request), id: request.params.id, version: request.microversion };
      const body = await chosen.run(call, argument as never);
      return reply.code(200 in chosen.answers ? 200 : 202).send(body);
    },
  );
}

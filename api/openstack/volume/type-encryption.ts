/** /types/…/encryption: how volumes of a type shall be encrypted. */
import { type Static, Type } from 'typebox';
import type {
  EncryptionRow,
  EncryptionWish,
  TypeEncryptionService,
  VolumeTypeService,
} from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const place = a.one('front-end', 'back-end');
const described = {
  ...{ provider: a.text, control_location: place, cipher: a.orNull(a.text), key_size: a.orNull(a.integer) },
};
const ids = { volume_type_id: a.id, encryption_id: a.id };
const whole = { ...ids, ...described, created_at: a.time, updated_at: a.orNull(a.time), deleted: a.boolean };
/** Of a type that is not encrypted Cinder answers an empty object. */
const shown = a.record(
  Object.fromEntries(Object.entries({ ...whole, deleted_at: Type.Null() }).map(([name, one]) => [name, a.some(one)])),
);

const wish = {
  provider: v.text(0, 255),
  control_location: Type.Enum(['front-end', 'back-end']),
  cipher: Type.Optional(Type.Union([v.text(0, 255), Type.Null()])),
  key_size: Type.Optional(Type.Union([v.integer(0), Type.Null()])),
};
const change = v.strict({
  ...wish,
  provider: Type.Optional(wish.provider),
  control_location: Type.Optional(wish.control_location),
});
const contracts = {
  show: { summary: 'Show how a volume type is encrypted', rights: 'admin', answers: { 200: shown } },
  item: {
    summary: 'Show one thing of how a volume type is encrypted',
    rights: 'admin',
    answers: { 200: a.byName(Type.Union([a.text, a.integer, a.boolean, Type.Null()])) },
  },
  create: {
    summary: 'Say that volumes of a type shall be encrypted',
    rights: 'admin',
    body: v.strict({ encryption: v.strict(wish) }),
    answers: { 200: a.record({ encryption: a.record({ ...ids, ...described }) }) },
  },
  update: {
    summary: 'Change how a volume type is encrypted',
    rights: 'admin',
    body: v.strict({ encryption: change }),
    answers: { 200: a.record({ encryption: Type.Partial(a.record(described)) }) },
  },
  delete: { summary: 'Say that volumes of a type are not encrypted', rights: 'admin', answers: { 202: null } },
} as const;

const describe = ({ provider, control_location, cipher, key_size }: EncryptionRow) => ({
  ...{ provider, control_location, cipher, key_size },
});
const idsOf = (row: EncryptionRow) => ({ volume_type_id: row.volume_type_id, encryption_id: row.id });
const body = (row: EncryptionRow) => ({
  ...idsOf(row),
  ...describe(row),
  ...{
    created_at: cinderTime(row.created_at),
    updated_at: cinderTime(row.updated_at),
    deleted: false,
    deleted_at: null,
  },
});
const readWish = ({ key_size, ...given }: Static<typeof change>): Partial<EncryptionWish> => ({
  ...given,
  ...(key_size !== undefined && { key_size: key_size === null ? null : Number(key_size) }),
});

export function typeEncryptionRoutes(
  app: Boundary,
  { volumeTypes, typeEncryptions }: { volumeTypes: VolumeTypeService; typeEncryptions: TypeEncryptionService },
): void {
  const base = '/types/:id/encryption';
  app.get(base, contracts.show, async (request) => {
    const caller = callerOf(request);
    const { id } = await volumeTypes.get(caller, request.params.id);
    const row = await typeEncryptions.find(caller, id);
    return row ? body(row) : {};
  });
  app.get(`${base}/:key`, contracts.item, async (request) => {
    const caller = callerOf(request);
    const { key } = request.params;
    const { id } = await volumeTypes.get(caller, request.params.id);
    const row = await typeEncryptions.find(caller, id);
    const shown: Record<string, unknown> = row ? body(row) : {};
    if (!Object.hasOwn(shown, key)) {
      throw new Refusal('not_found', `Volume type encryption for type ${id} does not exist.`);
    }
    return { [key]: shown[key] };
  });
  app.post(base, contracts.create, async (request) => {
    const { provider, control_location, cipher = null, ...more } = request.body.encryption;
    const { key_size = null } = readWish(more);
    const row = await typeEncryptions.create(callerOf(request), request.params.id, {
      ...{ provider, control_location, cipher, key_size },
    });
    return { encryption: { ...idsOf(row), ...describe(row) } };
  });
  // Cinder overlooks the id in these paths: a type has one encryption.
  app.put(`${base}/:encryption`, contracts.update, async (request) => {
    const wish = readWish(request.body.encryption);
    await typeEncryptions.update(callerOf(request), request.params.id, wish);
    return { encryption: wish };
  });
  app.delete(`${base}/:encryption`, contracts.delete, async (request, reply) => {
    await typeEncryptions.delete(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
}

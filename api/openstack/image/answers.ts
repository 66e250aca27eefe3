/** What Glance's answers are made of. An image has properties of its owner's making, so its schema is open to texts. */
import { type TSchema, Type } from 'typebox';
import { containerFormats, diskFormats, memberStatuses, visibilities } from '../../../control/image/index.ts';

const text = Type.String();
const boolean = Type.Boolean();
const integer = Type.Integer();
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
export const oneOf = (values: readonly string[]) => Type.Union(values.map((value) => Type.Literal(value)));
const record = (properties: Readonly<Record<string, TSchema>>, title?: string) =>
  Type.Object(properties, { ...(title === undefined ? {} : { title }), additionalProperties: false });

const statuses = ['queued', 'saving', 'uploading', 'importing', 'active', 'killed', 'deactivated', 'pending_delete'];

export const image = Type.Object(
  {
    id: text,
    name: orNull(text),
    status: oneOf(statuses),
    visibility: oneOf(visibilities),
    protected: boolean,
    os_hidden: boolean,
    owner: text,
    disk_format: orNull(oneOf(diskFormats)),
    container_format: orNull(oneOf(containerFormats)),
    size: orNull(integer),
    virtual_size: orNull(integer),
    checksum: orNull(text),
    os_hash_algo: orNull(text),
    os_hash_value: orNull(text),
    min_disk: integer,
    min_ram: integer,
    tags: Type.Array(text),
    stores: Type.Optional(text),
    locations: Type.Array(record({ url: text, metadata: Type.Record(text, text) })),
    created_at: text,
    updated_at: text,
    self: text,
    file: text,
    schema: text,
  },
  { title: 'Image', additionalProperties: text },
);

export const images = record({
  images: Type.Array(image),
  first: text,
  next: Type.Optional(text),
  schema: text,
});

export const member = record(
  {
    member_id: text,
    image_id: text,
    status: oneOf(memberStatuses),
    created_at: text,
    updated_at: text,
    schema: text,
  },
  'Member',
);

export const members = record({ members: Type.Array(member), schema: text });

export const versions = record({
  versions: Type.Array(
    record({ id: text, status: text, links: Type.Array(record({ rel: text, href: text })) }, 'Version'),
  ),
});

const anything = Type.Record(text, Type.Unknown());

/** A JSON schema, for clients that build their models from it. */
export const jsonSchema = Type.Object(
  { name: text, properties: anything },
  { title: 'JSON schema', additionalProperties: true },
);

export const importInfo = record({
  'import-methods': record({ description: text, type: text, value: Type.Array(text) }),
});

export const stores = record({ stores: Type.Array(record({ id: text, default: Type.Optional(text) })) });

export const storeDetails = record({
  stores: Type.Array(
    record({ id: text, type: text, description: text, default: Type.Optional(text), properties: anything }),
  ),
});

const usage = record({ limit: integer, usage: integer });
export const usages = record({ usage: Type.Record(text, usage) });

export const task = record(
  {
    id: text,
    type: Type.Literal('api_image_import'),
    status: oneOf(['pending', 'processing', 'success', 'failure']),
    owner: text,
    user_id: text,
    request_id: text,
    image_id: text,
    input: anything,
    result: orNull(anything),
    message: text,
    created_at: text,
    updated_at: text,
    expires_at: Type.Optional(text),
    self: text,
    schema: text,
  },
  'Task',
);
/** Of one image: all of them. */
export const imageTasks = record({ tasks: Type.Array(task) });
export const tasks = record({
  tasks: Type.Array(task),
  first: text,
  next: Type.Optional(text),
  schema: text,
});

/** The form of every refusal, where JSON is accepted. */
export const glanceFault = Type.Object({ message: text, code: text, title: text }, { title: 'Fault' });

/** The JSON schemas that glanceclient builds its models from. */
import { containerFormats, diskFormats, limits, memberStatuses, visibilities } from '../../../control/image/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { jsonSchema } from './answers.ts';

const readOnly = (type: unknown, description: string, more: object = {}) => ({
  type,
  readOnly: true,
  description,
  ...more,
});
const text = ['null', 'string'];

const image = {
  name: 'image',
  properties: {
    id: {
      type: 'string',
      description: 'An identifier for the image',
      pattern: '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$',
    },
    name: { type: text, description: 'Descriptive name for the image', maxLength: limits.nameLength },
    status: readOnly('string', 'Status of the image', {
      enum: [
        'queued',
        'saving',
        'active',
        'killed',
        'deleted',
        'uploading',
        'importing',
        'pending_delete',
        'deactivated',
      ],
    }),
    visibility: { type: 'string', description: 'Scope of image accessibility', enum: [...visibilities].sort() },
    protected: { type: 'boolean', description: 'If true, image will not be deletable.' },
    os_hidden: { type: 'boolean', description: 'If true, image will not appear in default image list response.' },
    checksum: readOnly(text, 'md5 hash of image contents.', { maxLength: 32 }),
    os_hash_algo: readOnly(text, 'Algorithm to calculate the os_hash_value', { maxLength: 64 }),
    os_hash_value: readOnly(text, 'Hexdigest of the image contents using the algorithm specified by the os_hash_algo', {
      maxLength: 128,
    }),
    owner: { type: text, description: 'Owner of the image', maxLength: 255 },
    size: readOnly(['null', 'integer'], 'Size of image file in bytes'),
    virtual_size: readOnly(['null', 'integer'], 'Virtual size of image in bytes'),
    container_format: { type: text, description: 'Format of the container', enum: [null, ...containerFormats] },
    disk_format: { type: text, description: 'Format of the disk', enum: [null, ...diskFormats] },
    created_at: readOnly('string', 'Date and time of image registration'),
    updated_at: readOnly('string', 'Date and time of the last image modification'),
    tags: {
      type: 'array',
      description: 'List of strings related to the image',
      items: { type: 'string', maxLength: limits.tagLength },
    },
    direct_url: readOnly('string', 'URL to access the image file kept in external store'),
    min_ram: { type: 'integer', description: 'Amount of ram (in MB) required to boot image.' },
    min_disk: { type: 'integer', description: 'Amount of disk space (in GB) required to boot image.' },
    self: readOnly('string', 'An image self url'),
    file: readOnly('string', 'An image file url'),
    stores: readOnly('string', 'Store in which image data resides.'),
    schema: readOnly('string', 'An image schema url'),
    locations: {
      type: 'array',
      items: {
        type: 'object',
        properties: { url: { type: 'string', maxLength: 255 }, metadata: { type: 'object' } },
        required: ['url', 'metadata'],
      },
      description: 'A set of URLs to access the image file kept in external store',
    },
  },
  additionalProperties: { type: 'string' },
  links: [
    { rel: 'self', href: '{self}' },
    { rel: 'enclosure', href: '{file}' },
    { rel: 'describedby', href: '{schema}' },
  ],
};

const member = {
  name: 'member',
  properties: {
    member_id: { type: 'string', description: 'An identifier for the image member (tenantId)' },
    image_id: { type: 'string', description: 'An identifier for the image', pattern: image.properties.id.pattern },
    created_at: { type: 'string', description: 'Date and time of image member creation' },
    updated_at: { type: 'string', description: 'Date and time of last modification of image member' },
    status: { type: 'string', description: 'The status of this image member', enum: [...memberStatuses] },
    schema: { type: 'string', readOnly: true },
  },
};

const collection = (name: string, items: object, links: object[]) => ({
  name,
  properties: {
    [name]: { type: 'array', items },
    schema: { type: 'string' },
    ...(links.length > 1 ? { first: { type: 'string' }, next: { type: 'string' } } : {}),
  },
  links,
});

const task = {
  name: 'task',
  properties: Object.fromEntries(
    [
      ...['id', 'type', 'status', 'input', 'result', 'owner', 'message', 'image_id', 'request_id', 'user_id'],
      ...['expires_at', 'created_at', 'updated_at', 'self', 'schema'],
    ].map((name) => [name, { type: ['input', 'result'].includes(name) ? ['null', 'object'] : 'string' }]),
  ),
};

const schemas = {
  image,
  images: collection('images', image, [
    { rel: 'first', href: '{first}' },
    { rel: 'next', href: '{next}' },
    { rel: 'describedby', href: '{schema}' },
  ]),
  member,
  members: collection('members', member, [{ rel: 'describedby', href: '{schema}' }]),
  task,
  tasks: collection('tasks', task, [
    { rel: 'first', href: '{first}' },
    { rel: 'next', href: '{next}' },
    { rel: 'describedby', href: '{schema}' },
  ]),
};

/** Of metadata definitions: what clients ask for is the names. */
const definition = (name: string, members: readonly string[]) => ({
  name,
  properties: Object.fromEntries(members.map((member) => [member, {}])),
});
const definitions = Object.fromEntries(
  [
    definition('namespace', ['namespace', 'display_name', 'description', 'visibility', 'protected', 'owner']),
    definition('namespaces', ['namespaces', 'first', 'next', 'schema']),
    definition('object', ['name', 'description', 'required', 'properties']),
    definition('objects', ['objects', 'first', 'next', 'schema']),
    definition('property', ['name', 'title', 'type', 'description']),
    definition('properties', ['properties', 'first', 'next', 'schema']),
    definition('tag', ['name', 'created_at', 'updated_at']),
    definition('tags', ['tags', 'first', 'next', 'schema']),
    definition('resource_type', ['name', 'prefix', 'properties_target']),
    definition('resource_types', ['resource_type_associations', 'first', 'next', 'schema']),
  ].map((schema) => [`metadefs/${schema.name}`, schema]),
);

export function schemaRoutes(app: Boundary): void {
  for (const [name, schema] of Object.entries({ ...schemas, ...definitions })) {
    const body = JSON.stringify(schema);
    const contract = { summary: `The schema of ${name}`, rights: 'caller', answers: { 200: jsonSchema } } as const;
    app.get(`/v2/schemas/${name}`, contract, (_request, reply) =>
      reply.type('application/json; charset=utf-8').send(body),
    );
  }
}

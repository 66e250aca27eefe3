/** Reading bodies: Glance's image schema, and from its words to ours. Pure. */
import { Type } from 'typebox';
import {
  containerFormats,
  diskFormats,
  type ImageAttributes,
  type ImageChange,
  type NewImage,
  visibilities,
} from '../../../control/image/index.ts';
import { fits } from '../../boundary/check.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { oneOf } from './answers.ts';

const uuidPattern = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';
const orNull = <T extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Union>>(type: T) =>
  Type.Union([type, Type.Null()]);
const text = Type.Union([Type.String(), Type.Null()]);
const number = Type.Union([Type.Integer(), Type.Null()]);

/** What is not here must be text. */
const members = {
  id: Type.String({ pattern: uuidPattern }),
  name: orNull(Type.String()),
  visibility: oneOf(visibilities),
  protected: Type.Boolean(),
  os_hidden: Type.Boolean(),
  owner: orNull(Type.String({ maxLength: 255 })),
  container_format: orNull(oneOf(containerFormats)),
  disk_format: orNull(oneOf(diskFormats)),
  tags: Type.Array(Type.String()),
  min_ram: Type.Integer(),
  min_disk: Type.Integer(),
  locations: Type.Array(Type.Unknown()),
  // Read-only: their types are checked before that is said.
  status: Type.String(),
  checksum: text,
  os_hash_algo: text,
  os_hash_value: text,
  size: number,
  virtual_size: number,
  created_at: Type.String(),
  updated_at: Type.String(),
};
const extra = Type.String();

/** What POST takes. Who sends what is read-only hears that, so it is here as well. */
export const newImageBody = Type.Partial(Type.Object(members, { additionalProperties: extra }));

/** A patch in both drafts: `op` and `path`, or the path under the operation's name. */
export const patchBody = Type.Array(
  Type.Object(
    Object.fromEntries(['op', 'path', 'add', 'remove', 'replace'].map((name) => [name, Type.Optional(Type.String())])),
    { title: 'Image change' },
  ),
);

const expected = new Map(
  Object.entries({
    id: 'a UUID',
    name: 'a string or null',
    visibility: `one of ${visibilities.join(', ')}`,
    container_format: `${containerFormats.join(', ')} or null`,
    disk_format: `one of ${diskFormats.join(', ')}, or null`,
    tags: 'an array of strings',
    protected: 'a boolean',
    os_hidden: 'a boolean',
    min_ram: 'an integer',
    min_disk: 'an integer',
  }),
);

const noSetting = new Set([
  ...['created_at', 'updated_at', 'status', 'checksum', 'size', 'virtual_size', 'direct_url', 'self', 'file', 'schema'],
  ...['stores', 'os_hash_algo', 'os_hash_value'],
]);
const reserved = new Set(['location', 'locations', 'deleted', 'deleted_at', '__proto__']);

const forbidden = (message: string) => new Refusal('forbidden', message);

/** Each member is checked alone, so that a fault names it. @throws CloudError `invalid` */
function checkMember(name: string, value: unknown): void {
  if (fits(Object.hasOwn(members, name) ? members[name as keyof typeof members] : extra, value)) return;
  const given = JSON.stringify(value)?.slice(0, 100);
  throw new Refusal(
    'invalid',
    `Provided object does not match schema 'image': ${given} is not ${expected.get(name) ?? 'a string'} (${name.slice(0, 255)})`,
    { details: { property: name.slice(0, 255) } },
  );
}

/** @throws CloudError `forbidden` for what no caller sets */
function checkSettable(name: string, options: { id: boolean }): void {
  if (noSetting.has(name) || (name === 'id' && !options.id)) throw forbidden(`Attribute '${name}' is read-only.`);
  if (reserved.has(name) || name.startsWith('os_glance')) throw forbidden(`Attribute '${name}' is reserved.`);
}

/** Bytes come by upload or import, so that they are inspected and counted; nothing may make an image of another place's. */
function placeRefused(value: unknown): Refusal {
  const url = (value as { url?: unknown } | undefined)?.url;
  if (typeof url === 'string' && !/^https?:/i.test(url))
    return invalid(`Unknown scheme in the URI of a location: ${url.slice(0, 100)}`);
  return forbidden(
    "Locations can not be changed: the bytes of an image lie on this cloud's own hosts. Use the import method web-download.",
  );
}

/** Glance's attribute names and ours. */
const attributeNames: ReadonlyMap<string, keyof ImageAttributes> = new Map(
  Object.entries({
    name: 'name',
    visibility: 'visibility',
    disk_format: 'disk_format',
    container_format: 'container_format',
    min_disk: 'min_disk_gib',
    min_ram: 'min_memory_mib',
    protected: 'protected',
    os_hidden: 'hidden',
  } as const),
);

/** @throws CloudError `invalid`, `forbidden` */
export function parseNewImage(body: unknown): NewImage {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal('invalid', 'The request body must be a JSON object.');
  }
  const image: NewImage = {};
  const properties: [string, string][] = [];
  for (const [name, value] of Object.entries(body)) {
    if (['direct_url', 'self', 'file', 'schema', 'stores'].includes(name)) checkSettable(name, { id: true });
    checkMember(name, value);
    checkSettable(name, { id: true });
    const attribute = attributeNames.get(name);
    if (attribute) Object.assign(image, { [attribute]: value });
    else if (name === 'id') image.id = value as string;
    else if (name === 'tags') image.tags = value as string[];
    else if (name === 'owner') {
      if (value !== null) image.owner = value as string;
    } else properties.push([name, value as string]);
  }
  image.properties = Object.fromEntries(properties);
  return image;
}

export const patchTypes = {
  'application/openstack-images-v2.0-json-patch': 4,
  'application/openstack-images-v2.1-json-patch': 10,
} as const;
export type PatchDraft = (typeof patchTypes)[keyof typeof patchTypes];

const verbs = ['add', 'remove', 'replace'] as const;
type Verb = (typeof verbs)[number];

const invalid = (message: string) => new Refusal('invalid', message);

/**
 * A JSON patch in Glance's two dialects: draft 10 (`op`, `path`, `value`) and draft 4 (`{"replace": "/name", "value": …}`).
 * @throws CloudError `invalid`, `forbidden`
 */
export function parsePatch(body: unknown, draft: PatchDraft): ImageChange[] {
  if (!Array.isArray(body)) throw invalid('Request body must be a JSON array of operation objects.');
  return body.map((operation) => {
    if (typeof operation !== 'object' || operation === null || Array.isArray(operation)) {
      throw invalid('Operations must be JSON objects.');
    }
    const { verb, path } = draft === 10 ? operationOf(operation) : operationOfDraft4(operation);
    const parts = decodePointer(path);
    if (parts[0] === 'locations') throw placeRefused(operation.value);
    if (parts.length !== 1)
      throw invalid(`Invalid JSON pointer for this resource: '/${parts.join('/').slice(0, 300)}'`);
    const name = parts[0]!;
    if (verb !== 'remove' && !('value' in operation)) {
      throw invalid(`Operation "${verb}" requires a member named "value".`);
    }
    checkSettable(name, { id: false });
    return changeOf(verb, name, operation.value, draft);
  });
}

function operationOf(operation: Record<string, unknown>): { verb: Verb; path: unknown } {
  const verb = verbs.find((known) => known === operation.op);
  if (!verb) {
    throw invalid(
      `Invalid operation: \`${String(operation.op).slice(0, 50)}\`. It must be one of the following: ${verbs.join(', ')}.`,
    );
  }
  if (!('path' in operation)) throw invalid("Unable to find 'path' in JSON Schema change");
  return { verb, path: operation.path };
}

function operationOfDraft4(operation: Record<string, unknown>): { verb: Verb; path: unknown } {
  const present = verbs.filter((verb) => verb in operation);
  if (present.length !== 1) {
    throw invalid('Operation objects must contain exactly one member named "add", "remove", or "replace".');
  }
  return { verb: present[0]!, path: operation[present[0]!] };
}

/** @throws CloudError `invalid` */
function decodePointer(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || !pointer.startsWith('/')) {
    throw invalid(`Pointer \`${String(pointer).slice(0, 300)}\` does not start with "/".`);
  }
  const shown = pointer.slice(0, 300);
  if (/\/\s*\//.test(pointer)) throw invalid(`Pointer \`${shown}\` contains adjacent "/".`);
  if (pointer.endsWith('/')) throw invalid(`Pointer \`${shown}\` end with "/".`);
  if (/~(?![01])/.test(pointer)) {
    throw invalid(`Pointer \`${shown}\` contains "~" not part of a recognized escape sequence.`);
  }
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~').trim());
}

function changeOf(verb: Verb, name: string, value: unknown, draft: PatchDraft): ImageChange {
  const attribute = attributeNames.get(name);
  if (attribute || name === 'tags' || name === 'owner' || name === 'id') {
    if (verb === 'remove') throw forbidden(`Property ${name} may not be removed.`);
    checkMember(name, value);
    if (verb === 'add' && draft === 4) {
      throw new Refusal('conflict', `Property ${name} already present.`);
    }
    if (attribute) return { kind: 'attribute', name: attribute, value } as ImageChange;
    if (name === 'tags') return { kind: 'tags', tags: value as string[] };
    if (value === null) throw invalid('An image needs an owner.');
    return { kind: 'owner', owner: value as string };
  }
  if (verb === 'remove') return { kind: 'property', verb: 'remove', name };
  checkMember(name, value);
  const ours = verb === 'replace' ? 'replace' : draft === 4 ? 'create' : 'set';
  return { kind: 'property', verb: ours, name, value: value as string };
}

/** An image: what it may be, what may be done to it when, and by whom. Pure. */
import { CloudError } from '../../contract/errors.ts';
import type { ImageFormat } from '../../contract/host/index.ts';
import { parseId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { TextPlace } from './reasons.ts';
import type { ImageRow } from './tables.ts';
import type { DiskFormat, Visibility } from './values.ts';

/** What the stored file is, to hosts. */
export const fileFormat = (image: { disk_format: DiskFormat; container_format: string | null }): ImageFormat =>
  image.container_format === 'ova' ? 'ova' : image.disk_format;

/** The same the other way round; appliances nearly always have a VMDK. */
export const formatsOfFile = (format: ImageFormat): { disk: DiskFormat; container: string } =>
  format === 'ova' ? { disk: 'vmdk', container: 'ova' } : { disk: format, container: 'bare' };

export const limits = {
  nameLength: 255,
  tags: 128,
  tagLength: 255,
  properties: 128,
  propertyNameLength: 255,
  propertyValueLength: 65_535,
  members: 128,
} as const;

/** What an owner may set; properties and tags apart. */
export interface ImageAttributes {
  name: string | null;
  visibility: Visibility;
  disk_format: DiskFormat | null;
  container_format: string | null;
  min_disk_gib: number;
  min_memory_mib: number;
  protected: boolean;
  hidden: boolean;
}

/** One step of an update; steps apply in order, all or none. */
export type ImageChange =
  | { [K in keyof ImageAttributes]: { kind: 'attribute'; name: K; value: ImageAttributes[K] } }[keyof ImageAttributes]
  /** Anybody; a project of this cloud, or a text. */
  | { kind: 'owner'; owner: string }
  | { kind: 'tags'; tags: string[] }
  /** create: refuses a property that is there; replace and remove: one that isn't; set: either will do. */
  | { kind: 'property'; verb: 'create' | 'set' | 'replace'; name: string; value: string }
  | { kind: 'property'; verb: 'remove'; name: string };

/** PostgreSQL stores neither NUL nor half a surrogate pair. @throws CloudError `invalid` */
function checkText(where: TextPlace, text: string, maxLength: number): void {
  // OpenStack counts code points.
  if (text.length > maxLength && [...text].length > maxLength) {
    throw new CloudError('invalid', 'image_text_too_long', { ...where, maximum: maxLength });
  }
  if (text.includes('\0') || !text.isWellFormed()) throw new CloudError('invalid', 'image_text_not_storable', where);
}

/** Doubles count once, in the order given. @throws CloudError `invalid`, `too_large` */
export function checkTags(tags: readonly string[]): string[] {
  const unique = [...new Set(tags)];
  for (const tag of unique) checkText({ what: 'tag' }, tag, limits.tagLength);
  if (unique.length > limits.tags) throw tooMany('tags', limits.tags, unique.length);
  return unique;
}

/** @throws CloudError `invalid`, `too_large` */
export function checkProperties(properties: Readonly<Record<string, string>>): void {
  const entries = Object.entries(properties);
  if (entries.length > limits.properties) throw tooMany('properties', limits.properties, entries.length);
  for (const [name, value] of entries) {
    if (name === '') throw new CloudError('invalid', 'image_property_without_name', {});
    checkText({ what: 'property_name' }, name, limits.propertyNameLength);
    checkText({ what: 'property', property: name }, value, limits.propertyValueLength);
  }
}

const tooMany = (what: 'tags' | 'properties', limit: number, wanted: number) =>
  new CloudError('too_large', 'too_many_image_parts', { what, limit, wanted });

/** @throws CloudError `invalid` */
export function checkOwner(owner: string): void {
  checkText({ what: 'owner' }, owner, limits.nameLength);
}

/** @throws CloudError `invalid` */
export function checkAttributes(attributes: Partial<ImageAttributes>): void {
  if (typeof attributes.name === 'string') checkText({ what: 'name' }, attributes.name, limits.nameLength);
  for (const key of ['min_disk_gib', 'min_memory_mib'] as const) {
    const value = attributes[key];
    if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= 0x7fff_ffff)) continue;
    throw new CloudError('invalid', 'image_minimum_out_of_range', { attribute: key, maximum: 0x7fff_ffff });
  }
}

/** @throws CloudError `forbidden` when the caller may not give an image this visibility */
export function checkVisibility(caller: Caller, visibility: Visibility | undefined): void {
  if (visibility !== 'public' || isAdmin(caller)) return;
  throw new CloudError('forbidden', 'image_publishing_forbidden', {});
}

/** A caller without a project owns nothing; nor does anybody what belongs to no project of this cloud. */
export const isOwnedBy = ({ project_id: owner }: Pick<ImageRow, 'project_id'>, { projectId }: Caller): boolean =>
  owner !== null && owner === projectId;

/** As it was given, or as ids are written. */
export const ownerOf = (image: Pick<ImageRow, 'project_id' | 'foreign_owner'>): string =>
  image.project_id ?? image.foreign_owner!;

/**
 * May the caller, who sees the image, also change it?
 * @throws CloudError `forbidden`
 */
export function requireOwner(caller: Caller, image: Pick<ImageRow, 'id' | 'project_id'>, operation: string): void {
  if (isAdmin(caller)) return;
  const writes = caller.roles.has('member') || caller.roles.has('manager');
  if (writes && isOwnedBy(image, caller)) return;
  throw new CloudError('forbidden', 'image_operation_forbidden', { id: image.id, operation });
}

/** What an image of an encrypted volume says of its key, as Cinder writes it. Nobody believes it: `key_id` is the row's own. */
export const keyProperties = (keyId: string): Record<string, string> => ({
  cinder_encryption_key_id: keyId,
  cinder_encryption_key_deletion_policy: 'on_image_deletion',
});

/** Properties that are of one image's file alone. */
export const isKeyProperty = (name: string): boolean => Object.hasOwn(keyProperties(''), name);

/** @throws CloudError `forbidden` where an encrypted image would no longer say that it is */
export function requireKeyKept({ key_id }: Pick<ImageRow, 'key_id'>, changes: readonly ImageChange[]): void {
  const kept = changes.find((change) => change.kind === 'property' && isKeyProperty(change.name));
  if (key_id !== null && kept?.kind === 'property')
    throw new CloudError('forbidden', 'image_property_reserved', { property: kept.name });
}

/** The row's columns after the changes. @throws CloudError `conflict`, `forbidden`, `invalid`, `too_large` */
export function applyChanges(
  caller: Caller,
  image: ImageRow,
  changes: readonly ImageChange[],
): Partial<ImageAttributes> & { owner?: string; tags?: string[]; owner_properties?: Record<string, string> } {
  const attributes: Partial<ImageAttributes> = {};
  const rest: { owner?: string; tags?: string[] } = {};
  const properties = new Map(Object.entries(image.owner_properties));
  for (const change of changes) {
    if (change.kind === 'attribute') Object.assign(attributes, { [change.name]: change.value });
    else if (change.kind === 'tags') rest.tags = checkTags(change.tags);
    else if (change.kind === 'owner') rest.owner = change.owner;
    else applyProperty(properties, change);
  }
  if (rest.owner !== undefined) {
    checkOwner(rest.owner);
    const same = (parseId(rest.owner) ?? rest.owner) === ownerOf(image);
    if (!same && !isAdmin(caller)) throw new CloudError('forbidden', 'image_owner_fixed', {});
  }
  checkAttributes(attributes);
  checkVisibility(caller, attributes.visibility === image.visibility ? undefined : attributes.visibility);
  for (const key of ['disk_format', 'container_format'] as const) {
    if (attributes[key] === undefined || attributes[key] === image[key] || image.status === 'queued') continue;
    throw new CloudError('forbidden', 'image_attribute_fixed', { attribute: key });
  }
  const owner_properties = Object.fromEntries(properties);
  if (!changes.some((change) => change.kind === 'property')) return { ...attributes, ...rest };
  checkProperties(owner_properties);
  return { ...attributes, ...rest, owner_properties };
}

function applyProperty(properties: Map<string, string>, change: ImageChange & { kind: 'property' }): void {
  const present = properties.has(change.name);
  if (change.verb === 'create' && present) {
    throw new CloudError('conflict', 'image_property_present', { property: change.name });
  }
  if ((change.verb === 'replace' || change.verb === 'remove') && !present) {
    throw new CloudError('conflict', 'image_property_absent', { property: change.name });
  }
  if (change.verb === 'remove') properties.delete(change.name);
  else properties.set(change.name, change.value);
}

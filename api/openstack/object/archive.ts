/**
 * Swift's older versioning: what is overwritten or deleted goes to another container first (`X-Versions-Location`: a delete brings
 * the last one back; `X-History-Location`: a delete only adds a mark). A copy comes before the change, so that whatever dies between
 * them leaves a version more and none less.
 */
import { Readable } from 'node:stream';
import { isCloudError } from '../../../contract/errors.ts';
import {
  type ContainerInfo,
  type ObjectInfo,
  type ObjectService,
  type Visitor,
  visitOf,
  type Where,
} from '../../../control/object/index.ts';
import type { HeaderTexts } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { copyObjectTo } from './copying.ts';
import { timestampOf } from './times.ts';

export interface Archive {
  container: string;
  mode: 'stack' | 'history';
}

const key = 'archive';

export function archiveOf({ settings }: Pick<ContainerInfo, 'settings'>): Archive | undefined {
  return settings[key] as Archive | undefined;
}

/** Undefined: the request says nothing of it. */
export function archiveSetting(headers: HeaderTexts): Record<string, Archive | null> | undefined {
  const { 'x-versions-location': stack, 'x-history-location': history } = headers;
  const gone = headers['x-remove-versions-location'] ?? headers['x-remove-history-location'];
  if (stack && history) {
    throw new Refusal('invalid', 'Only one of x-versions-location or x-history-location may be specified');
  }
  const named = stack || history;
  if (!named) return stack === '' || history === '' || gone !== undefined ? { [key]: null } : undefined;
  const container = decoded(named);
  if (container === '' || container.includes('/')) {
    throw new Refusal('invalid', 'X-Versions-Location is the name of a container', { details: { httpStatus: 412 } });
  }
  return { [key]: { container, mode: stack ? 'stack' : 'history' } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Versions of a name stand together, and sort by their times. */
const prefixOf = (name: string): string => `${Buffer.byteLength(name).toString(16).padStart(3, '0')}${name}/`;

export const deletedType = 'application/x-deleted;swift_versions_deleted=1';

interface Place {
  visitor: Visitor;
  where: Where;
  name: string;
  archive: Archive;
}

/**
 * Whoever may write in a container need no right in the one that its owner keeps versions in, nor to read what is overwritten. Never
 * beyond the account, and nothing is followed (`raw`).
 */
const asOwner = ({ visitor, where }: Place): Visitor => ({
  caller: visitOf(visitor).caller,
  granted: ['read', 'list', 'write'],
  grantedIn: { projectId: where.projectId },
});

const archived = ({ where, archive }: Place): Where => ({ projectId: where.projectId, container: archive.container });

async function currentOf(objects: ObjectService, place: Place): Promise<ObjectInfo | undefined> {
  try {
    return (await objects.head(asOwner(place), place.where, place.name, { raw: true })).object;
  } catch (error) {
    if (isCloudError(error, 'not_found')) return undefined;
    throw error;
  }
}

/** Before a name is overwritten, or deleted for good. */
export async function keepCurrent(objects: ObjectService, place: Place): Promise<boolean> {
  const current = await currentOf(objects, place);
  if (!current) return false;
  const name = `${prefixOf(place.name)}${timestampOf(current.createdAt)}`;
  try {
    await copyObjectTo(
      objects,
      asOwner(place),
      { where: place.where, name: place.name, raw: true },
      { where: archived(place), name },
    );
  } catch (error) {
    if (!isCloudError(error, 'not_found')) throw error;
    throw new Refusal('invalid', 'Client specified versions location does not exist', { details: { httpStatus: 412 } });
  }
  return true;
}

/** In place of a plain delete. True: it is done, an older version is back. */
export async function bringBack(objects: ObjectService, place: Place): Promise<boolean> {
  if (place.archive.mode === 'history') {
    await keepCurrent(objects, place);
    const mark = { contentType: deletedType };
    const name = `${prefixOf(place.name)}${timestampOf(new Date())}`;
    await objects.put(asOwner(place), archived(place), name, { bytes: Readable.from([]), sizeBytes: 0 }, mark);
    return false;
  }
  const last = await lastVersion(objects, place);
  if (!last) return false;
  await copyObjectTo(
    objects,
    asOwner(place),
    { where: archived(place), name: last.name, raw: true },
    { where: place.where, name: place.name },
  );
  await objects.delete(asOwner(place), archived(place), last.name);
  return true;
}

async function lastVersion(objects: ObjectService, place: Place): Promise<ObjectInfo | undefined> {
  const wish = { prefix: prefixOf(place.name), reverse: true, limit: 1 };
  try {
    const [last] = (await objects.list(asOwner(place), archived(place), wish)).entries;
    return last && 'name' in last && last.contentType !== deletedType ? last : undefined;
  } catch (error) {
    if (isCloudError(error, 'not_found')) return undefined;
    throw error;
  }
}

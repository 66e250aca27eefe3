/** Manifests of static large objects: read, held to what Swift asks of them, and told again. */
import { type Static, Type } from 'typebox';
import { objectStoreLimits } from '../../../control/object/limits.ts';
import type { Segment } from '../../../control/object/object.ts';
import { fits } from '../../boundary/check.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { unstorable } from '../../boundary/storable.ts';
import { namedObject } from './path.ts';

/** Room for as many segments as there may be, of the longest names. */
export const maxManifestBytes = 2 * 1024 * 1024;

const wished = Type.Object({
  path: Type.Optional(Type.String()),
  data: Type.Optional(Type.String()),
  etag: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  size_bytes: Type.Optional(
    Type.Union([Type.Integer({ minimum: 0 }), Type.String({ pattern: '^\\d{1,15}$' }), Type.Null()]),
  ),
  range: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

/** What an upload says of a segment; the store tells what is there. */
export type WishedSegment =
  | { data: string; sizeBytes: number }
  | { container: string; name: string; etag?: string; sizeBytes?: number; range?: string };

const known = Object.keys(wished.properties);

/** @throws Refusal that lists what is wrong with each segment, as Swift does */
export function readManifest(text: string): WishedSegment[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw new Refusal('invalid', 'Manifest must be valid JSON.\n');
  }
  if (!Array.isArray(list)) throw new Refusal('invalid', 'Manifest must be a list.\n');
  if (list.length === 0) throw new Refusal('invalid', 'Manifest must have at least one segment.\n');
  const why = unstorable(list);
  if (why !== undefined) throw new Refusal('invalid', `The manifest can not be stored: ${why}.\n`);
  const most = 2 * objectStoreLimits.sloSegments;
  if (list.length > most) throw new Refusal('too_large', `Number of segments, inline ones too, must be <= ${most}`);
  const faults: string[] = [];
  const segments = list.map((item, index) => {
    const read = segmentOf(item);
    if (typeof read === 'string') faults.push(`Index ${index}: ${read}`);
    return read as WishedSegment;
  });
  if (faults.length === 0 && segments.filter((one) => 'container' in one).length > objectStoreLimits.sloSegments) {
    const most = objectStoreLimits.sloSegments;
    throw new Refusal('too_large', `Number of object-backed segments must be <= ${most}`);
  }
  if (faults.length === 0 && segments.every((one) => 'data' in one))
    faults.push('Inline data segments require at least one object-backed segment.');
  if (faults.length > 0) throw new Refusal('invalid', `${faults.slice(0, 50).join('\n')}\n`);
  return segments;
}

/** A text says what is wrong. */
function segmentOf(item: unknown): WishedSegment | string {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return 'not a JSON object';
  const strange = Object.keys(item).filter((key) => !known.includes(key));
  if (strange.length > 0) return `extraneous keys ${strange.map((key) => JSON.stringify(key.slice(0, 50))).join(', ')}`;
  if (!fits(wished, item)) return 'a value is of a wrong type';
  const { path, data, etag, size_bytes: size, range } = item as Static<typeof wished>;
  if ((path === undefined) === (data === undefined)) return 'expected keys to include one of "path" or "data"';
  if (data !== undefined) {
    if (Object.keys(item).length > 1) return 'inline data has "data" alone';
    const bytes = Buffer.from(data, 'base64');
    if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(data)) return 'data must be valid base64';
    return bytes.length === 0
      ? 'data must have at least one byte'
      : { data: bytes.toString('base64'), sizeBytes: bytes.length };
  }
  const named = namedObject(path!);
  if (!named) return 'path does not refer to an object. Path must be of the form /container/object.';
  if (typeof range === 'string' && !/^(\d{1,15}-\d{0,15}|-\d{1,15})$/.test(range)) {
    return /,/.test(range) ? 'multiple ranges (only one allowed)' : 'invalid range';
  }
  const sizeBytes = size === undefined || size === null ? undefined : Number(size);
  if (sizeBytes === 0) return 'too small; each segment must be at least 1 byte.';
  return {
    ...{ container: named.container, name: named.object },
    ...(typeof etag === 'string' && { etag: etag.replace(/^"(.*)"$/, '$1') }),
    ...(sizeBytes !== undefined && { sizeBytes }),
    ...(typeof range === 'string' && range !== '' && { range }),
  };
}

/** Undefined: none of its bytes. */
export function segmentRange(range: string, sizeBytes: number): { first: number; last: number } | undefined {
  const [from = '', to = ''] = range.split('-', 2);
  const first = from === '' ? Math.max(0, sizeBytes - Number(to)) : Number(from);
  const last = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  return first <= last && first < sizeBytes ? { first, last } : undefined;
}

/** As `?multipart-manifest=get` tells it; `raw`: in the form that a PUT takes. */
export function toldManifest(segments: readonly Segment[], { raw }: { raw: boolean }): object[] {
  return segments.map((segment) => {
    if (segment.data !== undefined) return { data: segment.data };
    const path = `/${segment.container}/${segment.name}`;
    const range = segment.range && `${segment.range.first}-${segment.range.last}`;
    if (raw) return { path, etag: segment.etag, size_bytes: segment.sizeBytes, ...(range && { range }) };
    return {
      name: path,
      ...{
        bytes: segment.sizeBytes,
        hash: segment.etag,
        content_type: segment.contentType ?? 'application/octet-stream',
      },
      ...(segment.modifiedAt !== undefined && { last_modified: segment.modifiedAt.replace(/Z$/, '000') }),
      ...(range && { range }),
      ...(segment.isManifest && { sub_slo: true }),
    };
  });
}

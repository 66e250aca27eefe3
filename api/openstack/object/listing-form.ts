/** Listings of accounts and containers as text, JSON and XML. */
import { Refusal } from '../../boundary/refusal.ts';
import { listedTime } from './times.ts';

export type ListForm = 'plain' | 'json' | 'xml';

export const listTypes: Readonly<Record<ListForm, string>> = {
  plain: 'text/plain; charset=utf-8',
  json: 'application/json; charset=utf-8',
  xml: 'application/xml; charset=utf-8',
};

const ofType: Readonly<Record<string, ListForm>> = {
  'text/plain': 'plain',
  'text/*': 'plain',
  '*/*': 'plain',
  'application/json': 'json',
  'application/*': 'json',
  'application/xml': 'xml',
  'text/xml': 'xml',
};

/** `format` comes first; one that is not known is plain text. @throws Refusal 406 where the client takes none of ours */
export function listForm(format: string | undefined, accept: string | undefined): ListForm {
  if (format !== undefined) return format === 'json' || format === 'xml' ? format : 'plain';
  let best: { form: ListForm; quality: number } | undefined;
  for (const part of (accept || '*/*').split(',')) {
    const [type = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const quality = q === undefined ? 1 : Number(q.slice(2)) || 0;
    const form = Object.hasOwn(ofType, type) ? ofType[type]! : undefined;
    if (form && quality > (best?.quality ?? 0)) best = { form, quality };
  }
  if (best) return best.form;
  throw new Refusal('invalid', 'The resource is not available in a format acceptable to your browser.', {
    details: { httpStatus: 406 },
  });
}

export interface ListedContainer {
  name: string;
  count: number;
  bytes: number;
  lastModified: Date;
}

export interface ListedObject {
  name: string;
  hash: string;
  bytes: number;
  contentType: string;
  lastModified: Date;
  /** What a symlink points to: `/v1/AUTH_…/container/object`. */
  symlinkPath?: string;
  /** Where versions are listed. */
  version?: { id: string; latest: boolean };
}

/** What has names that begin alike, up to the delimiter. */
export interface Subdirectory {
  subdir: string;
}

type Fields = [name: string, value: string | number | boolean][];

const isSubdirectory = (entry: object): entry is Subdirectory => 'subdir' in entry;

const containerFields = ({ name, count, bytes, lastModified }: ListedContainer): Fields => [
  ['name', name],
  ['count', count],
  ['bytes', bytes],
  ['last_modified', listedTime(lastModified)],
];

const objectFields = ({ name, hash, bytes, contentType, lastModified, symlinkPath, version }: ListedObject): Fields => [
  ['name', name],
  ['hash', hash],
  ['bytes', bytes],
  ['content_type', contentType],
  ['last_modified', listedTime(lastModified)],
  ...(symlinkPath === undefined ? [] : ([['symlink_path', symlinkPath]] as Fields)),
  ...(version
    ? ([
        ['version_id', version.id],
        ['is_latest', version.latest],
      ] as Fields)
    : []),
];

interface Shape<Entry> {
  root: 'account' | 'container';
  element: 'container' | 'object';
  fields(entry: Entry): Fields;
}

const accountShape: Shape<ListedContainer> = { root: 'account', element: 'container', fields: containerFields };
const containerShape: Shape<ListedObject> = { root: 'container', element: 'object', fields: objectFields };

export const accountListing = (
  form: ListForm,
  name: string,
  entries: readonly (ListedContainer | Subdirectory)[],
): string => written(accountShape, form, name, entries);

export const containerListing = (
  form: ListForm,
  name: string,
  entries: readonly (ListedObject | Subdirectory)[],
): string => written(containerShape, form, name, entries);

function written<Entry extends { name: string }>(
  shape: Shape<Entry>,
  form: ListForm,
  name: string,
  entries: readonly (Entry | Subdirectory)[],
): string {
  if (form === 'plain') {
    return entries.map((entry) => `${isSubdirectory(entry) ? entry.subdir : entry.name}\n`).join('');
  }
  if (form === 'json') {
    return JSON.stringify(
      entries.map((entry) => (isSubdirectory(entry) ? entry : Object.fromEntries(shape.fields(entry)))),
    );
  }
  const elements = entries.map((entry) => {
    if (isSubdirectory(entry)) {
      const text = escapeXml(entry.subdir);
      return `<subdir name="${text}"><name>${text}</name></subdir>`;
    }
    const fields = shape.fields(entry).map(([field, value]) => `<${field}>${escapeXml(String(value))}</${field}>`);
    return `<${shape.element}>${fields.join('')}</${shape.element}>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${shape.root} name="${escapeXml(name)}">${elements.join('')}</${shape.root}>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
};

/** Characters that XML 1.0 has no place for are told as U+FFFD: a reader would refuse the whole listing. */
export const escapeXml = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are meant
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/[&<>"']/g, (character) => entities[character]!);

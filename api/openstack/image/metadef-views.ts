/** What metadata definitions are made of, and how they are shown. */
import { Type } from 'typebox';
import type { EntryWish, MetadefEntryRow, MetadefNamespaceRow } from '../../../control/image/metadef/index.ts';

export const text = Type.String();
export const name = Type.String({ minLength: 1, maxLength: 80 });
export const description = Type.Optional(Type.String({ maxLength: 500 }));
export const open = { additionalProperties: true } as const;

/** A JSON schema of one property, with what people shall read. */
const propertyMembers = { title: Type.String({ maxLength: 255 }), type: text, description };
export const properties = Type.Record(text, Type.Object(propertyMembers, open));
export const object = Type.Object({
  name,
  description,
  required: Type.Optional(Type.Array(text)),
  properties: Type.Optional(properties),
});
export const property = Type.Object({ name, ...propertyMembers }, open);
export const tag = Type.Object({ name });
export const association = Type.Object({
  name,
  prefix: Type.Optional(Type.String({ maxLength: 80 })),
  properties_target: Type.Optional(Type.String({ maxLength: 80 })),
});

/** Answers are what was given, with links and times. */
export const shown = Type.Object({ name: text }, open);
export const list = (members: string) => Type.Object({ [members]: Type.Array(shown) }, open);
export const none = { 204: null } as const;

const seconds = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;
const times = (row: { created_at: Date; updated_at: Date }) => ({
  created_at: seconds(row.created_at),
  updated_at: seconds(row.updated_at),
});
export const base = '/v2/metadefs/namespaces';
export const selfOf = (namespace: string) => `${base}/${encodeURIComponent(namespace)}`;

export const namespaceView = (row: MetadefNamespaceRow) => ({
  namespace: row.name,
  ...(row.display_name === null ? {} : { display_name: row.display_name }),
  ...(row.description === null ? {} : { description: row.description }),
  visibility: row.visibility,
  protected: row.protected,
  owner: row.project_id,
  ...times(row),
  self: selfOf(row.name),
  schema: '/v2/schemas/metadefs/namespace',
});

export const entryView = (row: MetadefEntryRow) => ({ ...row.body, name: row.name, ...times(row) });
export const propertiesView = (rows: readonly MetadefEntryRow[], prefix = '') =>
  Object.fromEntries(rows.map((row) => [prefix + row.name, { ...row.body, name: row.name }]));

/** Asks about the properties as they are called on a type of resource. */
export const ofType = Type.Object({ resource_type: Type.Optional(text) });
/** What the names of properties begin with on a type of resource. @param type its association; absent: it has none */
export const prefixOf = (type: MetadefEntryRow | undefined): string => {
  const { prefix } = (type?.body ?? {}) as { prefix?: string };
  return prefix ?? '';
};

/** @param prefix of the type of resource that is asked about: its properties are called so there */
export function objectView(namespace: string, row: MetadefEntryRow, prefix = '') {
  const { required, properties: parts } = row.body as { required?: string[]; properties?: Record<string, unknown> };
  return {
    ...entryView(row),
    ...(required && { required: required.map((one) => prefix + one) }),
    ...(parts && { properties: Object.fromEntries(Object.entries(parts).map(([key, one]) => [prefix + key, one])) }),
    self: `${selfOf(namespace)}/objects/${encodeURIComponent(row.name)}`,
    schema: '/v2/schemas/metadefs/object',
  };
}

export const wishOf = ({ name: wanted, ...body }: { name: string } & Record<string, unknown>): EntryWish => ({
  name: wanted,
  body,
});

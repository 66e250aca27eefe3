import type { Generated, Selectable } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export type MetadefKind = 'object' | 'property' | 'tag' | 'resource_type';

export interface MetadefNamespaceTable {
  id: string;
  project_id: string;
  name: string;
  display_name: string | null;
  description: string | null;
  visibility: Generated<'public' | 'private'>;
  protected: Generated<boolean>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface MetadefEntryTable {
  id: string;
  namespace_id: string;
  kind: MetadefKind;
  name: string;
  body: Json<Record<string, unknown>>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type MetadefNamespaceRow = Selectable<MetadefNamespaceTable>;
export type MetadefEntryRow = Selectable<MetadefEntryTable>;

interface MetadefTables {
  metadef_namespace: MetadefNamespaceTable;
  metadef_entry: MetadefEntryTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends MetadefTables {}
}

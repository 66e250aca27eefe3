/** How volume types are read and listed: everyone sees the public ones and those that their project was given. */
import { type Selectable, sql } from 'kysely';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Listing } from '../../kit/listing.ts';
import type { VolumeTypeTable } from './tables.ts';

export type VolumeTypeRow = Selectable<VolumeTypeTable>;

/** Public, or given to the project. The type's alias is `t`. */
export const usableBy = (projectId: string | null) => sql`(t.public or exists (select from volume_type_access a
  where a.volume_type_id = t.id and a.project_id = ${projectId}::uuid))`;

export const volumeTypeListing: Listing<VolumeTypeRow> = {
  noun: 'volume_type',
  select: sql`t.*`,
  from: sql`volume_type t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    public: { kind: 'boolean', sortable: true },
    /** Has all of the pairs of an object, as JSON. */
    extra_specs: {
      kind: 'text',
      matches: (values) => sql`t.extra_specs @> any(${[...values]}::jsonb[])`,
    },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller: Caller) => (isAdmin(caller) ? sql`true` : usableBy(caller.projectId)),
};

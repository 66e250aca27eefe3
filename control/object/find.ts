/** Objects as they are asked for by name: many in one statement, each with its container and the places of its bytes. */
import type { Database, Queryable } from '../kit/database/database.ts';
import type { Guarded } from './access.ts';
import type { KeptBlob } from './blobs.ts';
import { versionName } from './commit.ts';
import { Gather } from './gather.ts';
import type { Checksums, Manifest, ObjectHeaders, ObjectInfo, ObjectLock } from './object.ts';
import { run } from './statements.ts';
import type { Versioning } from './tables.ts';

export interface NameWish {
  projectId: string;
  container: string;
  name: string;
}

export interface FoundContainer extends Guarded {
  id: string;
  name: string;
  versioning: Versioning;
}

export interface Found {
  container: FoundContainer;
  object: ObjectInfo | undefined;
  /** For reads of its parts. */
  objectId: string | undefined;
  blob: KeptBlob | undefined;
}

interface Row {
  n: number;
  c_id: string;
  c_name: string;
  project_id: string;
  read_acl: string;
  write_acl: string;
  versioning: Versioning;
  settings: Record<string, unknown> | null;
  id: string | null;
  container_id: string;
  name: string;
  sequence: number;
  current: boolean;
  null_version: boolean;
  delete_marker: boolean;
  size_bytes: number;
  etag: string;
  content_type: string;
  metadata: Record<string, string> | null;
  headers: ObjectHeaders | null;
  checksums: Checksums | null;
  tags: Record<string, string> | null;
  lock: ObjectLock | null;
  manifest: Manifest | null;
  manifest_long: boolean | null;
  blob_id: string | null;
  parts: number;
  owner_id: string;
  expires_at: Date | null;
  created_at: Date;
  updated_at: Date;
  disk_id: string | null;
  intent_id: string;
  file: string;
  offset_bytes: number;
  length: number;
}

const guardColumns = `c.id as c_id, c.name as c_name, c.project_id, c.read_acl, c.write_acl, c.versioning`;
const containerColumns = `${guardColumns}, c.settings`;
/** A manifest that is long comes by itself. */
const objectColumns = `o.container_id, o.name, o.id, o.sequence, o.current, o.null_version, o.delete_marker, o.size_bytes, o.etag,
  o.content_type, o.metadata, o.headers, o.checksums, o.tags, o.lock, case when pg_column_size(o.manifest) < 4096 then o.manifest end as manifest,
  pg_column_size(o.manifest) >= 4096 as manifest_long, o.blob_id, o.parts, o.owner_id, o.expires_at, o.created_at, o.updated_at`;
/** Of a listing, which has thousands, and tells none of what may be long. */
const listedColumns = `o.container_id, o.name, o.id, o.sequence, o.current, o.null_version, o.delete_marker, o.size_bytes, o.etag,
  o.content_type, null as metadata, null as headers, o.checksums, null as tags, null as lock,
  case when o.manifest ? 'segments' then o.manifest || jsonb_build_object('segments', '[]'::jsonb, 'count', jsonb_array_length(o.manifest->'segments'))
    else o.manifest end as manifest,
  o.blob_id, o.parts, o.owner_id, o.expires_at, o.created_at, o.updated_at`;
const blobColumns = `b.disk_id, b.intent_id, b.file, b.offset_bytes, b.length`;

/** A container's settings may be long: they come with the first wish of those in it. */
const currentText = `select i.n, ${guardColumns}, case when i.first then c.settings end as settings, ${objectColumns}, ${blobColumns}
  from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[]) with ordinality i(project_id, container, object, first, n)
  join container c on c.project_id = i.project_id and c.name = i.container
  left join object o on o.container_id = c.id and o.name = i.object and o.current and (o.expires_at is null or o.expires_at > now())
  left join object_blob b on b.id = o.blob_id`;
const versionText = `select 1 as n, ${containerColumns}, ${objectColumns}, ${blobColumns}
  from container c left join object o on o.container_id = c.id and o.name = $3 and (o.sequence = $4 or ($4 is null and o.null_version))
    and (o.expires_at is null or o.expires_at > now())
  left join object_blob b on b.id = o.blob_id where c.project_id = $1 and c.name = $2`;

const manifestText = `select manifest from object where container_id = $1 and name = $2 and sequence = $3`;

/** Of names that somebody waits for. Only a miss of the container answers undefined. */
export class Finder {
  readonly #database: Database;
  readonly #gather: Gather<NameWish, Found | undefined>;
  /** One at a time: of two hundred that are megabytes each there would be no memory for all. */
  readonly #manifests: Gather<Row, Manifest | null | undefined>;

  constructor(options: { database: Database }) {
    this.#database = options.database;
    this.#gather = new Gather((wishes) => this.#find(wishes), { most: 200, atOnce: 2 });
    this.#manifests = new Gather((rows) => this.#manifest(rows[0]!), { most: 1, atOnce: 1 });
  }

  current(wish: NameWish): Promise<Found | undefined> {
    return this.#gather.ask(wish);
  }

  /** @param sequence null: the version that was made while nobody wanted any */
  async version(wish: NameWish, sequence: number | null): Promise<Found | undefined> {
    const rows = await run<Row>(this.#database.query, versionText, [
      wish.projectId,
      wish.container,
      wish.name,
      sequence,
    ]);
    return this.#whole(rows);
  }

  #whole(rows: readonly Row[]): Found | undefined | Promise<Found | undefined> {
    const found = foundOf(rows);
    const [row] = rows;
    if (!found?.object || !row?.manifest_long) return found;
    const { object } = found;
    return this.#manifests.ask(row).then((manifest) => ({
      ...found,
      // Undefined: it has gone meanwhile.
      object: manifest === undefined ? undefined : { ...object, manifest },
    }));
  }

  async #manifest({ container_id, name, sequence }: Row): Promise<(Manifest | null | undefined)[]> {
    const [row] = await run<{ manifest: Manifest | null }>(this.#database.query, manifestText, [
      ...[container_id, name, sequence],
    ]);
    return [row?.manifest];
  }

  async #find(wishes: readonly NameWish[]): Promise<(Found | undefined | Promise<Found | undefined>)[]> {
    const containers = new Set<string>();
    const rows = await run<Row>(this.#database.query, currentText, [
      wishes.map(({ projectId }) => projectId),
      wishes.map(({ container }) => container),
      wishes.map(({ name }) => name),
      wishes.map(({ projectId, container }) => {
        const known = containers.size;
        return containers.add(`${projectId}/${container}`).size > known;
      }),
    ]);
    const settings = new Map(rows.flatMap((row) => (row.settings ? [[row.c_id, row.settings]] : [])));
    const byWish: Row[][] = wishes.map(() => []);
    for (const row of rows) {
      row.settings ??= settings.get(row.c_id)!;
      byWish[row.n - 1]!.push(row);
    }
    return byWish.map((each) => this.#whole(each));
  }
}

const freshMs = 5000;
const maxKnown = 1000;
/** Settings may be a hundred times as long: a container that has such is asked for each time. */
const knownLength = 4096;

/**
 * Containers by their names as they were a moment ago: for writes, whose transaction reads them once more, and refuses by what it finds. Whoever is refused by what is
 * known here is judged by what there is.
 */
export class KnownContainers {
  readonly #known = new Map<string, { container: FoundContainer; at: number }>();

  find({ projectId, container }: { projectId: string; container: string }): FoundContainer | undefined {
    const known = this.#known.get(`${projectId}/${container}`);
    return known && performance.now() - known.at < freshMs ? known.container : undefined;
  }

  keep(container: FoundContainer): void {
    if (JSON.stringify(container).length > knownLength) return;
    if (this.#known.size >= maxKnown) this.#known.clear();
    this.#known.set(`${container.projectId}/${container.name}`, { container, at: performance.now() });
  }

  forget({ projectId, container }: { projectId: string; container: string }): void {
    this.#known.delete(`${projectId}/${container}`);
  }
}

/** Rows of one object: one a copy of its blob. */
function foundOf(rows: readonly Row[]): Found | undefined {
  const [row] = rows;
  if (!row) return undefined;
  const container = {
    ...{ id: row.c_id, name: row.c_name, projectId: row.project_id, readAcl: row.read_acl, writeAcl: row.write_acl },
    ...{ versioning: row.versioning, settings: row.settings! },
  };
  if (row.id === null) return { container, object: undefined, objectId: undefined, blob: undefined };
  const copies = rows.flatMap(({ disk_id: diskId, intent_id: intentId, file, offset_bytes: offset }) =>
    diskId === null ? [] : { diskId, intentId, file, offset },
  );
  const blob = row.blob_id === null ? undefined : { id: row.blob_id, length: row.length ?? row.size_bytes, copies };
  return { container, object: infoOf(row as Row & { id: string }), objectId: row.id, blob };
}

export type InfoRow = Pick<
  Row,
  | ('container_id' | 'name' | 'sequence' | 'current' | 'null_version' | 'delete_marker' | 'size_bytes' | 'etag')
  | ('content_type' | 'metadata' | 'headers' | 'checksums' | 'tags' | 'lock' | 'manifest' | 'parts' | 'owner_id')
  | ('expires_at' | 'created_at' | 'updated_at')
>;

export const infoOf = (row: InfoRow): ObjectInfo => ({
  containerId: row.container_id,
  name: row.name,
  versionId: row.null_version ? 'null' : versionName(row.sequence),
  current: row.current,
  deleteMarker: row.delete_marker,
  sizeBytes: row.size_bytes,
  etag: row.etag,
  contentType: row.content_type,
  metadata: row.metadata ?? {},
  headers: row.headers ?? {},
  checksums: row.checksums ?? {},
  tags: row.tags ?? {},
  lock: row.lock,
  manifest: row.manifest,
  parts: row.parts,
  ownerId: row.owner_id,
  expiresAt: row.expires_at,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** Those of the names that are still there, as a listing tells them: without metadata, headers, tags, locks and segments. */
export async function namedObjects(
  db: Queryable,
  containerId: string,
  names: readonly string[],
): Promise<Map<string, ObjectInfo>> {
  if (names.length === 0) return new Map();
  const rows = await run<InfoRow>(
    db,
    `select ${listedColumns} from object o where o.container_id = $1 and o.name = any($2::text[]) and o.current`,
    [containerId, names],
  );
  return new Map(rows.map((row) => [row.name, infoOf(row)]));
}

export { listedColumns };

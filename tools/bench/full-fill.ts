/**
 * What a cloud has beside its servers and networks once it has lived for a year, by SQL alone, in seconds: people and their rights, images, volumes in layers with
 * snapshots, backups and replicas, groups, migrations, and the change log, operations and decisions as retention keeps them. For what must be read at that size
 */
import { Kysely, PostgresDialect, type RawBuilder, sql } from 'kysely';
import pg from 'pg';
import { newId } from '../../contract/ids.ts';
import { kinds, numberedId } from '../../control/network/test-filled.ts';

export interface FullSize {
  users: number;
  images: number;
  /** Each has a snapshot under it; each second has a backup, each tenth a replica. */
  volumes: number;
  migrations: number;
  /** Of the change log, operations and decisions each. */
  history: number;
}

const fullKinds = {
  ...kinds,
  user: 20,
  image: 21,
  pool: 22,
  volume: 23,
  layer: 24,
  base: 25,
  snapshot: 26,
  backup: 27,
  type: 28,
  role: 29,
  migration: 30,
  any: 31,
};

const made = (kind: keyof typeof fullKinds, number: string) =>
  sql.raw(`(lpad(to_hex(${fullKinds[kind]}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`);

/** An id as ours are, of a moment: what is ordered by id is ordered by time. */
const idAt = (secondsAgo: string) =>
  sql.raw(
    `(substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-' || substr(r, 7, 12))::uuid
     from (select n, lpad(to_hex((extract(epoch from now() - (${secondsAgo}) * interval '1 second') * 1000)::bigint), 12, '0') as h, md5(n::text) as r from rows) m`,
  );

/** Fills in what a living cloud has; the numbers are of a database that `fill` has filled in. */
export async function fillWhole(url: string, size: FullSize, has: { projects: number }): Promise<void> {
  // Without the limits of control's connections: some of this takes a minute.
  const database = new Kysely({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 1 }) }),
  });
  await database.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    await sql`create temporary table hosts as select id, row_number() over (order by id)::int - 1 as n, count(*) over ()::int as of from host where connection_id is null`.execute(
      connection,
    );
    await sql`create temporary table guests as select id, project_id, host_id, row_number() over (order by id)::int - 1 as n from server`.execute(
      connection,
    );
    for (const statement of [...people(size, has.projects), ...storage(size, has.projects), ...history(size)])
      await statement.execute(connection);
    await sql`set session_replication_role = origin`.execute(connection);
    await sql`vacuum analyze`.execute(connection);
  });
  await database.destroy();
}

function people({ users, images }: FullSize, projects: number): RawBuilder<unknown>[] {
  const rows = (count: number) => sql`generate_series(0, ${sql.lit(count - 1)}::int) n`;
  const project = `n % ${projects}`;
  return [
    sql`insert into "user" (id, domain_id, name, default_project_id) select ${made('user', 'n')}, ${numberedId(0, 1)}, 'u' || n, ${made('project', project)} from ${rows(users)}`,
    sql`insert into user_password_past (id, user_id, hash) select ${made('any', 'n')}, ${made('user', 'n')}, 'h' from ${rows(users)}`,
    sql`insert into role (id, name) select ${made('role', 'n')}, 'r' || n from ${rows(8)}`,
    sql`insert into role_assignment (id, role_id, user_id, project_id) select ${made('any', 'n')}, ${made('role', 'n % 8')}, ${made('user', `n / 4 % ${users}`)}, ${made('project', `n / 4 % ${projects}`)} from ${rows(users * 4)}`,
    sql`insert into key_pair (id, user_id, name, public_key, fingerprint) select ${made('any', 'n')}, ${made('user', `n % ${users}`)}, 'k' || n, 'k', 'f' || n from ${rows(users * 2)}`,
    sql`insert into application_credential (id, user_id, project_id, name, role_ids) select ${made('any', 'n')}, ${made('user', `n % ${users}`)}, ${made('project', project)}, 'a' || n, '{}' from ${rows(users * 2)}`,
    sql`insert into trust (id, trustor_user_id, trustee_user_id, project_id, origin_user_id, impersonation, role_ids) select ${made('any', 'n')}, ${made('user', `n % ${users}`)}, ${made('user', `(n + 1) % ${users}`)}, ${made('project', project)}, ${made('user', `n % ${users}`)}, true, '{}' from ${rows(users)}`,
    sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, sha512, visibility)
      select ${made('image', 'n')}, ${made('project', project)}, 'i' || n, 'active', 'qcow2', 1000, 1000000, 'a', 'a', case when n % 50 = 0 then 'public' when n % 10 = 0 then 'shared' else 'private' end from ${rows(images)}`,
    sql`insert into image_location (image_id, host_id) select ${made('image', `h.n`)}, h.id from (select r.n, h.id from ${sql.raw(`generate_series(0, ${images - 1}) r(n)`)} join hosts h on h.n = r.n % h.of) h`,
    sql`insert into image_member (image_id, project_id, status) select ${made('image', 'n * 10')}, ${made('project', `(n + 1) % ${projects}`)}, 'accepted' from ${rows(Math.floor(images / 10))}`,
    sql`insert into image_task (id, image_id, user_id, request_id, input, status, ended_at) select ${made('any', 'n')}, ${made('image', 'n')}, ${newId()}, 'r', '{}', 'success', now() from ${rows(images)}`,
    sql`insert into server_group (id, project_id, user_id, name, policy) select ${made('any', 'n')}, ${made('project', project)}, ${made('user', `n % ${users}`)}, 'g', 'affinity' from ${rows(projects)}`,
  ];
}

/** Two layers of each volume: what its snapshot has, and what was written since. */
function storage({ volumes, images }: FullSize, projects: number): RawBuilder<unknown>[] {
  const rows = sql`generate_series(0, ${sql.lit(volumes - 1)}::int) n`;
  const project = made('project', `n % ${projects}`);
  const gib = sql.raw(`${2 ** 30}::bigint`);
  const done = sql`observed_state, observed_epoch, observed_generation, observed_size_bytes, observed_at`;
  const word = sql`'ready', 1, 1, ${gib}, now()`;
  return [
    sql`insert into volume_type (id, name) select ${made('type', 'n')}, 't' || n from generate_series(0, 9) n`,
    sql`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes) select ${made('pool', 'n')}, id, 'default', 'disk', 'directory', 1000 * ${gib}, 900 * ${gib} from hosts`,
    sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, read_only, image_id, ${done})
      select ${made('base', 'r.n')}, ${made('volume', 'r.n')}, h.id, ${made('pool', 'h.n')}, ${gib}, true, case when r.n % 4 = 0 then ${made('image', `r.n % ${images}`)} end, ${word}
      from ${sql.raw(`generate_series(0, ${volumes - 1}) r(n)`)} join hosts h on h.n = r.n / 7 % h.of`,
    sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, parent_id, ${done})
      select ${made('layer', "('x' || right(id::text, 8))::bit(32)::int")}, volume_id, host_id, pool_id, size_bytes, id, ${word} from volume_layer`,
    sql`insert into volume (id, project_id, user_id, name, size_gib, volume_type_id, host_id, pool_id, layer_id, launched_at, source_image_id, source_snapshot_id)
      select ${made('volume', 'r.n')}, ${made('project', `r.n % ${projects}`)}, ${newId()}, 'v' || r.n, 1, ${made('type', 'r.n % 10')}, h.id, ${made('pool', 'h.n')}, ${made('layer', 'r.n')}, now(),
        case when r.n % 4 = 0 then ${made('image', `r.n % ${images}`)} end, case when r.n % 100 = 1 then ${made('snapshot', 'r.n - 1')} end
      from ${sql.raw(`generate_series(0, ${volumes - 1}) r(n)`)} join hosts h on h.n = r.n / 7 % h.of`,
    sql`insert into volume_ownership (volume_id) select id from volume on conflict do nothing`,
    sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib, ready_at) select ${made('snapshot', 'n')}, ${project}, ${newId()}, ${made('volume', 'n')}, ${made('base', 'n')}, 1, now() from ${rows}`,
    sql`insert into backup (id, project_id, user_id, volume_id, parent_id, size_gib, volume, host_id, file_name, file_bytes, ready_at)
      select ${made('backup', 'r.n')}, ${made('project', `r.n % ${projects}`)}, ${newId()}, ${made('volume', 'r.n')}, case when r.n % 6 > 0 then ${made('backup', 'r.n - 2')} end, 1, '{}', h.id, 'f' || r.n, 1, now()
      from ${sql.raw(`generate_series(0, ${volumes - 1}, 2) r(n)`)} join hosts h on h.n = r.n / 7 % h.of`,
    sql`insert into volume_attachment (id, project_id, volume_id, server_id, slot, server_generation, observed_state, completed_at, attached_at)
      select ${made('any', 'n')}, project_id, ${made('volume', 'n')}, id, 1, 1, 'attached', now(), now() from guests where n < ${sql.lit(volumes / 2)}`,
    sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes, pool_id, source_layer_id, layer_id, as_of, next_at)
      select ${made('volume', 'n')}, 600, ${gib}, ${made('pool', '0')}, ${made('base', 'n')}, ${made('base', 'n')}, now(), now() + interval '1 day' from ${sql.raw(`generate_series(0, ${volumes - 1}, 10) n`)}`,
    sql`insert into storage_pool_volumes (pool_id, volume_type_id, size_gib, volumes) select pool_id, volume_type_id, size_gib, count(*) from volume group by 1, 2, 3 on conflict do nothing`,
    sql`insert into storage_pool_usage (pool_id) select id from storage_pool on conflict do nothing`,
  ];
}

/** The last days', younger than what the settings have dropped by default. */
function history({ migrations, history }: FullSize): RawBuilder<unknown>[] {
  const rows = sql.raw(`with rows as (select n from generate_series(0, ${history - 1}) n)`);
  const days = 6 * 86400;
  const spread = `n::float * ${days / history}`;
  const guests = sql`(select count(*)::int from guests)`;
  return [
    sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, host_id, old_flavor_id, new_flavor_id, kind, phase, ended, target_host_id, created_at, updated_at)
      select ${made('migration', 'm.n')}, g.project_id, ${newId()}, g.id, 1, g.host_id, ${newId()}, ${newId()}, 'live-migration', 'ended', 'completed', g.host_id, now() - m.n * interval '1 minute', now() - m.n * interval '1 minute'
      from ${sql.raw(`generate_series(0, ${migrations - 1}) m(n)`)} join guests g on g.n = m.n % ${guests}`,
    sql`create temporary table moment as ${rows} select n, ${idAt(spread)}`,
    sql`alter table moment rename column uuid to id`,
    sql`insert into operation (id, project_id, resource_type, resource_id, verb, generation, state, owner, deadline, finished_at)
      select m.id, g.project_id, 'server', g.id, 'reboot', 1, 'succeeded', 'control', now(), now() from moment m join guests g on g.n = m.n % ${guests}`,
    sql`insert into decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation)
      select m.id, g.project_id, 'server', g.id, 'placement', 'placed', '{}', '{}' from moment m join guests g on g.n = m.n % ${guests}`,
    sql`insert into change (transaction_id, at, resource_type, resource_id, action, project_id, generation, body)
      select ((select pg_current_xact_id()::text::bigint) * (${sql.lit(history)} - m.n) / ${sql.lit(history)})::text::xid8, now() - m.n * ${sql.raw(`${days / history}::float`)} * interval '1 second', (array['server', 'port', 'volume', 'network'])[m.n % 4 + 1], case when m.n % 40 = 0 then m.id else g.id end, case when m.n % 40 = 0 then 'deleted' else 'updated' end, g.project_id, 1,
        jsonb_build_object('id', g.id, 'name', 's', 'project_id', g.project_id, 'updated_at', now()) from moment m join guests g on g.n = m.n % ${guests} order by m.n desc`,
    sql`drop table moment`,
  ];
}

/**
 * What a host's word on a server says of its volumes. Pure first, then the one statement that writes it. A row goes when nobody can have
 * the volume any more: it shall not be had, and the host has said, of the generation that says so, that its guest does not have it.
 * So a guest that never lets go keeps nobody waiting beyond its next stop.
 */
import { isDeepStrictEqual } from 'node:util';
import { type RawBuilder, sql } from 'kysely';
import type { ObservedServer } from '../../../contract/host/index.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';

/** What is compared with a report; read with the server's row ({@link attachmentsOfServer}). */
export interface KnownAttachment {
  id: string;
  volume_id: string;
  desired_presence: 'present' | 'absent';
  server_generation: number;
  observed_state: 'attached' | 'releasing' | null;
  observed_layer_id: string | null;
  observed_size_bytes: number | null;
  observed_full: boolean;
  observed_copy_id: string | null;
  observed_copy: ObservedCopy | null;
  attached: boolean;
}

type ObservedCopy = Pick<NonNullable<ObservedServer['copies']>[number], 'state' | 'error'>;

export interface AttachmentChange {
  id: string;
  gone: boolean;
  observed_state: KnownAttachment['observed_state'];
  observed_layer_id: string | null;
  observed_size_bytes: number | null;
  /** Its guest stands still until there is room for what it writes to it. */
  observed_full: boolean;
  /** What its host says of its second copy, and of which. */
  observed_copy_id: string | null;
  observed_copy: ObservedCopy | null;
  /** It did not before. */
  fills: boolean;
  /** Its guest was asked to let go of it for a while and has not: its host waits for that no longer, from this report on. */
  holds: boolean;
  attached: boolean;
}

/** Of the server before the report. */
export interface Before {
  /** What its host had heard of. */
  generation: number;
  state: ObservedServer['state'] | 'none';
}

type Report = Pick<ObservedServer, 'generation' | 'state' | 'volumes' | 'copies'>;

/** Of a server by its id: all its attachments but those whose volumes are still on another host, as one value; null where there are none. */
export const attachmentsOfServer = (serverId: RawBuilder<unknown>): RawBuilder<KnownAttachment[] | null> => sql`
  (select json_agg(json_build_object('id', a.id, 'volume_id', a.volume_id, 'desired_presence', a.desired_presence,
    'server_generation', a.server_generation, 'observed_state', a.observed_state, 'observed_layer_id', a.observed_layer_id,
    'observed_size_bytes', a.observed_size_bytes, 'observed_full', a.observed_full,
    'observed_copy_id', a.observed_copy_id, 'observed_copy', a.observed_copy, 'attached', a.attached_at is not null))
   from volume_attachment a where a.server_id = ${serverId} and a.target_host_id is null)`;

/** What no guest runs in has its volumes as soon as its host knows of them: they are there with its next start. */
const restful: ReadonlySet<string> = new Set(['stopped', 'suspended']);
/** The host has nothing more to do for a guest that is there. */
const settled: ReadonlySet<string> = new Set(['running', 'paused']);

/**
 * What changes; that the host has heard now of what the attachment shall be is a change, too: with that the volume's top may come into force.
 * A report that does not count (another owner's, an older one) must not come here.
 */
export function applyVolumes(known: readonly KnownAttachment[], report: Report, before: Before): AttachmentChange[] {
  const had = new Map((report.volumes ?? []).map((volume) => [volume.id as string, volume]));
  const copies = new Map((report.copies ?? []).map((copy) => [copy.volumeId as string, copy]));
  return known.flatMap((row) => {
    const volume = had.get(row.volume_id);
    const copy = copies.get(row.volume_id);
    const heard = report.generation >= row.server_generation;
    const gone = !volume && heard && row.desired_presence === 'absent';
    const leaves = heard && row.desired_presence === 'absent' && settled.has(report.state);
    const told = before.generation >= row.server_generation && settled.has(before.state);
    const change: AttachmentChange = {
      ...{ id: row.id, gone, observed_state: volume?.state ?? null },
      ...{ observed_layer_id: volume?.layerId ?? null, observed_size_bytes: volume?.sizeBytes ?? null },
      ...{ observed_copy_id: copy?.id ?? null, observed_copy: copy ? { state: copy.state, error: copy.error } : null },
      ...{ observed_full: volume?.full === true, fills: volume?.full === true && !row.observed_full },
      holds: leaves && !told && volume?.state === 'releasing',
      attached: row.attached || volume !== undefined || (heard && restful.has(report.state)),
    };
    const news = heard && before.generation < row.server_generation;
    return gone || news || change.holds || differs(row, change) ? [change] : [];
  });
}

const differs = (row: KnownAttachment, change: AttachmentChange): boolean =>
  row.observed_state !== change.observed_state ||
  row.observed_layer_id !== change.observed_layer_id ||
  row.observed_size_bytes !== change.observed_size_bytes ||
  row.observed_full !== change.observed_full ||
  row.observed_copy_id !== change.observed_copy_id ||
  !isDeepStrictEqual(row.observed_copy, change.observed_copy) ||
  row.attached !== change.attached;

const full = 'There is no room for what its server writes to it: the server stands still, and goes on when there is.';
const held =
  'The guest of its server was asked to let go of it and has not: it is free when the guest does, or else when it is rebooted or stopped.';

/** What its owner is told in a message, as of something that failed. */
const tidings = ({ fills, holds }: AttachmentChange) =>
  fills
    ? { verb: 'write', code: 'no_capacity', words: full }
    : holds
      ? { verb: 'detach', code: 'unavailable', words: held }
      : null;

/**
 * Writes it, tells those whose volumes have become full, or whose guests do not let go of them, and wakes whoever waits for it ({@link wakeOf}).
 * That one is full is not told again within an hour, until somebody has read it; that one is held once of each attachment.
 */
export async function recordVolumes(tx: Tx, changes: readonly AttachmentChange[]): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map(({ fills, holds, ...change }) => {
    const message = tidings({ fills, holds, ...change });
    return { ...change, ...message, message_id: message && newOrderedId() };
  });
  await sql`
    with p as (select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as p(id uuid, gone boolean, observed_state text,
        observed_layer_id uuid, observed_size_bytes bigint, observed_full boolean, observed_copy_id uuid, observed_copy jsonb, message_id uuid, verb text, code text, words text, attached boolean)),
    told as (
      insert into operation (id, project_id, resource_type, resource_id, verb, generation, state, owner, deadline,
        error_code, error_message, actor_id, request_id, finished_at)
      select p.message_id, v.project_id, 'volume', v.id, p.verb, v.generation, 'failed', 'control', now(), p.code, p.words,
        ${cloudActor.actorId}, ${cloudActor.requestId}, now()
      from p join volume_attachment a on a.id = p.id join volume v on v.id = a.volume_id
      where p.message_id is not null and not exists (select from operation o where o.resource_id = v.id and o.verb = p.verb and case p.verb
        when 'detach' then o.created_at > a.created_at else o.dismissed_at is null and o.created_at > now() - interval '1 hour' end)),
    gone as (delete from volume_attachment a using p where a.id = p.id and p.gone returning a.volume_id),
    seen as (
      update volume_attachment a set observed_state = p.observed_state, observed_layer_id = p.observed_layer_id,
        observed_size_bytes = p.observed_size_bytes, observed_full = p.observed_full,
        observed_copy_id = p.observed_copy_id, observed_copy = nullif(p.observed_copy, 'null'::jsonb), attached_at = case when p.attached then coalesce(a.attached_at, now()) end,
        updated_at = now()
      from p where a.id = p.id and not p.gone returning a.volume_id),
    touched as (select volume_id from gone union select volume_id from seen)
    ${wakeOf(sql`touched`)}`.execute(tx);
}

/** The server has no host any more: what it shall not have is free, and nobody has the rest open. What is on its way to where it was goes on (../volume/bring.ts). */
export async function volumesLeftHost(tx: Tx, serverId: string): Promise<void> {
  await sql`
    with gone as (delete from volume_attachment where server_id = ${serverId} and desired_presence = 'absent' returning volume_id),
    left_host as (
      update volume_attachment set observed_state = null, observed_layer_id = null, observed_size_bytes = null, observed_full = false,
        observed_copy_id = null, observed_copy = null, attached_at = coalesce(attached_at, now()), updated_at = now()
      where server_id = ${serverId} and desired_presence = 'present' and target_host_id is null returning volume_id),
    touched as (select volume_id from gone union select volume_id from left_host)
    ${wakeOf(sql`touched`)}`.execute(tx);
}

/**
 * Whom it concerns that a volume, of these, is had otherwise than before: itself, and what was made of it whose content is not complete yet.
 * @param touched a table with `volume_id`
 */
export const wakeOf = (touched: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select enqueue('volume', volume_id::text, now()) from ${touched}
  union all select enqueue('volume_snapshot', n.id::text, now()) from volume_snapshot n
    where n.ready_at is null and n.volume_id in (select volume_id from ${touched})
  union all select enqueue('volume_replica', r.volume_id::text, now()) from volume_replica r
    where (r.round_began_at is not null or r.copy_state is not null or r.synchronous) and r.volume_id in (select volume_id from ${touched})
  union all select enqueue('volume', c.id::text, now()) from volume c
    where c.launched_at is null and c.source_volume_id in (select volume_id from ${touched})`;

/** The rows of a server that is taken up from the document that its host has. Each in the caller's transaction. */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { DesiredServer } from '../../../contract/host/index.ts';
import { newOrderedId, parseId } from '../../../contract/ids.ts';
import type { QuarantinedServerRow } from '../../host/index.ts';
import { recoverProject } from '../../identity/recovered-project.ts';
import type { Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { recoverPorts } from '../../network/recovered-ports.ts';
import { recoverAttachments } from '../../storage/recovery/index.ts';
import { recoveredHardware } from '../hardware/index.ts';
import type {
  FlavorSnapshot,
  KeySnapshot,
  LocalDisk,
  ServerImage,
  ServerMachine,
  ServerRescue,
} from '../server/index.ts';
import { comeToNothing, forgetKept, localGib, replacePersonality } from '../server/index.ts';
import { migrationsOf } from '../server-migration/index.ts';

type Held = QuarantinedServerRow & { document: DesiredServer };

/** The row follows the document, above its generation, and is this host's. */
export async function raiseServer(tx: Tx, held: Held, presence: 'present' | 'absent'): Promise<void> {
  const { document: server, host_id: hostId } = held;
  await forgetMove(tx, server);
  await sql`
    update server set host_id = ${hostId}, epoch = greatest(epoch, ${server.epoch}::bigint),
      generation = greatest(generation, ${server.generation}::bigint) + 1, desired_presence = ${presence},
      desired_power = ${server.power}, desired_rescue = ${rescueOf(server)}::jsonb, desired_shelve = null,
      desired_root = ${rootOf(server)}::jsonb, desired_reboot_count = ${server.reboot.count},
      desired_reboot_type = ${server.reboot.type}, observed_reboot_count = least(observed_reboot_count, ${server.reboot.count}),
      observed_state = ${held.guest ? 'running' : 'stopped'}, observed_power = ${held.guest ? 'on' : 'off'},
      launched_at = coalesce(launched_at, ${server.createdAt}::timestamptz), fault = null, updated_at = now(),
      machine = coalesce(${machineOf(server)}::jsonb, machine), vcpus = ${server.vcpus}, memory_mib = ${server.memoryMiB}, disk_gib = ${server.diskGiB},
      root_tag = ${server.rootTag ?? null}, local_disks = ${localDisksOf(server).json}::jsonb, local_gib = ${localDisksOf(server).gib},
      name = case when ${presence} = 'present' then ${server.name} else name end,
      hostname = case when ${presence} = 'present' then ${server.hostname} else hostname end,
      metadata = case when ${presence} = 'present' then ${JSON.stringify(server.metadata)}::jsonb else metadata end
    where id = ${server.id}`.execute(tx);
  if (presence === 'present') {
    const { rows } = await sql<{ project_id: string; generation: number }>`select project_id, generation from server
      where id = ${server.id}`.execute(tx);
    const { generation } = rows[0]!;
    await recoverAttachments(tx, { id: server.id, generation, guest: held.guest }, server.volumes ?? []);
    await recoverPorts(tx, { projectId: rows[0]!.project_id, serverId: server.id, hostId, ports: server.ports });
  }
  await enqueue(tx, 'server', server.id);
}

/** A move that the database remembers and the document does not: it came to its end in the history that is lost. */
async function forgetMove(tx: Tx, { id, incoming, outgoing }: DesiredServer): Promise<void> {
  const move = (await migrationsOf(tx, [id])).get(id);
  if (!move || move.id === incoming?.id || move.id === outgoing?.id) return;
  if (move.phase === 'moved' || move.phase === 'reverting') {
    // Where it went back to since, what was kept is its own under a newer epoch, and an absence of the old one is nothing to it.
    await forgetKept(tx, move);
    await sql`update server set desired_move = null where id = ${id}`.execute(tx);
    return;
  }
  const error = { code: 'unavailable', message: 'the database is older than its end' };
  await comeToNothing(tx, move, { ended: 'failed', error });
}

export async function remakeServer(tx: Tx, held: Held): Promise<void> {
  const { document: server, host_id: hostId } = held;
  await recoverProject(tx, server.projectId);
  const flavor = await flavorOf(tx, server);
  const image: ServerImage | null = server.image && {
    ...{ format: server.image.format, size_bytes: server.image.sizeBytes, sha256: server.image.sha256 },
  };
  const keys: KeySnapshot[] = server.keys.map(({ name, publicKey, type }) => ({ name, public_key: publicKey, type }));
  await sql`
    insert into server (id, project_id, user_id, name, hostname, image_id, image, flavor_id, flavor, vcpus, memory_mib, disk_gib, local_disks, local_gib, root_tag,
      key_name, keys, config_drive, metadata, reservation_id, host_id, epoch, generation, desired_power, desired_rescue,
      desired_reboot_count, desired_reboot_type, observed_state, observed_power, launched_at, hardware, machine, boot_roles, created_at)
    values (${server.id}, ${server.projectId}, ${parseId(server.userId) ?? nobody}, ${server.name}, ${server.hostname},
      ${server.image?.id ?? null}, ${image && JSON.stringify(image)}::jsonb, ${flavor.row}, ${JSON.stringify(flavor.snapshot)}::jsonb,
      ${server.vcpus}, ${server.memoryMiB}, ${server.diskGiB}, ${localDisksOf(server).json}::jsonb, ${localDisksOf(server).gib}, ${server.rootTag ?? null}, ${keys[0]?.name ?? null}, ${JSON.stringify(keys)}::jsonb,
      ${server.configDrive}, ${JSON.stringify(server.metadata)}::jsonb, ${server.reservationId ?? `r-${randomBytes(4).toString('hex')}`}, ${hostId},
      ${server.epoch}, ${server.generation + 1}, ${server.power}, ${rescueOf(server)}::jsonb, ${server.reboot.count}, ${server.reboot.type},
      ${held.guest ? 'running' : 'stopped'}, ${held.guest ? 'on' : 'off'}, ${server.createdAt}, ${JSON.stringify(recoveredHardware(server.hardware))}::jsonb,
      ${machineOf(server)}::jsonb, ${server.bootRoles ?? null}::text[], ${server.createdAt})`.execute(tx);
  if (server.userData !== null) {
    await sql`insert into server_user_data (server_id, user_data) values (${server.id}, ${server.userData})`.execute(
      tx,
    );
  }
  await replacePersonality(tx, server.id, server.files ?? []);
  const generation = server.generation + 1;
  await recoverAttachments(tx, { id: server.id, generation, guest: held.guest }, server.volumes ?? []);
  await recoverPorts(tx, { projectId: server.projectId, serverId: server.id, hostId, ports: server.ports });
}

/** What its disk is made of; it may have been unshelved, or rebuilt, since the database was copied. */
function rootOf({ image }: DesiredServer): string | null {
  if (!image) return null;
  const { id, format, sizeBytes, sha256 } = image;
  return JSON.stringify({ image_id: id, image: { format, size_bytes: sizeBytes, sha256 } });
}

function rescueOf({ rescue }: DesiredServer): string | null {
  if (!rescue) return null;
  const { id, format, sizeBytes, sha256 } = rescue.image;
  const known: ServerRescue = { count: rescue.count, image_id: id, image: { format, size_bytes: sizeBytes, sha256 } };
  return JSON.stringify(known);
}

/** Which of them a request gave, only the database knew: as they are, they stay. */
function localDisksOf({ localDisks = [] }: DesiredServer): { json: string; gib: number } {
  const disks: LocalDisk[] = localDisks.map(({ name, sizeMiB, format, tag }) => ({
    ...{ name, size_mib: sizeMiB, format, given: true },
    ...(tag !== undefined && { tag }),
  }));
  return { json: JSON.stringify(disks), gib: localGib(disks) };
}

const machineOf = ({ machine }: DesiredServer): string | null =>
  machine
    ? JSON.stringify({
        type: machine.type,
        cpu_model: machine.cpuModel,
        layout: machine.layout,
      } satisfies ServerMachine)
    : null;

/** Of whoever it was. */
export const nobody = '00000000-0000-0000-0000-000000000000';

/** A flavor of the same size, or the size alone: flavors are known to the database only. */
async function flavorOf(tx: Tx, server: DesiredServer): Promise<{ row: string; snapshot: FlavorSnapshot }> {
  const { vcpus, memoryMiB: memory_mib, diskGiB: disk_gib } = server;
  const { rows } = await sql<{
    row: string;
    id: string;
    name: string;
  }>`select id as row, flavor_id as id, name from flavor
    where vcpus = ${vcpus} and memory_mib = ${memory_mib} and disk_gib = ${disk_gib} order by id limit 1`.execute(tx);
  const { row, ...known } = rows[0] ?? {
    row: newOrderedId(),
    id: 'recovered',
    name: `recovered-${vcpus}-${memory_mib}-${disk_gib}`,
  };
  const snapshot = { ...known, vcpus, memory_mib, disk_gib, ephemeral_gib: 0, swap_mib: 0, extra_specs: {} };
  return { row, snapshot };
}

/** The host shall have nothing of it: an absence that is newer than anything that the host knows. */
export async function endServer(tx: Tx, held: QuarantinedServerRow): Promise<void> {
  const { epoch, generation } = held.document ?? { epoch: 0, generation: 0 };
  await sql`insert into server_absence (host_id, server_id, epoch, generation)
    values (${held.host_id}, ${held.server_id}, ${epoch}, ${generation + 1})
    on conflict (host_id, server_id) do update set epoch = greatest(server_absence.epoch, excluded.epoch),
      generation = greatest(server_absence.generation, excluded.generation)`.execute(tx);
}

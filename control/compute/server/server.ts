/** A server: its row, and its name. What follows from the row is in states.ts, when each verb is legal in legal.ts. Pure. */

import type { Selectable } from 'kysely';
import type { ServerVolume } from '../../storage/server-volume/index.ts';
import type { ServerFault } from './snapshots.ts';
import type { ServerState } from './states.ts';
import type { ServerTable } from './tables.ts';

export const faultOf = (reason: ServerFault['reason'], message: string, generation: number): ServerFault => ({
  reason,
  message,
  at: new Date().toISOString(),
  generation,
});

/** The whole row, as the store reads it. */
export type ServerRow = Selectable<ServerTable>;

/** What lists read of a row, with what is known of its host; `deleted_at` only where deleted servers were asked for. */
export interface ListedServer extends ServerState, Pick<ServerRow, (typeof listedColumns)[number]> {
  host_name: string | null;
  host_zone: string | null;
  host_connected: boolean | null;
  host_enabled: boolean | null;
  host_forced_down: boolean | null;
  /** In the order in which it got them. */
  volumes: Pick<ServerVolume, 'volume_id' | 'delete_on_termination'>[];
  deleted_at: Date | null;
}

/** Beside those that the states are made of. The others are its host's, and much of the row. */
export const listedColumns = [
  ...(['id', 'project_id', 'user_id', 'name', 'description', 'hostname', 'image_id', 'flavor', 'key_name'] as const),
  ...(['config_drive', 'metadata', 'tags', 'availability_zone', 'access_ipv4', 'access_ipv6', 'disk_config'] as const),
  ...(['server_group_id'] as const),
  ...(['locked', 'locked_reason', 'reservation_id', 'launch_index', 'created_at', 'updated_at'] as const),
] as const;

/** The whole row, with the same. */
export type ShownServer = ServerRow & ListedServer;

/** It has no disk of its own, and boots from a volume. */
export const isVolumeBacked = ({ image_id }: Pick<ServerRow, 'image_id'>): boolean => image_id === null;

/** A DNS label made from a name of any script, as Nova's sanitize_hostname makes it; the id helps where nothing is left. */
export function hostnameFrom(name: string, id: string): string {
  const label = name
    .slice(0, 63)
    .replace(/[ _.]/g, '-')
    .replace(/[^A-Za-z0-9-]+/g, '')
    .toLowerCase()
    .replace(/^[.-]+|[.-]+$/g, '');
  return label === '' ? `server-${id}` : label;
}

/** How long a create may take before the server shows ERROR; each action has its own (actions/). */
export const createDeadlineMs = 10 * 60_000;

/** How long the host of a server that shall go is waited for while it is away; then the row goes without its word. */
export const deleteDeadlineMs = 60_000;

/** A host that is away for less than this is waited for: its process or ours is being restarted. */
export const hostAwayMs = 30_000;

/** A connected host that keeps failing to remove a guest is waited for this long; then it is its own affair (server_absence). */
export const stubbornHostMs = 5 * 60_000;

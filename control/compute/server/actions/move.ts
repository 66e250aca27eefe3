/**
 * A server's way to another host: cold, live, and from a host that is dead. Each is checked as Nova checks it, and refused with the
 * reason: no host can take over another's disks yet.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../../contract/errors.ts';
import { requireAdmin } from '../../../kit/caller.ts';
import type { ServerRow } from '../server.ts';
import { type ActionWork, bytesMs, type ServerAction } from './action.ts';

export interface MoveWish {
  /** The name of the host that it shall go to; null: any. */
  host: string | null;
}

interface Where {
  /** The server's own. */
  name: string | null;
  /** Nor said to be down. */
  up: boolean | null;
  others: number;
  /** There is one of the name that was asked for. */
  known: boolean;
}

async function look({ tx }: ActionWork, server: ServerRow, host: string | null): Promise<Where> {
  const { rows } = await sql<Where>`select
    (select name from host where id = ${server.host_id}) as name,
    (select connected and not forced_down from host where id = ${server.host_id}) as up,
    (select count(*)::integer from host where id is distinct from ${server.host_id} and connected and enabled
      and not forced_down) as others,
    exists (select from host where name = ${host}::text) as known`.execute(tx);
  return rows[0]!;
}

const nowhere = (server: ServerRow, others: number): CloudError =>
  new CloudError('invalid', others === 0 ? 'no_other_host' : 'move_not_offered', { id: server.id });

export const migrate: ServerAction<MoveWish> = {
  verb: 'migrate',
  doing: 'migrate a server',
  needs: 'manager',
  deadlineMs: bytesMs,
  async decide(work, server, { host }) {
    if (host !== null) requireAdmin(work.caller, 'migrate a server to a host of one’s choice');
    const where = await look(work, server, host);
    if (host !== null && !where.known) throw new CloudError('invalid', 'host_not_found', { id: host });
    if (host !== null && host === where.name) throw new CloudError('invalid', 'move_to_same_host', { host });
    throw nowhere(server, where.others);
  },
};

export const liveMigrate: ServerAction<MoveWish> = {
  ...migrate,
  verb: 'live-migration',
  call: 'os-migrateLive',
  doing: 'migrate a server live',
};

export const evacuate: ServerAction<MoveWish> = {
  verb: 'evacuate',
  doing: 'evacuate a server',
  needs: 'admin',
  deadlineMs: bytesMs,
  async decide(work, server, { host }) {
    const where = await look(work, server, host);
    if (host !== null && !where.known) throw new CloudError('not_found', 'host_not_found', { id: host });
    if (host !== null && host === where.name) throw new CloudError('invalid', 'move_to_same_host', { host });
    if (where.up) throw new CloudError('invalid', 'host_still_in_use', { host: where.name ?? '' });
    throw nowhere(server, where.others);
  },
};

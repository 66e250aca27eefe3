/**
 * A host leaves the cloud for good, in one transaction: its row, and with it its stream (`control/host/streams.ts`), its gateways
 * (`control/network/ovn/hosts.ts`) and its places in aggregates.
 *
 * Never takes anything along that is nowhere else: a host with servers, volumes or the last copy of an image stays; of what was deleted, and
 * which it never said is gone, nobody waits any longer. What is left on its disk
 * nobody erases, here or there: a host without a row is told nothing. It may come back under its certificate only when it is made known
 * again ({@link registerHost}), which the host of a control process is at each start; then it begins anew.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { forgetHostImages } from '../../image/host-gone.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { forgetHostLayers } from '../../storage/layer/index.ts';

interface Ties {
  servers: boolean;
  /** Of which the database knows nothing, but the host. */
  quarantined: boolean;
  volumes: boolean;
  /** One of those that are nowhere else. */
  image: string | null;
}

/** @throws CloudError `not_found`, `conflict` */
export async function removeHost(tx: Tx, id: string): Promise<void> {
  // Nobody gives it anything from here on: whoever refers to its row waits, and then finds none.
  const { rows } = await sql<{ name: string; up: boolean }>`
    select name, connected and not forced_down as up from host where id = ${id} for update`.execute(tx);
  const host = rows[0];
  if (!host) throw notFound('host', id);
  const refuse = (reason: 'host_carries_servers' | 'host_in_quarantine' | 'host_keeps_volumes' | 'host_is_up') =>
    new CloudError('conflict', reason, { host: host.name });
  // What it has was to be read after the lock, by a statement of its own.
  const ties = await readTies(tx, id);
  if (ties.servers) throw refuse('host_carries_servers');
  if (ties.quarantined) throw refuse('host_in_quarantine');
  if (ties.volumes) throw refuse('host_keeps_volumes');
  if (ties.image !== null) throw new CloudError('conflict', 'host_keeps_image', { host: host.name, image: ties.image });
  if (host.up) throw refuse('host_is_up');
  await forgetHostImages(tx, id);
  await forgetHostLayers(tx, id);
  await sql`delete from host where id = ${id}`.execute(tx);
}

async function readTies(tx: Tx, id: string): Promise<Ties> {
  const { rows } = await sql<Ties>`select
    exists (select from server where host_id = ${id}) or exists (select from port where host_id = ${id}) as servers,
    exists (select from quarantined_server where host_id = ${id})
      or exists (select from quarantined_layer where host_id = ${id}) as quarantined,
    exists (select from volume where host_id = ${id} or pool_id in (select id from storage_pool where host_id = ${id})) or exists (select from volume_layer where host_id = ${id}
      and desired_presence = 'present') as volumes,
    (select l.image_id from image_location l join image i on i.id = l.image_id
      where l.host_id = ${id} and i.desired_presence = 'present' and i.status <> 'queued'
        and not exists (select from image_location o where o.image_id = l.image_id and o.host_id <> ${id})
      limit 1) as image`.execute(tx);
  return rows[0]!;
}

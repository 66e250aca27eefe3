/**
 * A host leaves the cloud for good, in one transaction: its row, and with it its stream (`control/host/streams.ts`), its gateways
 * (`control/network/ovn/hosts.ts`) and its places in aggregates.
 *
 * Never takes anything along that is nowhere else: a host with servers, or with one on its way to it or from it, volumes, objects or the last copy of an image stays; of what was deleted, and
 * which it never said is gone, nobody waits any longer. What is left on its disk
 * nobody erases, here or there: a host without a row is told nothing. It may come back under its certificate only when it is made known
 * again ({@link registerHost}), which the host of a control process is at each start; then it begins anew.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { forgetHostImages } from '../../image/host-gone.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { forgetHostDisks } from '../../object/host-gone.ts';
import { forgetHostLayers } from '../../storage/layer/index.ts';
import { forgetHostReplicas } from '../../storage/replica/index.ts';

/** Names or, of what has none, ids, of some. */
interface Ties {
  servers: string[];
  /** Of which the database knows nothing, but the host. */
  quarantined: boolean;
  volumes: string[];
  /** One of those that are nowhere else. */
  image: string | null;
}

/** @param options byItself: the host asks, which is up until it is gone @throws CloudError `not_found`, `conflict` */
export async function removeHost(tx: Tx, id: string, { byItself = false } = {}): Promise<void> {
  // One after the other: of two that go at once each would see the other's copy of an image, and neither would be left.
  await sql`select pg_advisory_xact_lock(hashtextextended('remove host', 0))`.execute(tx);
  // Nobody gives it anything from here on: whoever refers to its row waits, and then finds none.
  const { rows } = await sql<{ name: string; up: boolean }>`
    select name, connected and not forced_down as up from host where id = ${id} for update`.execute(tx);
  const host = rows[0];
  if (!host) throw notFound('host', id);
  const refuse = (reason: 'host_in_quarantine' | 'host_is_up' | 'host_keeps_objects') =>
    new CloudError('conflict', reason, { host: host.name });
  const refuseFor = (reason: 'host_carries_servers' | 'host_keeps_volumes', names: string[]) =>
    new CloudError('conflict', reason, { host: host.name, names });
  // What it has was to be read after the lock, by a statement of its own.
  const ties = await readTies(tx, id);
  if (ties.servers.length > 0) throw refuseFor('host_carries_servers', ties.servers);
  if (ties.quarantined) throw refuse('host_in_quarantine');
  if (ties.volumes.length > 0) throw refuseFor('host_keeps_volumes', ties.volumes);
  if (ties.image !== null) throw new CloudError('conflict', 'host_keeps_image', { host: host.name, image: ties.image });
  if (host.up && !byItself) throw refuse('host_is_up');
  if (!(await forgetHostDisks(tx, id))) throw refuse('host_keeps_objects');
  await forgetHostImages(tx, id);
  await forgetHostLayers(tx, id);
  await forgetHostReplicas(tx, id);
  await sql`delete from host where id = ${id}`.execute(tx);
}

async function readTies(tx: Tx, id: string): Promise<Ties> {
  const { rows } = await sql<Ties>`select
    coalesce(nullif(array(select coalesce(nullif(name, ''), id::text) from server where host_id = ${id}
        or id = any(array(select server_id from server_migration where other_host_id = ${id})) limit 5), '{}'),
      array(select 'port ' || id from port where host_id = ${id} limit 5)) as servers,
    exists (select from quarantined_server where host_id = ${id})
      or exists (select from quarantined_layer where host_id = ${id}) as quarantined,
    array(select coalesce(nullif(name, ''), id::text) from volume
      where host_id = ${id} or pool_id = any(array(select id from storage_pool where host_id = ${id}))
      union all select 'layer ' || id from volume_layer where host_id = ${id} and desired_presence = 'present' limit 5) as volumes,
    (select l.image_id from image_location l join image i on i.id = l.image_id
      where l.host_id = ${id} and i.desired_presence = 'present' and i.status <> 'queued'
        and not exists (select from image_location o where o.image_id = l.image_id and o.host_id <> ${id})
      limit 1) as image`.execute(tx);
  return rows[0]!;
}

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { type HostWish, unmet } from '../placement/host-wish.ts';
import { natureOf } from '../placement/nature.ts';
import type { ServerHardware } from './server-hardware.ts';

/**
 * What not every host can, or is: the machine type that the image asks for, limits of processor time, traits and aggregates.
 * @param hostId the one that it is on; null: any
 * @throws CloudError `invalid` where none can
 */
export async function requireAbleHost(
  tx: Tx,
  { machine_type: type, cpuLimits, host_wish: wish }: ServerHardware,
  hostId: string | null,
): Promise<void> {
  const some = async (able: ReturnType<typeof sql>) => {
    const { rows } = await sql`select from host where ${able}
      and (${hostId}::uuid is null or id = ${hostId}::uuid) limit 1`.execute(tx);
    return rows.length > 0;
  };
  if (type !== undefined && !(await some(sql`facts #> '{machine,types}' ? ${type}`)))
    throw new CloudError('invalid', 'machine_type_unserved', { type });
  // Of a server that has a host; for one that has none placement looks.
  if (wish && hostId !== null) await requireNature(tx, hostId, wish);
  if (cpuLimits && !(await some(sql`facts @> '{"cpuLimits":true}'`))) {
    const [name, value] =
      cpuLimits.shares === undefined ? ['quota:cpu_quota', cpuLimits.quotaUs] : ['quota:cpu_shares', cpuLimits.shares];
    const fields = { of: 'flavor', name: String(name), value: String(value), why: 'no_cpu_groups' } as const;
    throw new CloudError('invalid', 'hardware_unserved', fields);
  }
}

async function requireNature(tx: Tx, hostId: string, wish: HostWish): Promise<void> {
  const { missing, forbidden, elsewhere } = unmet((await natureOf(tx, hostId)) ?? {}, wish);
  const [name, value] =
    [
      ...missing.map((trait) => [`trait:${trait}`, 'required']),
      ...forbidden.map((trait) => [`trait:${trait}`, 'forbidden']),
    ][0] ??
    elsewhere.map((key) => [`aggregate_instance_extra_specs:${key}`, wish.aggregate![key]!])[0] ??
    [];
  if (name === undefined || value === undefined) return;
  throw new CloudError('invalid', 'hardware_unserved', {
    of: 'flavor',
    name,
    value: value.slice(0, 255),
    why: 'other_host',
  });
}

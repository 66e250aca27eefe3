import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { ServerHardware } from './server-hardware.ts';

/**
 * What not every host can: the machine type that the image asks for, limits of processor time.
 * @param hostId the one that it is on; null: any
 * @throws CloudError `invalid` where none can
 */
export async function requireAbleHost(
  tx: Tx,
  { machine_type: type, cpuLimits }: ServerHardware,
  hostId: string | null,
): Promise<void> {
  const some = async (able: ReturnType<typeof sql>) => {
    const { rows } = await sql`select from host where ${able}
      and (${hostId}::uuid is null or id = ${hostId}::uuid) limit 1`.execute(tx);
    return rows.length > 0;
  };
  if (type !== undefined && !(await some(sql`facts #> '{machine,types}' ? ${type}`)))
    throw new CloudError('invalid', 'machine_type_unserved', { type });
  if (cpuLimits && !(await some(sql`facts @> '{"cpuLimits":true}'`))) {
    const [name, value] =
      cpuLimits.shares === undefined ? ['quota:cpu_quota', cpuLimits.quotaUs] : ['quota:cpu_shares', cpuLimits.shares];
    const fields = { of: 'flavor', name: String(name), value: String(value), why: 'no_cpu_groups' } as const;
    throw new CloudError('invalid', 'hardware_unserved', fields);
  }
}

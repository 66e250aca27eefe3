import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { ServerHardware } from './server-hardware.ts';

/** @param hostId the one that it is on; null: any. @throws CloudError `invalid` where none has the machine type that the image asks for */
export async function requireMachineType(
  tx: Tx,
  { machine_type: type }: ServerHardware,
  hostId: string | null,
): Promise<void> {
  if (type === undefined) return;
  const { rows } = await sql`select from host where facts #> '{machine,types}' ? ${type}
    and (${hostId}::uuid is null or id = ${hostId}::uuid) limit 1`.execute(tx);
  if (rows.length === 0) throw new CloudError('invalid', 'machine_type_unserved', { type });
}

/**
 * A live migration that is under way is called off, or made to end whatever it costs its guest: what people may do is Nova's
 * (nova/compute/api.py, live_migrate_abort and live_migrate_force_complete).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../../contract/errors.ts';
import type { ServerId } from '../../../../contract/ids.ts';
import { actorOf, type Caller, requireManager } from '../../../kit/caller.ts';
import { recordOperation } from '../../../kit/operation/operations.ts';
import type { Migration } from '../../server-migration/index.ts';
import { requireLegal } from '../legal.ts';
import { callOff } from '../migration-end.ts';
import { type ActionDependencies, onLockedServer } from './action.ts';

export interface MigrationChoice {
  /** Nova's number of it. */
  number: number;
  /** It may also be called off before anything was sent, as from 2.65 on. */
  early: boolean;
}

type Steered = Pick<Migration, 'id' | 'kind' | 'phase'> & { ended: string | null };

/** @throws CloudError `forbidden`; `not_found`; `invalid` where it is not so far, or over */
export async function abortMigration(
  deps: ActionDependencies,
  caller: Caller,
  id: ServerId,
  { number, early }: MigrationChoice,
): Promise<void> {
  const steps = early
    ? ['preparing', 'copying', 'handing-over', 'cancelling']
    : ['copying', 'handing-over', 'cancelling'];
  await steer(deps, caller, id, { number, steps, call: 'abort live migration' }, async (tx) => {
    await callOff(tx, id, 'The migration was called off.');
  });
}

/** As {@link abortMigration}. */
export async function forceMigration(
  deps: ActionDependencies,
  caller: Caller,
  id: ServerId,
  { number }: Pick<MigrationChoice, 'number'>,
): Promise<void> {
  const steps = ['copying', 'handing-over'];
  await steer(deps, caller, id, { number, steps, call: 'force complete' }, async (tx, migration) => {
    await sql`update server_migration set forced = true, updated_at = now() where id = ${migration.id}`.execute(tx);
  });
}

async function steer(
  deps: ActionDependencies,
  caller: Caller,
  id: ServerId,
  wish: { number: number; steps: readonly string[]; call: string },
  work: (tx: Parameters<typeof callOff>[0], migration: Steered) => Promise<void>,
): Promise<void> {
  await onLockedServer(deps, caller, id, `${wish.call} of a server`, async (tx, server) => {
    requireManager(caller, `${wish.call} of a server`);
    const migration = String(wish.number);
    const { rows } = await sql<Steered>`select id, kind, phase, ended from server_migration
      where server_id = ${id} and number = ${wish.number}`.execute(tx);
    const found = rows[0];
    if (!found) throw new CloudError('not_found', 'migration_not_found', { id, migration });
    const status = statusOf(found);
    if (found.kind !== 'live-migration' || found.ended !== null || !wish.steps.includes(found.phase)) {
      throw new CloudError('invalid', 'migration_state', { id, migration, status, call: wish.call });
    }
    requireLegal(server, 'steer_migration', wish.call);
    await work(tx, found);
    const about = {
      projectId: server.project_id,
      resourceType: 'server',
      resourceId: id,
      generation: server.generation,
    };
    const verb = wish.call === 'force complete' ? 'live_migration_force_complete' : 'live_migration_cancel';
    await recordOperation(tx, actorOf(caller), { ...about, verb });
  });
}

const statusOf = ({ ended, phase }: Steered): string => ended ?? (phase === 'preparing' ? 'preparing' : 'running');

/**
 * Subnet pools: the operations that the dialects may call. Each is one transaction that holds the pool's row, and its address scope's
 * where prefixes of others matter. Subnets are cut out of pools in allocate.ts.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { sees } from '../access.ts';
import { share } from '../rbac-policy/share.ts';
import { onboard } from './onboard.ts';
import { subnetPool as descriptor } from './resource.ts';
import { grownPrefixes, type PrefixLengths, readPrefixes, readPrefixLengths } from './rules.ts';
import { checkScope } from './scope.ts';
import { haveCommon, minus } from './space.ts';
import { type SubnetPoolRow, subnetPoolListing } from './subnet-pool.ts';

export interface SubnetPoolWish extends PrefixLengths {
  project_id?: string;
  name?: string;
  description?: string;
  prefixes: string[];
  default_quota?: number | null;
  is_default?: boolean;
  shared?: boolean;
  address_scope_id?: string | null;
}

export type SubnetPoolPatch = Omit<Partial<SubnetPoolWish>, 'project_id' | 'shared'>;

export class SubnetPoolService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<SubnetPoolRow[]> {
    return listRows(this.#database.query, caller, subnetPoolListing, query);
  }

  read(caller: Caller, id: string): Promise<SubnetPoolRow> {
    return readRow(this.#database.query, caller, subnetPoolListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly SubnetPoolWish[]): Promise<SubnetPoolRow[]> {
    const rows = wishes.map((wish) => {
      const project_id = projectFor(caller, wish.project_id, 'create_subnetpool');
      for (const attribute of ['shared', 'is_default'] as const) {
        if (wish[attribute] && !isAdmin(caller)) throw forbidden('create_subnetpool', attribute);
      }
      const read = readPrefixes(wish.prefixes);
      return {
        ...wish,
        ...read,
        ...readPrefixLengths(read.ip_version, wish),
        id: newId(),
        project_id,
        default_quota: wish.default_quota ?? null,
        address_scope_id: wish.address_scope_id ?? null,
      };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const byProject = Map.groupBy(rows, (row) => row.project_id);
      for (const project of [...byProject.keys()].sort()) {
        await checkQuota(tx, project, descriptor.usage, { subnet_pools: byProject.get(project)!.length });
      }
      const byScope = rows.toSorted((a, b) => ((a.address_scope_id ?? '') < (b.address_scope_id ?? '') ? -1 : 1));
      for (const row of byScope) {
        await checkScope(tx, caller, row);
        await tx.insertInto('subnet_pool').values(row).execute().catch(refuseSecondDefault);
      }
      await share(
        tx,
        'subnet_pool',
        rows.filter(({ shared }) => shared),
      );
      return listMade(
        tx,
        caller,
        subnetPoolListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async update(caller: Caller, id: string, patch: SubnetPoolPatch): Promise<SubnetPoolRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockPool(tx, caller, id, 'update_subnetpool');
      if (patch.is_default !== undefined && patch.is_default !== now.is_default && !isAdmin(caller)) {
        throw forbidden('update_subnetpool', 'is_default');
      }
      const prefixes = patch.prefixes === undefined ? now.prefixes : grownPrefixes(now, patch.prefixes);
      const lengths = readPrefixLengths(now.ip_version, { ...now, ...defined(patch) });
      const scope = patch.address_scope_id === undefined ? now.address_scope_id : patch.address_scope_id;
      if (scope !== now.address_scope_id || prefixes !== now.prefixes) {
        await checkScope(tx, caller, { ...now, prefixes, address_scope_id: scope }, now.address_scope_id);
      }
      await tx
        .updateTable('subnet_pool')
        .set({ ...defined(patch), ...lengths, prefixes, ...touched })
        .where('id', '=', id)
        .execute()
        .catch(refuseSecondDefault);
      return readRow(tx, caller, subnetPoolListing, id);
    });
  }

  /** Refused while subnets are of it. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPool(tx, caller, id, 'delete_subnetpool');
      await sql`delete from subnet_pool where id = ${id}`.execute(tx).catch((error: unknown) => {
        if (violatedConstraint(error) === undefined) throw error;
        throw new CloudError('invalid', 'subnet_pool_has_allocations', { id });
      });
    });
  }

  /** Answers the prefixes that the pool has then. */
  async addPrefixes(caller: Caller, id: string, prefixes: readonly string[]): Promise<string[]> {
    return this.#changePrefixes(caller, id, 'add_prefixes', async (now) =>
      prefixes.length === 0 ? now.prefixes : grownPrefixes(now, [...now.prefixes, ...prefixes]),
    );
  }

  /** What is not there is no fault; what subnets have stays. */
  async removePrefixes(caller: Caller, id: string, prefixes: readonly string[]): Promise<string[]> {
    return this.#changePrefixes(caller, id, 'remove_prefixes', async (now, tx) => {
      const { rows } = await sql<{ cidr: string }>`select cidr::text from subnet where subnet_pool_id = ${id}`.execute(
        tx,
      );
      const taken = rows.map(({ cidr }) => cidr);
      if (haveCommon(prefixes, taken)) {
        throw new CloudError('invalid', 'illegal_subnet_pool_prefix_update', { why: 'in_use' });
      }
      const left = minus(now.ip_version, now.prefixes, prefixes);
      if (left.length === 0) throw new CloudError('invalid', 'empty_subnet_pool_prefix_list', {});
      return left;
    });
  }

  /** The network's subnets of the pool's IP version become the pool's, with their prefixes. */
  async onboard(caller: Caller, id: string, networkId: string): Promise<{ id: string; cidr: string }[]> {
    return this.#database.transaction(actorOf(caller), async (tx) =>
      onboard(tx, caller, await lockPool(tx, caller, id, 'onboard_network_subnets'), networkId),
    );
  }

  #changePrefixes(
    caller: Caller,
    id: string,
    operation: string,
    change: (now: SubnetPoolRow, tx: Tx) => Promise<string[]>,
  ): Promise<string[]> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockPool(tx, caller, id, operation);
      const prefixes = await change(now, tx);
      if (prefixes.join() === now.prefixes.join()) return prefixes;
      await checkScope(tx, caller, { ...now, prefixes }, now.address_scope_id);
      await tx
        .updateTable('subnet_pool')
        .set({ prefixes, ...touched })
        .where('id', '=', id)
        .execute();
      return prefixes;
    });
  }
}

async function lockPool(tx: Tx, caller: Caller, id: string, operation: string): Promise<SubnetPoolRow> {
  await lockOwn<SubnetPoolRow>(tx, caller, 'subnet_pool', id, operation, {
    maySee: () => sees(tx, caller, subnetPoolListing, id),
  });
  // As it is listed: the driver gives arrays of networks as one text.
  return readRow(tx, caller, subnetPoolListing, id);
}

function refuseSecondDefault(error: unknown): never {
  if (violatedConstraint(error) !== 'subnet_pool_default') throw error;
  throw new CloudError('invalid', 'default_subnet_pool_exists', {});
}

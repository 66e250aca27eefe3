/** Address scopes: the operations that the dialects may call. Each is one transaction. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { sees } from '../access.ts';
import { share } from '../rbac-policy/share.ts';
import { type AddressScopeRow, addressScopeListing } from './address-scope.ts';

export interface AddressScopeWish {
  project_id?: string;
  name?: string;
  ip_version: 4 | 6;
  shared?: boolean;
}

export type AddressScopePatch = Pick<AddressScopeWish, 'name' | 'shared'>;

export class AddressScopeService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<AddressScopeRow[]> {
    return listRows(this.#database.query, caller, addressScopeListing, query);
  }

  read(caller: Caller, id: string): Promise<AddressScopeRow> {
    return readRow(this.#database.query, caller, addressScopeListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly AddressScopeWish[]): Promise<AddressScopeRow[]> {
    const rows = wishes.map((wish) => {
      if (wish.shared && !isAdmin(caller)) throw forbidden('create_address_scope', 'shared');
      return { ...wish, id: newId(), project_id: projectFor(caller, wish.project_id, 'create_address_scope') };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx.insertInto('address_scope').values(rows).execute();
      await share(
        tx,
        'address_scope',
        rows.filter(({ shared }) => shared),
      );
      return listMade(
        tx,
        caller,
        addressScopeListing,
        rows.map(({ id }) => id),
      );
    });
  }

  /** What was shared stays so: pools of others may be in it by now. */
  async update(caller: Caller, id: string, patch: AddressScopePatch): Promise<AddressScopeRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<AddressScopeRow>(tx, caller, 'address_scope', id, 'update_address_scope', {
        maySee: () => sees(tx, caller, addressScopeListing, id),
      });
      // As Neutron has it: who may not say it may not say what is so already, either.
      if (patch.shared !== undefined && !isAdmin(caller)) throw forbidden('update_address_scope', 'shared');
      if (patch.shared !== undefined && patch.shared !== now.shared) {
        if (now.shared) throw new CloudError('invalid', 'address_scope_stays_shared', { id });
        await share(tx, 'address_scope', [now]);
      }
      await tx
        .updateTable('address_scope')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, addressScopeListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn<AddressScopeRow>(tx, caller, 'address_scope', id, 'delete_address_scope', {
        maySee: () => sees(tx, caller, addressScopeListing, id),
      });
      await sql`delete from address_scope where id = ${id}`.execute(tx).catch((error: unknown) => {
        if (violatedConstraint(error) === undefined) throw error;
        throw new CloudError('conflict', 'address_scope_in_use', { id });
      });
    });
  }
}

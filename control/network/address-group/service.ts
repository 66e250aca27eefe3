/** Address groups: the operations that the dialects may call. Each is one transaction that holds the group's row. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { formatCidr, parseCidr } from '../../kit/address.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import { type Database, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { sees } from '../access.ts';
import { type AddressGroupRow, addressGroupListing } from './address-group.ts';

export interface AddressGroupWish {
  project_id?: string;
  name?: string;
  description?: string;
  addresses?: string[];
}

/** One OVN address set each, which every chassis reads whole. */
const maximumAddresses = 2000;

export class AddressGroupService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<AddressGroupRow[]> {
    return listRows(this.#database.query, caller, addressGroupListing, query);
  }

  read(caller: Caller, id: string): Promise<AddressGroupRow> {
    return readRow(this.#database.query, caller, addressGroupListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly AddressGroupWish[]): Promise<AddressGroupRow[]> {
    const rows = wishes.map((wish) => ({
      ...wish,
      id: newId(),
      project_id: projectFor(caller, wish.project_id, 'create_address_group'),
      addresses: ordered(wish.addresses ?? []),
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx.insertInto('address_group').values(rows).execute();
      return listMade(
        tx,
        caller,
        addressGroupListing,
        rows.map(({ id }) => id),
      );
    });
  }

  update(caller: Caller, id: string, patch: Pick<AddressGroupWish, 'name' | 'description'>): Promise<AddressGroupRow> {
    return this.#change(caller, id, 'update_address_group', () => patch);
  }

  /** None of them may be there already. */
  addAddresses(caller: Caller, id: string, addresses: readonly string[]): Promise<AddressGroupRow> {
    return this.#change(caller, id, 'update_address_group', (now) => {
      const more = addresses.map(canonical);
      const known = more.filter((address) => now.includes(address));
      if (known.length > 0) throw new CloudError('invalid', 'addresses_already_exist', { id, addresses: known });
      return { addresses: ordered([...now, ...more]) };
    });
  }

  /** All of them must be there. */
  removeAddresses(caller: Caller, id: string, addresses: readonly string[]): Promise<AddressGroupRow> {
    return this.#change(caller, id, 'update_address_group', (now) => {
      const less = new Set(addresses.map(canonical));
      const unknown = [...less].filter((address) => !now.includes(address));
      if (unknown.length > 0) throw new CloudError('not_found', 'addresses_not_found', { id, addresses: unknown });
      return { addresses: now.filter((address) => !less.has(address)) };
    });
  }

  /** Refused while rules name it. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'address_group', id, 'delete_address_group', {
        maySee: () => sees(tx, caller, addressGroupListing, id),
      });
      await sql`delete from address_group where id = ${id}`.execute(tx).catch((error: unknown) => {
        if (violatedConstraint(error) === undefined) throw error;
        throw new CloudError('conflict', 'address_group_in_use', { id });
      });
    });
  }

  #change(
    caller: Caller,
    id: string,
    operation: string,
    change: (now: readonly string[]) => AddressGroupWish,
  ): Promise<AddressGroupRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'address_group', id, operation, {
        maySee: () => sees(tx, caller, addressGroupListing, id),
      });
      const { addresses } = await readRow(tx, caller, addressGroupListing, id);
      await tx
        .updateTable('address_group')
        .set({ ...defined(change(addresses)), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, addressGroupListing, id);
    });
  }
}

const canonical = (address: string): string => formatCidr(parseCidr(address)!);

/** Each once, in an order that the same addresses always have. @throws CloudError `invalid` */
function ordered(addresses: readonly string[]): string[] {
  const unique = [...new Set(addresses.map(canonical))].sort();
  if (unique.length > maximumAddresses) {
    throw new CloudError('invalid', 'too_many_addresses', { maximum: maximumAddresses });
  }
  return unique;
}

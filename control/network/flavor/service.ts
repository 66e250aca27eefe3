/** Flavors and service profiles: the operations that the dialects may call. What changes them is administrators', and one transaction. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, touched } from '../../kit/rows.ts';
import {
  flavorListing,
  type NetworkFlavorRow,
  type ServiceProfileRow,
  serviceProfileListing,
  serviceProviders,
} from './flavor.ts';

export interface FlavorWish {
  name?: string;
  description?: string;
  service_type: 'L3_ROUTER_NAT';
  enabled?: boolean;
  service_profiles?: string[];
}

export interface ServiceProfileWish {
  description?: string;
  driver?: string;
  metainfo?: string;
  enabled?: boolean;
}

export class NetworkFlavorService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<NetworkFlavorRow[]> {
    return listRows(this.#database.query, caller, flavorListing, query);
  }

  read(caller: Caller, id: string): Promise<NetworkFlavorRow> {
    return readRow(this.#database.query, caller, flavorListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly FlavorWish[]): Promise<NetworkFlavorRow[]> {
    requireAdmin(caller, 'create_flavor');
    const rows = wishes.map(({ service_profiles: _, ...wish }) => ({
      ...{ ...defined(wish), service_type: wish.service_type, id: newId() },
    }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx.insertInto('network_flavor').values(rows).execute();
      for (const [at, { id }] of rows.entries()) {
        for (const profile of new Set(wishes[at]!.service_profiles)) await associate(tx, id, profile);
      }
      return listMade(
        tx,
        caller,
        flavorListing,
        rows.map(({ id }) => id),
      );
    });
  }

  async update(caller: Caller, id: string, patch: Omit<Partial<FlavorWish>, 'service_type' | 'service_profiles'>) {
    requireAdmin(caller, 'update_flavor');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx
        .updateTable('network_flavor')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, flavorListing, id);
    });
  }

  /** Refused while routers have it. */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'delete_flavor');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await readRow(tx, caller, flavorListing, id);
      await sql`delete from network_flavor where id = ${id}`.execute(tx).catch((error: unknown) => {
        throw violatedConstraint(error) === undefined ? error : new CloudError('conflict', 'flavor_in_use', { id });
      });
    });
  }

  async associate(caller: Caller, id: string, profileId: string): Promise<void> {
    requireAdmin(caller, 'create_flavor_service_profile');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockFlavor(tx, id);
      await associate(tx, id, profileId);
    });
  }

  async dissociate(caller: Caller, id: string, profileId: string): Promise<void> {
    requireAdmin(caller, 'delete_flavor_service_profile');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockFlavor(tx, id);
      const { rows } = await sql`delete from network_flavor_profile
        where network_flavor_id = ${id} and service_profile_id = ${profileId} returning 1`.execute(tx);
      if (rows.length === 0) throw notAssociated(id, profileId);
    });
  }

  listProfiles(caller: Caller, query: ListQuery): Promise<ServiceProfileRow[]> {
    return listRows(this.#database.query, caller, serviceProfileListing, query);
  }

  readProfile(caller: Caller, id: string): Promise<ServiceProfileRow> {
    return readRow(this.#database.query, caller, serviceProfileListing, id);
  }

  /** All or none. */
  async createProfiles(caller: Caller, wishes: readonly ServiceProfileWish[]): Promise<ServiceProfileRow[]> {
    requireAdmin(caller, 'create_service_profile');
    const rows = wishes.map((wish) => {
      checkProfile(wish);
      return { ...defined(wish), id: newId() };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await tx.insertInto('service_profile').values(rows).execute();
      return listMade(
        tx,
        caller,
        serviceProfileListing,
        rows.map(({ id }) => id),
      );
    });
  }

  /** Refused while a flavor has it. */
  async updateProfile(caller: Caller, id: string, patch: ServiceProfileWish): Promise<ServiceProfileRow> {
    requireAdmin(caller, 'update_service_profile');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await unusedProfile(tx, caller, id);
      checkProfile({ ...now, ...defined(patch) });
      await tx
        .updateTable('service_profile')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, serviceProfileListing, id);
    });
  }

  /** Refused while a flavor has it. */
  async deleteProfile(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'delete_service_profile');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await unusedProfile(tx, caller, id);
      await sql`delete from service_profile where id = ${id}`.execute(tx);
    });
  }
}

function requireAdmin(caller: Caller, operation: string): void {
  if (!isAdmin(caller)) throw forbidden(operation);
}

/** Profiles come and go while nobody else looks at the flavor. */
async function lockFlavor(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql`update network_flavor set generation = generation + 1, updated_at = now()
    where id = ${id} returning 1`.execute(tx);
  if (rows.length === 0) throw notFound('network_flavor', id);
}

async function associate(tx: Tx, id: string, profileId: string): Promise<void> {
  await tx
    .insertInto('network_flavor_profile')
    .values({ network_flavor_id: id, service_profile_id: profileId })
    .execute()
    .catch((error: unknown) => {
      const constraint = violatedConstraint(error);
      if (constraint === 'network_flavor_profile_service_profile_id_fkey') throw notFound('service_profile', profileId);
      if (constraint !== 'network_flavor_profile_pkey') throw error;
      throw new CloudError('conflict', 'flavor_service_profile_binding_exists', { flavor: id, profile: profileId });
    });
}

const notAssociated = (flavor: string, profile: string) =>
  new CloudError('not_found', 'flavor_service_profile_binding_not_found', { flavor, profile });

const drivers: readonly string[] = serviceProviders.map(({ name }) => name);

/** @throws CloudError */
function checkProfile({ driver = '', metainfo = '' }: ServiceProfileWish): void {
  if (driver !== '' && !drivers.includes(driver)) {
    throw new CloudError('not_found', 'service_profile_driver_not_found', { driver });
  }
  if (driver === '' && metainfo === '') throw new CloudError('invalid', 'service_profile_empty', {});
}

/** The profile, locked: who associates it waits, and then meets what became of it. */
async function unusedProfile(tx: Tx, caller: Caller, id: string): Promise<ServiceProfileRow> {
  await sql`select from service_profile where id = ${id} for update`.execute(tx);
  const profile = await readRow(tx, caller, serviceProfileListing, id);
  const { rows } = await sql`select from network_flavor_profile where service_profile_id = ${id} limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'service_profile_in_use', { id });
  return profile;
}

/** Whether a router can have this flavor: it is on, and a profile of it is that OVN carries out. @throws CloudError */
export async function checkRouterFlavor(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql<{ enabled: boolean; profiles: { id: string; driver: string; enabled: boolean }[] }>`
    select f.enabled, coalesce((select jsonb_agg(to_jsonb(p) order by p.id) from network_flavor_profile b
      join service_profile p on p.id = b.service_profile_id where b.network_flavor_id = f.id), '[]') as profiles
    from network_flavor f where f.id = ${id} for key share`.execute(tx);
  const flavor = rows[0];
  if (!flavor) throw notFound('network_flavor', id);
  if (!flavor.enabled) throw new CloudError('unavailable', 'flavor_disabled', {});
  const [profile] = flavor.profiles;
  if (!profile) throw notAssociated(id, '');
  if (!profile.enabled) throw new CloudError('unavailable', 'service_profile_disabled', {});
  if (profile.driver === '') throw new CloudError('not_found', 'service_profile_driver_not_found', { driver: '' });
}

/** Clouds that would take our users' word. They are kept and told; assertions for them are not made here. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import { matching } from './directory.ts';
import type { ServiceProviderRow } from './federation-tables.ts';
import { Records } from './records.ts';
import { requireAdministrator, requireReader } from './rights.ts';

export interface ServiceProviderChange {
  auth_url?: string;
  sp_url?: string;
  description?: string | null;
  enabled?: boolean;
  /** Null: the usual one. */
  relay_state_prefix?: string | null;
}

/** Keystone's [saml] relay_state_prefix. */
const usualPrefix = 'ss:mem:';

export class ServiceProviders {
  readonly #rows: Records<ServiceProviderRow>;

  constructor(context: IdentityContext) {
    this.#rows = new Records(context, {
      ...{ table: 'service_provider', noun: 'service_provider' },
      refusals: {
        service_provider_name_key: () =>
          new CloudError('conflict', 'federation_name_taken', { name: 'service_provider' }),
      },
    });
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, filter: { name?: string; enabled?: boolean }): Promise<ServiceProviderRow[]> {
    requireReader(caller, 'identity:list_service_providers');
    return this.#rows.list(matching(filter));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, name: string): Promise<ServiceProviderRow> {
    requireReader(caller, 'identity:get_service_provider');
    const [row] = await this.#rows.list(sql`t.name = ${name}`);
    if (!row) throw notFound('service_provider', name);
    return row;
  }

  /** @throws CloudError `forbidden`, `conflict` */
  async create(
    caller: Caller,
    name: string,
    wanted: ServiceProviderChange & { auth_url: string; sp_url: string },
  ): Promise<ServiceProviderRow> {
    requireAdministrator(caller, 'identity:create_service_provider');
    const { description = null, enabled = true } = wanted;
    const prefix = wanted.relay_state_prefix ?? usualPrefix;
    return this.#rows.insert(caller, {
      ...{ id: newOrderedId(), name, auth_url: wanted.auth_url, sp_url: wanted.sp_url, description, enabled },
      relay_state_prefix: prefix,
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async update(caller: Caller, name: string, change: ServiceProviderChange): Promise<ServiceProviderRow> {
    requireAdministrator(caller, 'identity:update_service_provider');
    const { id } = await this.get(caller, name);
    const { relay_state_prefix: prefix } = change;
    return this.#rows.update(caller, id, () => ({
      ...change,
      ...(prefix === undefined ? {} : { relay_state_prefix: prefix ?? usualPrefix }),
    }));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, name: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_service_provider');
    await this.#rows.delete(caller, (await this.get(caller, name)).id);
  }
}

/** Policies: texts that other services keep here and read again. Nothing here follows them. */
import { newOrderedId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import { json } from '../kit/database/schema.ts';
import type { PolicyRow } from './catalogue-tables.ts';
import type { IdentityContext } from './context.ts';
import { matching } from './directory.ts';
import { Records } from './records.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import type { Extra } from './tables.ts';

export interface PolicyChange {
  type?: string;
  blob?: string;
  extra?: Extra;
}

export class PolicyService {
  readonly #policies: Records<PolicyRow>;

  constructor(context: IdentityContext) {
    this.#policies = new Records(context, { table: 'policy', noun: 'policy' });
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, filter: { type?: string }): Promise<PolicyRow[]> {
    requireReader(caller, 'identity:list_policies');
    return this.#policies.list(matching(filter));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: string): Promise<PolicyRow> {
    requireReader(caller, 'identity:get_policy');
    return this.#policies.find(id);
  }

  /** @throws CloudError `forbidden` */
  async create(caller: Caller, { type, blob, extra = {} }: PolicyChange & { type: string; blob: string }) {
    requireAdministrator(caller, 'identity:create_policy');
    return this.#policies.insert(caller, { id: newOrderedId(), type, blob, extra: json(extra) });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async update(caller: Caller, id: string, { type, blob, extra }: PolicyChange): Promise<PolicyRow> {
    requireAdministrator(caller, 'identity:update_policy');
    return this.#policies.update(caller, id, (before) => ({ type, blob, extra: json({ ...before.extra, ...extra }) }));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_policy');
    await this.#policies.delete(caller, id);
  }
}

/** Roles and what they imply. Roles of a domain count only through the global roles that they imply. */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId, RoleId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import { matching, type Page, type PageRequest } from './directory.ts';
import { mayInDomain } from './domain-rights.ts';
import { Entries, type EntryChange, findEntry, type Kind, type NewEntry } from './entries.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import type { RoleRow } from './tables.ts';

export type RoleChange = Pick<EntryChange, 'name' | 'description' | 'options' | 'extra'>;
export type NewRole = Pick<NewEntry, keyof RoleChange> & { domainId: DomainId | null };

export interface Inference {
  prior: RoleRow;
  implied: RoleRow[];
}

export const roleKind: Kind<'role'> = { table: 'role', noun: 'role', maxName: 255, options: ['immutable'] };
/** Whoever could make any role imply this one would own the cloud by renaming nothing. Keystone's prohibited_implied_role. */
const neverImplied = 'admin';

/** Managers of a domain must know the roles that they give. @throws CloudError `forbidden` */
function requireRoleReader(caller: Caller, operation: string): void {
  if (!mayInDomain(caller, 'manage', caller.domainId)) requireReader(caller, operation);
}

export class RoleService {
  readonly #context: IdentityContext;
  readonly #entries: Entries<'role'>;
  constructor(context: IdentityContext) {
    this.#context = context;
    this.#entries = new Entries(context, roleKind);
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewRole): Promise<RoleRow> {
    requireAdministrator(caller, 'identity:create_role');
    return this.#entries.create(caller, wanted, { domain_id: wanted.domainId });
  }

  /** Global roles, or those of one domain. @throws CloudError `forbidden` */
  async list(
    caller: Caller,
    filter: { name?: string; domainId?: DomainId },
    page: PageRequest,
  ): Promise<Page<RoleRow>> {
    requireRoleReader(caller, 'identity:list_roles');
    return this.#entries.page(matching({ name: filter.name, domain_id: filter.domainId ?? null }), page);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: RoleId): Promise<RoleRow> {
    requireRoleReader(caller, 'identity:get_role');
    return findEntry(this.#context.query, roleKind, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: RoleId, change: RoleChange): Promise<RoleRow> {
    requireAdministrator(caller, 'identity:update_role');
    return this.#entries.update(caller, id, change);
  }

  /** With its assignments and implications. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: RoleId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_role');
    await this.#entries.delete(caller, id);
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async imply(caller: Caller, priorId: RoleId, impliedId: RoleId): Promise<Inference> {
    requireAdministrator(caller, 'identity:create_implied_role');
    return this.#context.write(actorOf(caller), async (tx) => {
      const prior = await findEntry(tx, roleKind, priorId);
      const implied = await findEntry(tx, roleKind, impliedId);
      if (implied.domain_id === null && implied.name === neverImplied) {
        throw new CloudError('forbidden', 'role_never_implied', { role: neverImplied });
      }
      if (prior.domain_id === null && implied.domain_id !== null) {
        throw new CloudError('forbidden', 'global_role_implies_domain_role', {});
      }
      await sql`insert into role_implication (prior_role_id, implied_role_id)
        values (${priorId}, ${impliedId}) on conflict do nothing`.execute(tx);
      return { prior, implied: [implied] };
    });
  }

  /** @throws CloudError `forbidden`, `not_found` where the one does not imply the other */
  async implication(caller: Caller, priorId: RoleId, impliedId: RoleId): Promise<Inference> {
    requireReader(caller, 'identity:get_implied_role');
    const [inference] = await this.#inferences(priorId);
    const implied = inference?.implied.filter((role) => role.id === impliedId) ?? [];
    if (!inference || implied.length === 0) throw notFound('implied_role', impliedId);
    return { prior: inference.prior, implied };
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async implications(caller: Caller, priorId: RoleId): Promise<Inference> {
    requireReader(caller, 'identity:list_implied_roles');
    const prior = await findEntry(this.#context.query, roleKind, priorId);
    const [inference] = await this.#inferences(priorId);
    return inference ?? { prior, implied: [] };
  }

  /** @throws CloudError `forbidden` */
  async allImplications(caller: Caller): Promise<Inference[]> {
    requireReader(caller, 'identity:list_role_inference_rules');
    return this.#inferences();
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async forgetImplication(caller: Caller, priorId: RoleId, impliedId: RoleId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_implied_role');
    await this.#context.write(actorOf(caller), async (tx) => {
      const row = await tx
        .deleteFrom('role_implication')
        .where('prior_role_id', '=', priorId)
        .where('implied_role_id', '=', impliedId)
        .returning('prior_role_id')
        .executeTakeFirst();
      if (!row) throw notFound('implied_role', impliedId);
    });
  }

  async #inferences(priorId?: RoleId): Promise<Inference[]> {
    const { rows } = await sql<{ prior: RoleRow; implied: RoleRow[] }>`
      select to_jsonb(p) as prior, jsonb_agg(to_jsonb(i) order by i.name) as implied
      from role_implication n join role p on p.id = n.prior_role_id join role i on i.id = n.implied_role_id
      ${priorId ? sql`where p.id = ${priorId}` : sql``} group by p.id order by p.name`.execute(this.#context.query);
    return rows;
  }
}

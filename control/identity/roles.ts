/** Roles and what they imply. Roles of a domain count only through the global roles that they imply. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newId, type RoleId } from '../../contract/ids.ts';
import type { Queryable } from '../database/database.ts';
import { json } from '../database/schema.ts';
import { actorOf, type Caller } from './caller.ts';
import { type IdentityContext, refusing } from './context.ts';
import {
  checkMutable,
  checkName,
  defined,
  mergeExtra,
  mergeOptions,
  nameTaken,
  notFound,
  type Page,
  type PageRequest,
  pageEnd,
  pageStart,
  toPage,
} from './directory.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import type { Extra, RoleRow } from './tables.ts';

export interface RoleChange {
  name?: string;
  description?: string | null;
  options?: Extra;
  extra?: Extra;
}
export type NewRole = RoleChange & { name: string; domainId: DomainId | null };

export interface Inference {
  prior: RoleRow;
  implied: RoleRow[];
}

const known = ['immutable'];
const maxName = 255;
/** Whoever could make any role imply this one would own the cloud by renaming nothing. Keystone's prohibited_implied_role. */
const neverImplied = 'admin';

export class RoleService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewRole): Promise<RoleRow> {
    requireAdministrator(caller, 'identity:create_role');
    checkName('role', wanted.name, maxName);
    const row = {
      id: newId<RoleId>(),
      name: wanted.name,
      domain_id: wanted.domainId,
      description: wanted.description ?? '',
      options: json(mergeOptions(known, {}, wanted.options)),
      extra: mergeExtra({}, wanted.extra),
    };
    const refusals = {
      role_domain_id_name_key: () => nameTaken('role', wanted.name),
      role_domain_id_fkey: () => notFound('domain', wanted.domainId ?? ''),
    };
    return refusing(refusals, () =>
      this.#context.write(actorOf(caller), (tx) =>
        tx.insertInto('role').values(row).returningAll().executeTakeFirstOrThrow(),
      ),
    );
  }

  /** Global roles, or those of one domain. @throws CloudError `forbidden` */
  async list(
    caller: Caller,
    filter: { name?: string; domainId?: DomainId },
    page: PageRequest,
  ): Promise<Page<RoleRow>> {
    requireReader(caller, 'identity:list_roles');
    const { rows } = await sql<RoleRow>`select * from role
      where ${filter.domainId ? sql`domain_id = ${filter.domainId}` : sql`domain_id is null`}
      ${filter.name === undefined ? sql`` : sql`and name = ${filter.name}`}
      ${pageStart(page, 'id')} order by id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: RoleId): Promise<RoleRow> {
    requireReader(caller, 'identity:get_role');
    return findRole(this.#context.query, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: RoleId, change: RoleChange): Promise<RoleRow> {
    requireAdministrator(caller, 'identity:update_role');
    if (change.name !== undefined) checkName('role', change.name, maxName);
    return refusing({ role_domain_id_name_key: () => nameTaken('role', change.name ?? '') }, () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const before = await findRole(tx, id, { lock: true });
        checkMutable('role', before, change.options);
        return tx
          .updateTable('role')
          .set({
            ...defined({ name: change.name }),
            ...(change.description === undefined ? {} : { description: change.description ?? '' }),
            options: json(mergeOptions(known, before.options, change.options)),
            extra: mergeExtra(before.extra, change.extra),
            updated_at: new Date(),
          })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
      }),
    );
  }

  /** With its assignments and implications. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: RoleId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_role');
    await this.#context.write(actorOf(caller), async (tx) => {
      checkMutable('role', await findRole(tx, id, { lock: true }));
      await tx.deleteFrom('role').where('id', '=', id).execute();
    });
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async imply(caller: Caller, priorId: RoleId, impliedId: RoleId): Promise<Inference> {
    requireAdministrator(caller, 'identity:create_implied_role');
    return this.#context.write(actorOf(caller), async (tx) => {
      const prior = await findRole(tx, priorId);
      const implied = await findRole(tx, impliedId);
      if (implied.domain_id === null && implied.name === neverImplied) {
        throw new CloudError('forbidden', `the role ${neverImplied} can not be implied`);
      }
      if (prior.domain_id === null && implied.domain_id !== null) {
        throw new CloudError('forbidden', 'a global role can not imply the role of a domain');
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
    if (!inference || implied.length === 0) throw notFound('implied role', impliedId);
    return { prior: inference.prior, implied };
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async implications(caller: Caller, priorId: RoleId): Promise<Inference> {
    requireReader(caller, 'identity:list_implied_roles');
    const prior = await findRole(this.#context.query, priorId);
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
      if (!row) throw notFound('implied role', impliedId);
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

export async function findRole(db: Queryable, id: RoleId, options: { lock?: boolean } = {}): Promise<RoleRow> {
  const query = db.selectFrom('role').selectAll().where('id', '=', id);
  const row = await (options.lock ? query.forUpdate() : query).executeTakeFirst();
  if (!row) throw notFound('role', id);
  return row;
}

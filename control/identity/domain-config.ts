/**
 * Options of a domain, kept for whoever asks. Nothing here follows them: users of every domain are in this database. The one
 * section that is read only, security_compliance, tells the password policy that the cloud's settings make.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import { optionDefaults, secretOptions } from './domain-options.ts';
import { requireAdministrator, requireReader } from './rights.ts';

export type DomainOptions = Record<string, Record<string, unknown>>;

/** A whole configuration, a section of it, or one option. */
export interface ConfigPlace {
  section?: string;
  option?: string;
}

export class DomainConfigService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** What is asked for, without secrets. @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, domainId: DomainId, place: ConfigPlace): Promise<DomainOptions> {
    if (place.section === 'security_compliance') return this.#compliance(domainId, place.option);
    requireReader(caller, 'identity:get_domain_config');
    checkPlace(place);
    await requireDomain(this.#context.query, domainId);
    const found = await this.#read(this.#context.query, domainId, place);
    if (Object.keys(found).length === 0) throw notFound('domain_config', domainId);
    return withoutSecrets(found);
  }

  /** In place of all that was; true where there was nothing. @throws CloudError `forbidden`, `not_found` */
  async put(
    caller: Caller,
    domainId: DomainId,
    options: DomainOptions,
  ): Promise<{ config: DomainOptions; made: boolean }> {
    requireAdministrator(caller, 'identity:create_domain_config');
    checkOptions(options);
    return this.#context.write(actorOf(caller), async (tx) => {
      await holdDomain(tx, domainId);
      const before = await this.#read(tx, domainId, {});
      await sql`delete from domain_config where domain_id = ${domainId}`.execute(tx);
      await store(tx, domainId, options);
      return { config: withoutSecrets(options), made: Object.keys(before).length === 0 };
    });
  }

  /**
   * Changes what is in a place; a section or option that is named must be there, and the change speaks of it only.
   * @throws CloudError `forbidden`, `not_found`
   */
  async update(caller: Caller, domainId: DomainId, place: ConfigPlace, options: DomainOptions): Promise<DomainOptions> {
    requireAdministrator(caller, 'identity:update_domain_config');
    checkPlace(place);
    checkOptions(options);
    checkWithin(place, options);
    return this.#context.write(actorOf(caller), async (tx) => {
      await holdDomain(tx, domainId);
      if (Object.keys(await this.#read(tx, domainId, place)).length === 0) throw notFound('domain_config', domainId);
      await store(tx, domainId, options);
      return withoutSecrets(await this.#read(tx, domainId, {}));
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, domainId: DomainId, place: ConfigPlace): Promise<void> {
    requireAdministrator(caller, 'identity:delete_domain_config');
    checkPlace(place);
    await this.#context.write(actorOf(caller), async (tx) => {
      await holdDomain(tx, domainId);
      const { rows } = await sql`delete from domain_config where ${within(domainId, place)} returning 1`.execute(tx);
      if (rows.length === 0) throw notFound('domain_config', domainId);
    });
  }

  /** @throws CloudError `forbidden` */
  defaults(caller: Caller, place: ConfigPlace): DomainOptions {
    requireReader(caller, 'identity:get_domain_config_default');
    checkPlace(place);
    const all: DomainOptions = structuredClone(optionDefaults);
    const { section, option } = place;
    if (section === undefined) return all;
    return { [section]: option === undefined ? all[section]! : { [option]: all[section]![option] } };
  }

  /** Everybody who may choose a password may know how. @throws CloudError `forbidden` for domains that have no users of passwords, options that there are not */
  #compliance(domainId: DomainId, option: string | undefined): DomainOptions {
    const { pattern, patternDescription } = this.#context.passwordRules.policy;
    const all: Record<string, string | null> = {
      password_regex: pattern || null,
      password_regex_description: patternDescription || null,
    };
    const known = option === undefined || Object.hasOwn(all, option);
    if (domainId !== this.#context.defaultDomainId || !known) {
      throw new CloudError('forbidden', 'domain_option_unknown', {
        section: 'security_compliance',
        option: option ?? '',
      });
    }
    return { security_compliance: option === undefined ? all : { [option]: all[option] } };
  }

  async #read(db: Queryable, domainId: DomainId, place: ConfigPlace): Promise<DomainOptions> {
    const { rows } = await sql<{ section: string; option: string; value: unknown }>`select section, option, value
      from domain_config where ${within(domainId, place)} order by section, option`.execute(db);
    const found: DomainOptions = {};
    for (const { section, option, value } of rows) {
      found[section] = { ...found[section], [option]: value };
    }
    return found;
  }
}

const within = (domainId: DomainId, { section, option }: ConfigPlace): RawBuilder<unknown> =>
  sql`domain_id = ${domainId} ${section === undefined ? sql`` : sql`and section = ${section}`}
    ${option === undefined ? sql`` : sql`and option = ${option}`}`;

async function requireDomain(db: Queryable, id: DomainId): Promise<void> {
  const row = await db.selectFrom('domain').select('id').where('id', '=', id).executeTakeFirst();
  if (!row) throw notFound('domain', id);
}

/** Of two who put options in place of all the second takes the first one's away. */
async function holdDomain(tx: Tx, id: DomainId): Promise<void> {
  const { rows } = await sql`select from domain where id = ${id} for no key update`.execute(tx);
  if (rows.length === 0) throw notFound('domain', id);
}

async function store(tx: Tx, domainId: DomainId, options: DomainOptions): Promise<void> {
  for (const [section, values] of Object.entries(options)) {
    for (const [option, value] of Object.entries(values)) {
      await sql`insert into domain_config (id, domain_id, section, option, value)
        values (${newOrderedId()}, ${domainId}, ${section}, ${option}, ${json(value)})
        on conflict (domain_id, section, option) do update set value = excluded.value`.execute(tx);
    }
  }
}

const isKnown = (section: string, option?: string): boolean =>
  Object.hasOwn(optionDefaults, section) &&
  (option === undefined ||
    Object.hasOwn(optionDefaults[section as keyof typeof optionDefaults], option) ||
    secretOptions.has(`${section}.${option}`));

/** @throws CloudError `forbidden` */
function checkPlace({ section, option }: ConfigPlace): void {
  if (section === undefined || isKnown(section, option)) return;
  throw new CloudError('forbidden', 'domain_option_unknown', { section, option: option ?? '' });
}

/** @throws CloudError `forbidden` */
function checkOptions(options: DomainOptions): void {
  if (Object.keys(options).length === 0) throw new CloudError('forbidden', 'domain_options_missing', {});
  for (const [section, values] of Object.entries(options)) {
    if (!isKnown(section)) throw new CloudError('forbidden', 'domain_option_unknown', { section, option: '' });
    if (Object.keys(values).length === 0) throw new CloudError('forbidden', 'domain_options_missing', {});
    for (const option of Object.keys(values)) {
      if (!isKnown(section, option)) throw new CloudError('forbidden', 'domain_option_unknown', { section, option });
    }
  }
}

/** @throws CloudError `forbidden` where the change speaks of something else than its place */
function checkWithin({ section, option }: ConfigPlace, options: DomainOptions): void {
  if (section === undefined) return;
  const [only, ...others] = Object.keys(options);
  const inside = Object.keys(options[section] ?? {});
  const good =
    only === section && others.length === 0 && (option === undefined || (inside.length === 1 && inside[0] === option));
  if (!good) throw new CloudError('forbidden', 'domain_options_elsewhere', { section, option: option ?? '' });
}

const withoutSecrets = (options: DomainOptions): DomainOptions =>
  Object.fromEntries(
    Object.entries(options).map(([section, values]) => [
      section,
      Object.fromEntries(Object.entries(values).filter(([option]) => !secretOptions.has(`${section}.${option}`))),
    ]),
  );

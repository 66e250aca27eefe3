/** Other identity providers, the protocols that they are spoken to by, and the rules that make their users ours. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import { matching } from './directory.ts';
import type { IdentityProviderRow, MappingRow, ProtocolRow } from './federation-tables.ts';
import type { MappingRule } from './mapping.ts';
import { Records } from './records.ts';
import { requireAdministrator, requireReader } from './rights.ts';

export interface ProviderChange {
  description?: string | null;
  enabled?: boolean;
  remoteIds?: string[];
  authorizationTtl?: number | null;
  clientId?: string | null;
  /** What is asked about users who log in with a browser. */
  clientScope?: string | null;
  /** Null takes it away. */
  clientSecret?: string | null;
}

export class FederationService {
  readonly #context: IdentityContext;
  readonly #providers: Records<IdentityProviderRow>;
  readonly #mappings: Records<MappingRow>;
  readonly #protocols: Records<ProtocolRow>;

  constructor(context: IdentityContext) {
    this.#context = context;
    const taken = (name: string) => () => new CloudError('conflict', 'federation_name_taken', { name });
    this.#providers = new Records(context, {
      ...{ table: 'identity_provider', noun: 'identity_provider' },
      refusals: { identity_provider_name_key: taken('identity_provider') },
    });
    this.#mappings = new Records(context, {
      ...{ table: 'mapping', noun: 'mapping' },
      refusals: {
        mapping_name_key: taken('mapping'),
        federation_protocol_mapping_id_fkey: () => new CloudError('conflict', 'mapping_in_use', {}),
      },
    });
    this.#protocols = new Records(context, {
      ...{ table: 'federation_protocol', noun: 'federation_protocol' },
      columns: sql`t.*, (select name from mapping m where m.id = t.mapping_id) as mapping`,
      refusals: { federation_protocol_identity_provider_id_name_key: taken('protocol') },
    });
  }

  /** @throws CloudError `forbidden` */
  async providers(caller: Caller, filter: { name?: string; enabled?: boolean }): Promise<IdentityProviderRow[]> {
    requireReader(caller, 'identity:list_identity_providers');
    return this.#providers.list(matching(filter));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async provider(caller: Caller, name: string): Promise<IdentityProviderRow> {
    requireReader(caller, 'identity:get_identity_provider');
    return this.findProvider(name);
  }

  /** Whoever asks. @throws CloudError `not_found` */
  async findProvider(name: string): Promise<IdentityProviderRow> {
    const [row] = await this.#providers.list(sql`t.name = ${name}`);
    if (!row) throw notFound('identity_provider', name);
    return row;
  }

  /** Its users get a domain of their own, unless one is named. @throws CloudError `forbidden`, `conflict`, `not_found` (domain) */
  async createProvider(
    caller: Caller,
    name: string,
    { domainId, ...change }: ProviderChange & { domainId: DomainId | null },
  ): Promise<IdentityProviderRow> {
    requireAdministrator(caller, 'identity:create_identity_provider');
    const id = newOrderedId();
    const domain = domainId ?? newOrderedId<DomainId>();
    const { description = null, enabled = true, remoteIds = [], authorizationTtl = null } = change;
    const values = {
      ...{
        id,
        name,
        domain_id: domain,
        description,
        enabled,
        remote_ids: remoteIds,
        authorization_ttl: authorizationTtl,
      },
      ...{ client_id: change.clientId ?? null, client_scope: change.clientScope ?? null },
      ...{ sealed_client_secret: this.#sealed(id, change.clientSecret ?? null) },
    };
    return this.#providers.insert(caller, values, async (tx) => {
      if (domainId) {
        const row = await tx.selectFrom('domain').select('id').where('id', '=', domainId).executeTakeFirst();
        if (!row) throw notFound('domain', domainId);
      } else {
        await sql`insert into domain (id, name, description) values (${domain}, ${domain}, ${name})`.execute(tx);
      }
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async updateProvider(caller: Caller, name: string, change: ProviderChange): Promise<IdentityProviderRow> {
    requireAdministrator(caller, 'identity:update_identity_provider');
    const { id } = await this.findProvider(name);
    return this.#providers.update(caller, id, () => ({
      ...{ description: change.description, enabled: change.enabled, remote_ids: change.remoteIds },
      ...{ authorization_ttl: change.authorizationTtl, client_id: change.clientId, client_scope: change.clientScope },
      ...(change.clientSecret === undefined ? {} : { sealed_client_secret: this.#sealed(id, change.clientSecret) }),
    }));
  }

  /** With its users. @throws CloudError `forbidden`, `not_found` */
  async deleteProvider(caller: Caller, name: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_identity_provider');
    const { id } = await this.findProvider(name);
    await this.#providers.delete(caller, id, async (_, tx) => {
      const users = sql`select user_id from federated_user where identity_provider_id = ${id}`;
      await sql`delete from key_pair where user_id in (${users})`.execute(tx);
      await sql`delete from "user" where id in (${users})`.execute(tx);
    });
  }

  /** The provider's secret of ours, to ask it about tokens. */
  secretOf({ id, sealed_client_secret: sealed }: IdentityProviderRow): string | null {
    return sealed && this.#context.sealer.open(sealed, `identity_provider ${id}`);
  }

  #sealed(id: string, secret: string | null): Buffer | null {
    return secret === null ? null : this.#context.sealer.seal(secret, `identity_provider ${id}`);
  }

  /** @throws CloudError `forbidden` */
  async mappings(caller: Caller): Promise<MappingRow[]> {
    requireReader(caller, 'identity:list_mappings');
    return this.#mappings.list(sql`true`);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async mapping(caller: Caller, name: string): Promise<MappingRow> {
    requireReader(caller, 'identity:get_mapping');
    return this.#findMapping(name);
  }

  async #findMapping(name: string): Promise<MappingRow> {
    const [row] = await this.#mappings.list(sql`t.name = ${name}`);
    if (!row) throw notFound('mapping', name);
    return row;
  }

  /** @throws CloudError `forbidden`, `conflict`, `invalid` */
  async createMapping(
    caller: Caller,
    name: string,
    rules: readonly MappingRule[],
    version = '1.0',
  ): Promise<MappingRow> {
    requireAdministrator(caller, 'identity:create_mapping');
    checkPatterns(rules);
    return this.#mappings.insert(caller, { id: newOrderedId(), name, rules: json(rules), schema_version: version });
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid` */
  async updateMapping(
    caller: Caller,
    name: string,
    rules: readonly MappingRule[],
    version?: string,
  ): Promise<MappingRow> {
    requireAdministrator(caller, 'identity:update_mapping');
    checkPatterns(rules);
    const { id } = await this.#findMapping(name);
    return this.#mappings.update(caller, id, () => ({ rules: json(rules), schema_version: version }));
  }

  /** @throws CloudError `forbidden`, `not_found`, `conflict` while a protocol uses it */
  async deleteMapping(caller: Caller, name: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_mapping');
    await this.#mappings.delete(caller, (await this.#findMapping(name)).id);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async protocols(caller: Caller, provider: string): Promise<ProtocolRow[]> {
    const { id } = await this.provider(caller, provider);
    return this.#protocols.list(sql`t.identity_provider_id = ${id}`);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async protocol(caller: Caller, provider: string, name: string): Promise<ProtocolRow> {
    requireReader(caller, 'identity:get_protocol');
    return this.#findProtocol(await this.findProvider(provider), name);
  }

  async #findProtocol({ id }: IdentityProviderRow, name: string): Promise<ProtocolRow> {
    const [row] = await this.#protocols.list(sql`t.identity_provider_id = ${id} and t.name = ${name}`);
    if (!row) throw notFound('federation_protocol', name);
    return row;
  }

  /** What a log-in needs, whoever asks. @throws CloudError `not_found` */
  async waysIn(provider: string, protocol: string): Promise<{ provider: IdentityProviderRow; rules: MappingRule[] }> {
    const row = await this.findProvider(provider);
    const { mapping_id: id } = await this.#findProtocol(row, protocol);
    return { provider: row, rules: (await this.#mappings.find(id)).rules };
  }

  /** The provider that browsers are sent to by this protocol, where there is one. @throws CloudError `not_found`, `invalid` */
  async onlyClientOf(protocol: string): Promise<string> {
    const [only, ...others] = await this.#providers.list(sql`t.enabled and t.client_id is not null
      and exists (select from federation_protocol p where p.identity_provider_id = t.id and p.name = ${protocol})`);
    if (!only) throw notFound('federation_protocol', protocol);
    if (others.length > 0) throw new CloudError('invalid', 'websso_without_provider', {});
    return only.name;
  }

  /** @throws CloudError `forbidden`, `not_found` (provider, mapping), `conflict` */
  async createProtocol(
    caller: Caller,
    provider: string,
    { name, mapping, remoteIdAttribute }: { name: string; mapping: string; remoteIdAttribute: string | null },
  ): Promise<ProtocolRow> {
    requireAdministrator(caller, 'identity:create_protocol');
    const [{ id }, { id: mappingId }] = [await this.findProvider(provider), await this.#findMapping(mapping)];
    return refusing(goneMeanwhile({ provider, mapping }), () =>
      this.#protocols.insert(caller, {
        ...{ id: newOrderedId(), identity_provider_id: id, name, mapping_id: mappingId },
        remote_id_attribute: remoteIdAttribute,
      }),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async updateProtocol(
    caller: Caller,
    [provider, name]: readonly [string, string],
    change: { mapping?: string; remoteIdAttribute?: string | null },
  ): Promise<ProtocolRow> {
    requireAdministrator(caller, 'identity:update_protocol');
    const { id } = await this.#findProtocol(await this.findProvider(provider), name);
    const mapping = change.mapping === undefined ? undefined : await this.#findMapping(change.mapping);
    return refusing(goneMeanwhile({ provider, mapping: change.mapping ?? '' }), () =>
      this.#protocols.update(caller, id, () => ({
        ...{ mapping_id: mapping?.id, remote_id_attribute: change.remoteIdAttribute },
      })),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async deleteProtocol(caller: Caller, provider: string, name: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_protocol');
    const { id } = await this.#findProtocol(await this.findProvider(provider), name);
    await this.#context.write(actorOf(caller), async (tx) => {
      await tx.deleteFrom('federation_protocol').where('id', '=', id).execute();
    });
  }
}

/** What a protocol hangs on was found, and then deleted. */
const goneMeanwhile = ({ provider, mapping }: { provider: string; mapping: string }) => ({
  federation_protocol_identity_provider_id_fkey: () => notFound('identity_provider', provider),
  federation_protocol_mapping_id_fkey: () => notFound('mapping', mapping),
});

/** @throws CloudError `invalid` */
function checkPatterns(rules: readonly MappingRule[]): void {
  for (const { remote } of rules) {
    for (const rule of remote.filter(({ regex }) => regex)) {
      for (const pattern of [rule.any_one_of, rule.not_any_of, rule.whitelist, rule.blacklist].flatMap(
        (list) => list ?? [],
      )) {
        if (!isPattern(pattern)) throw new CloudError('invalid', 'mapping_pattern_malformed', { pattern });
      }
    }
  }
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * A log-in with an access token of another identity provider, or with the code that a browser brings from there. The provider is asked first, outside of any transaction; then one
 * transaction makes the user, the memberships and the projects what the mapping says. If the process dies between the two nothing
 * has happened; the same token does it again.
 *
 * Memberships that a mapping gives end by themselves (`authorization_ttl` of the provider, else after a token's lifetime), so that
 * who is no longer in a group there is soon not in it here. Those that administrators gave are not touched.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId, type ProjectId, type UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import {
  type BrowserLogin,
  type Claims,
  Provider,
  ProviderUnreachable,
  TokenRefused,
} from '../../protocols/oidc/provider.ts';
import type { Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { Gate } from '../kit/gate.ts';
import { type IdentityContext, refusing } from './context.ts';
import { checkName } from './directory.ts';
import type { FederationService } from './federation.ts';
import type { IdentityProviderRow } from './federation-tables.ts';
import { nobodyYet, type Proven, unauthenticated } from './login.ts';
import { applyMapping, assertionOf, type Mapped } from './mapping.ts';

/** Questions to providers under way, and those that wait: strangers can ask for them. */
const width = 8;
const mostWaiting = 64;
/** OpenID Connect Core 1.0, section 5.4. */
const usualScope = 'openid email profile';

export class FederatedLogin {
  readonly #context: IdentityContext;
  readonly #federation: FederationService;
  readonly #audience: string;
  readonly #lifetimeMs: number;
  readonly #log: Logger;
  readonly #gate = new Gate(width);
  #asking = 0;
  /** By provider; made anew when its row is another. */
  readonly #providers = new Map<string, { made: string; provider: Provider }>();

  /** @param options.audience whom tokens are for where a provider names no client: this cloud's identity service */
  constructor(
    context: IdentityContext,
    federation: FederationService,
    options: { audience: string; lifetimeMs: number; log: Logger },
  ) {
    this.#context = context;
    this.#federation = federation;
    this.#audience = options.audience;
    this.#lifetimeMs = options.lifetimeMs;
    this.#log = options.log;
  }

  /** @throws CloudError `not_found`, `forbidden` for a provider that is switched off, `unauthenticated`, `unavailable` */
  async prove(name: string, protocol: string, token: Secret | undefined, requestId: string): Promise<Proven> {
    return this.#prove([name, protocol], requestId, (row) => {
      if (!token) throw unauthenticated('no access token');
      return this.#ask(row, (provider) => provider.claimsOf(token.reveal()));
    });
  }

  /**
   * The same by the code of a log-in that was begun with {@link authorizationUrl}.
   * @throws CloudError as `prove`
   */
  proveByCode(
    name: string,
    protocol: string,
    { code, issuer, login }: { code: string; issuer: string | undefined; login: BrowserLogin },
    requestId: string,
  ): Promise<Proven> {
    return this.#prove([name, protocol], requestId, (row) => {
      if (issuer !== undefined && issuer !== row.remote_ids[0]) throw unauthenticated('a code of another issuer');
      return this.#ask(row, (provider) => provider.claimsOfCode(code, login));
    });
  }

  /** Where a browser logs in. @throws CloudError `not_found`, `forbidden`, `invalid` where we are no client there, `unavailable` */
  async authorizationUrl(name: string, protocol: string, login: BrowserLogin & { state: string }): Promise<string> {
    const { provider: row } = await this.#wayIn(name, protocol);
    if (row.client_id === null) throw new CloudError('invalid', 'websso_without_client', { name });
    const scope = row.client_scope ?? usualScope;
    return this.#ask(row, (provider) => provider.authorizationUrl({ ...login, scope }));
  }

  /** Where browsers log in when nobody says where. @throws CloudError `not_found`, `invalid` where there are several */
  onlyProvider(protocol: string): Promise<string> {
    return this.#federation.onlyClientOf(protocol);
  }

  async #wayIn(name: string, protocol: string) {
    const way = await this.#federation.waysIn(name, protocol);
    if (!way.provider.enabled) throw new CloudError('forbidden', 'identity_provider_disabled', {});
    return way;
  }

  async #prove(
    [name, protocol]: readonly [string, string],
    requestId: string,
    ask: (row: IdentityProviderRow) => Promise<Claims>,
  ): Promise<Proven> {
    const { provider, rules } = await this.#wayIn(name, protocol);
    const claims = await ask(provider);
    const mapped = applyMapping(rules, assertionOf(claims));
    const { id, version } = await this.#admit(provider, { protocol, mapped, requestId });
    return { ...nobodyYet, userId: id, version, methods: [protocol === 'openid' ? 'openid' : 'mapped'] };
  }

  async #ask<T>(row: IdentityProviderRow, question: (provider: Provider) => Promise<T>): Promise<T> {
    if (this.#asking >= mostWaiting) {
      throw new CloudError('unavailable', 'too_many_logins', { whose: 'everyone', retry_after_seconds: 1 });
    }
    this.#asking++;
    try {
      return await this.#gate.run(() => question(this.#of(row)));
    } catch (error) {
      if (error instanceof TokenRefused) throw unauthenticated(error);
      if (!(error instanceof ProviderUnreachable)) throw error;
      this.#log.warn({ err: error, identityProvider: row.name }, 'an identity provider can not be asked');
      throw new CloudError('unavailable', 'identity_provider_unreachable', { name: row.name });
    } finally {
      this.#asking--;
    }
  }

  /** @throws CloudError `unauthenticated` for a provider of no issuer */
  #of(row: IdentityProviderRow): Provider {
    const [issuer] = row.remote_ids;
    if (issuer === undefined) throw unauthenticated('the provider has no issuer');
    const secret = this.#federation.secretOf(row);
    const made = JSON.stringify([issuer, row.client_id, secret]);
    const known = this.#providers.get(row.id);
    if (known?.made === made) return known.provider;
    const provider = new Provider({
      issuer,
      audiences: row.client_id ? [row.client_id] : [this.#audience],
      ...(row.client_id ? { client: { id: row.client_id, secret } } : {}),
    });
    this.#providers.set(row.id, { made, provider });
    return provider;
  }

  async #admit(
    provider: IdentityProviderRow,
    { protocol, mapped, requestId }: { protocol: string; mapped: Mapped; requestId: string },
  ): Promise<{ id: UserId; version: number }> {
    const taken = () => unauthenticated('the name is taken in the domain of the provider');
    return refusing({ user_domain_id_name_key: taken }, () =>
      this.#context.write({ actorId: null, requestId }, async (tx) => {
        if (mapped.user.type === 'local') return localUser(tx, mapped.user);
        const user = await ensureUser(tx, provider, { protocol, mapped });
        const minutes = provider.authorization_ttl ?? this.#lifetimeMs / 60_000;
        await setMemberships(tx, user.id, { groups: mapped.groups, minutes });
        await ensureProjects(tx, user.id, { domainId: provider.domain_id, projects: mapped.projects });
        return user;
      }),
    );
  }
}

interface Admitted {
  id: UserId;
  version: number;
}

/** Somebody who is here already: nothing of them changes. @throws CloudError `unauthenticated` */
async function localUser(tx: Tx, { id, name, domain }: Mapped['user']): Promise<Admitted> {
  const condition = id
    ? sql`u.id::text = ${id}`
    : sql`u.name = ${name ?? ''} and u.domain_id = (select d.id from domain d where d.id::text = ${domain?.id ?? ''}
        or d.name = ${domain?.name ?? ''} or d.is_default and ${domain?.id ?? ''} = 'default')`;
  const { rows } =
    await sql<Admitted>`select u.id, u.token_version as version from "user" u where ${condition}`.execute(tx);
  if (!rows[0]) throw unauthenticated('the mapping names a local user that there is not');
  return rows[0];
}

async function ensureUser(
  tx: Tx,
  provider: IdentityProviderRow,
  { protocol, mapped }: { protocol: string; mapped: Mapped },
): Promise<Admitted> {
  const uniqueId = mapped.user.id ?? mapped.user.name!;
  const name = mapped.user.name ?? uniqueId;
  checkName('user', name, 255);
  // Two first log-ins at once make one user.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`federated ${provider.id} ${protocol} ${uniqueId}`}, 0))`.execute(
    tx,
  );
  const { rows } = await sql<Admitted & { name: string; email: string | null }>`
    select u.id, u.token_version as version, u.name, u.email from federated_user f join "user" u on u.id = f.user_id
    where f.identity_provider_id = ${provider.id} and f.protocol = ${protocol} and f.unique_id = ${uniqueId}`.execute(
    tx,
  );
  const email = mapped.user.email ?? null;
  const [known] = rows;
  if (known) {
    if (known.name !== name || known.email !== email) {
      await sql`update "user" set name = ${name}, email = ${email}, updated_at = now() where id = ${known.id}`.execute(
        tx,
      );
    }
    return known;
  }
  const id = newOrderedId<UserId>();
  await sql`insert into "user" (id, domain_id, name, email, extra)
    values (${id}, ${provider.domain_id}, ${name}, ${email}, ${json({})})`.execute(tx);
  await sql`insert into federated_user (user_id, identity_provider_id, protocol, unique_id)
    values (${id}, ${provider.id}, ${protocol}, ${uniqueId})`.execute(tx);
  return { id, version: 0 };
}

/** Groups that there are not are left out. */
async function setMemberships(
  tx: Tx,
  userId: UserId,
  { groups, minutes }: { groups: Mapped['groups']; minutes: number },
): Promise<void> {
  const wanted = groups.map((group) =>
    'id' in group
      ? { id: group.id, name: null, domain_id: null, domain_name: null }
      : { id: null, name: group.name, domain_id: group.domain.id ?? null, domain_name: group.domain.name ?? null },
  );
  const { rows } = await sql<{ id: string }>`select distinct g.id from user_group g join domain d on d.id = g.domain_id
    join jsonb_to_recordset(${json(wanted)}::jsonb) as w(id text, name text, domain_id text, domain_name text)
      on g.id::text = w.id or g.name = w.name and (d.id::text = w.domain_id or d.name = w.domain_name
        or d.is_default and w.domain_id = 'default')`.execute(tx);
  const ids = rows.map((row) => row.id);
  await sql`delete from user_group_member where user_id = ${userId} and expires_at is not null
    and not group_id = any(${ids}::uuid[])`.execute(tx);
  for (const id of ids) {
    await sql`insert into user_group_member (group_id, user_id, expires_at)
      values (${id}, ${userId}, now() + ${minutes}::double precision * interval '1 minute')
      on conflict (group_id, user_id) do update set expires_at = excluded.expires_at
        where user_group_member.expires_at is not null`.execute(tx);
  }
}

/** Projects of the provider's domain, made where they are missing, with roles that there are. */
async function ensureProjects(
  tx: Tx,
  userId: UserId,
  { domainId, projects }: { domainId: DomainId; projects: Mapped['projects'] },
): Promise<void> {
  for (const { name, roles } of projects) {
    checkName('project', name, 64);
    await sql`insert into project (id, domain_id, name) values (${newOrderedId<ProjectId>()}, ${domainId}, ${name})
      on conflict (domain_id, name) do nothing`.execute(tx);
    for (const role of roles) {
      await sql`insert into role_assignment (id, role_id, user_id, project_id)
        select ${newOrderedId()}, r.id, ${userId}, p.id from role r, project p
        where r.name = ${role.name} and r.domain_id is null and p.domain_id = ${domainId} and p.name = ${name}
        on conflict do nothing`.execute(tx);
    }
  }
}

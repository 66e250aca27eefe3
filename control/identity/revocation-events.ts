/**
 * What has ended tokens before their time, for services that keep tokens: read from the change log, which is the only source of
 * events. A token itself is the truth of this cloud's own services; they need none of this.
 */
import { sql } from 'kysely';
import type { Caller } from '../kit/caller.ts';
import type { IdentityContext } from './context.ts';
import { isService, isSystemReader, refuse } from './rights.ts';

export interface RevocationEvent {
  audit_id?: string;
  user_id?: string;
  project_id?: string;
  domain_id?: string;
  trust_id?: string;
  /** Tokens that were issued before this, in milliseconds since 1970, are dead. */
  issued_before: number;
  revoked_at: number;
}

export class RevocationEvents {
  readonly #context: IdentityContext;
  readonly #lifetimeMs: number;

  /** @param options.lifetimeMs the longest that a token lives: what ended older ones is of no interest */
  constructor(context: IdentityContext, options: { lifetimeMs: number }) {
    this.#context = context;
    this.#lifetimeMs = options.lifetimeMs;
  }

  /** @param since milliseconds since 1970 @throws CloudError `forbidden` */
  async list(caller: Caller, since: number | undefined): Promise<RevocationEvent[]> {
    if (!isService(caller) && !isSystemReader(caller)) refuse('identity:list_revoke_events');
    const { rows } = await sql<{ kind: string; key: string; at: number }>`
      with seen as (select resource_type, resource_id, action, body, at,
          lag(body) over (partition by resource_type, resource_id order by transaction_id, sequence) as before
        from change where resource_type in ('user', 'project', 'domain', 'trust', 'token_revocation')
          and at >= now() - ${this.#lifetimeMs}::double precision * interval '1 millisecond')
      select resource_type as kind,
        case resource_type when 'token_revocation' then body ->> 'audit_id' else resource_id::text end as key,
        floor(extract(epoch from at) * 1000)::bigint as at
      from seen where at > to_timestamp(${(since ?? 0) / 1000}::double precision) and case resource_type
        when 'token_revocation' then action = 'created'
        when 'trust' then action = 'deleted'
        when 'user' then action = 'deleted' or action = 'updated'
          and (body ->> 'token_version')::bigint > coalesce((before ->> 'token_version')::bigint, (body ->> 'token_version')::bigint - 1)
        else action = 'deleted' or action = 'updated' and not (body ->> 'enabled')::boolean
          and coalesce((before ->> 'enabled')::boolean, true) end
      order by at, key`.execute(this.#context.query);
    const names: Record<string, string> = { token_revocation: 'audit_id' };
    return rows.map(({ kind, key, at }) => ({ [names[kind] ?? `${kind}_id`]: key, issued_before: at, revoked_at: at }));
  }
}

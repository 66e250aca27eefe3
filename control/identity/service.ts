/**
 * Identity: who calls, and may they. Issues, validates and revokes tokens; the directory (domains, projects, users …) hangs
 * on it as parts. Owns the tables of migrations/0002-identity.sql. Knows no dialect.
 *
 * All state is in the database; the process holds copies only (token-cache.ts, token-keys.ts). If it dies, tokens stay
 * valid and the next process validates them.
 */

import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import { notFound } from '../kit/refusal.ts';
import { loadAuthorization, type ScopeRequest } from './authorization.ts';
import { Catalogue } from './catalogue.ts';
import { IdentityContext } from './context.ts';
import type { AccessKey } from './credentials.ts';
import { type InsufficientFactors, requireFactors } from './factors.ts';
import { FederatedLogin } from './federated-login.ts';
import {
  combineProofs,
  forgetGuesses,
  type Proof,
  type Proven,
  proveAccessKey,
  proveApplicationCredential,
  provePasscode,
  provePassword,
  proveToken,
  unauthenticated,
} from './login.ts';
import type { IdentityOptions, LoginRequest } from './options.ts';
import { IdentityParts } from './parts.ts';
import { PasswordHasher } from './password.ts';
import { noteActivity } from './password-policy.ts';
import { type Receipt, receiptKeyIdOf, receiptLifetimeMs, signReceipt, verifyReceipt } from './receipt.ts';
import { isService, isSystemReader, refuse } from './rights.ts';
import { Sealer } from './sealing.ts';
import { checkSignature, type Signed } from './signed.ts';
import { SignedRequests } from './signed-requests.ts';
import { type Claims, keyIdOf, newAuditId, signToken, verifyToken } from './token.ts';
import { TokenCache, type TokenEntry } from './token-cache.ts';
import { TokenKeys } from './token-keys.ts';
import { scopeOf, scopeToTry, toEntry } from './token-scope.ts';
import { WebSso, type WebSsoReturn, type WebSsoWish } from './websso.ts';

const defaultLifetimeMs = 12 * 3600 * 1000;

export class IdentityService extends IdentityParts {
  readonly catalogue: Catalogue;
  readonly keys: TokenKeys;
  /** Of S3. */
  readonly signedRequests: SignedRequests;
  readonly #context: IdentityContext;
  readonly #cache: TokenCache;
  readonly #federated: FederatedLogin;
  readonly #webSso: WebSso;
  /** Reads under way, so that a burst of requests with one token reads once. Emptied with each change. */
  readonly #reading = new Map<string, Promise<TokenEntry>>();
  readonly #feed: IdentityOptions['feed'];
  readonly #log: Logger;
  readonly #lifetimeMs: number;
  #wasListening = false;
  #unsubscribe: () => void = () => {};

  constructor(options: IdentityOptions) {
    const { database, feed, log, region, publicUrl, trustedDashboards: trusted = [] } = options;
    const cache = new TokenCache();
    const lifetimeMs = options.tokenLifetimeMs ?? defaultLifetimeMs;
    const context = new IdentityContext({
      ...{ resources: options.resources, database, cache },
      passwords: options.passwords ?? new PasswordHasher(),
      passwordPolicy: options.passwordPolicy,
      sealer: new Sealer(options.sealingKeys),
    });
    super(context, { lifetimeMs });
    this.#context = context;
    this.#cache = cache;
    this.#feed = feed;
    this.#log = log;
    this.#lifetimeMs = lifetimeMs;
    this.#cache.onApply((changes) => this.catalogue.apply(changes));
    const base = `${publicUrl}/identity`;
    this.#federated = new FederatedLogin(context, this.federation, { audience: base, lifetimeMs, log });
    this.#webSso = new WebSso({ sealer: context.sealer, federated: this.#federated, trusted, base });
    this.keys = new TokenKeys({ database, sealer: context.sealer, lifetimeMs });
    const listening = () => feed.listening;
    this.signedRequests = new SignedRequests({
      find: (access) => this.credentials.findAccessKey(access),
      login: (key, requestId) => this.#loginBy(key, requestId),
      authenticate: (token, requestId) => this.authenticate(token, requestId),
      listening,
    });
    this.#cache.onApply((changes) => this.signedRequests.apply(changes));
    this.catalogue = new Catalogue({ database, listening, region, publicUrl, entries: options.catalogue });
  }

  /** The feed must have been started. */
  async start(): Promise<void> {
    this.#unsubscribe = this.#cache.follow(this.#feed);
    this.#cache.onChange(() => this.#reading.clear());
    await this.#context.start();
    await this.catalogue.settle();
    await this.keys.signing();
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#cache.clear();
  }

  /** The domain that Keystone's callers know as `default`. */
  get defaultDomainId(): DomainId {
    return this.#context.defaultDomainId;
  }

  /** Called when someone's rights may have changed: whoever serves a long request authenticates anew. */
  onRightsChange(listener: () => void): () => void {
    return this.#cache.onChange(listener);
  }

  /** @throws CloudError `unauthenticated` for a forged, expired or revoked token, or where no right is left */
  async authenticate(token: string, requestId: string): Promise<Caller> {
    const { caller } = await this.#entry(token);
    return { ...caller, requestId };
  }

  /**
   * A new token for whoever the proofs show.
   * @throws CloudError `unauthenticated` (InsufficientFactors where the proofs are right and too few), `forbidden`, `unavailable`
   */
  async login(request: LoginRequest, requestId: string): Promise<{ token: string; entry: TokenEntry }> {
    return this.#refusalsLogged(requestId, async () => {
      const proven = await this.#withReceipt(combineProofs(await this.#prove(request)), request.receipt);
      await requireFactors(this.#context.query, proven);
      await forgetGuesses(this.#context, proven.userId, request.proofs);
      const made = await this.#issue(proven, { ...scopeToTry(proven, request.scope), requestId });
      this.#log.info(
        { requestId, userId: proven.userId, methods: proven.methods, scope: made.entry.claims.scope },
        'token issued',
      );
      return made;
    });
  }

  /**
   * An unscoped token for whoever another identity provider's access token is of.
   * @throws CloudError `unauthenticated`, `not_found` (provider, protocol), `forbidden`, `unavailable`
   */
  async loginFederated(provider: string, protocol: string, token: Secret | undefined, requestId: string) {
    return this.#admit(await this.#federated.prove(provider, protocol, token, requestId), requestId);
  }

  async #admit(proven: Proven, requestId: string) {
    await requireFactors(this.#context.query, proven);
    return this.#issue(proven, { scope: { type: 'unscoped' }, trustId: null, requestId });
  }

  /** Sends a browser to another identity provider; see websso.ts for what it answers and throws. */
  beginWebSso(wish: WebSsoWish, requestId: string) {
    return this.#refusalsLogged(requestId, () => this.#webSso.begin(wish));
  }

  /** An unscoped token for whoever has logged in there, and the page of the dashboard that it is for. */
  finishWebSso(back: WebSsoReturn, requestId: string): Promise<{ token: string; origin: string }> {
    return this.#refusalsLogged(requestId, async () => {
      const { proven, origin } = await this.#webSso.finish(back, requestId);
      return { token: (await this.#admit(proven, requestId)).token, origin };
    });
  }

  async #refusalsLogged<T>(requestId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CloudError && error.code === 'unauthenticated') {
        this.#log.info({ requestId, reason: error.cause }, 'login refused');
      }
      throw error;
    }
  }

  /**
   * A token for whoever an access key is of, by what was signed with it: in the project of the key, with what the token that
   * made it was bound to. Multi-factor rules do not bind it, as programs have no second factor. Who has only seen something
   * signed may not ask: it is the services' to do that their users sign for.
   * @throws CloudError `forbidden`, `unauthenticated`, `not_found` (access key)
   */
  async loginByAccessKey(
    caller: Caller,
    access: string,
    signed: Signed,
  ): Promise<{ token: string; entry: TokenEntry }> {
    if (!isService(caller)) refuse(`identity:${'text' in signed ? 's3' : 'ec2'}tokens_validate`);
    const { requestId } = caller;
    const key = await this.credentials.findAccessKey(access);
    if (!key) throw notFound('access_key', access);
    checkSignature(signed, key.secret);
    return this.#loginBy(key, requestId);
  }

  async #loginBy(key: AccessKey, requestId: string) {
    const { proven, scope, trustId } = await proveAccessKey(this.#context.query, key);
    return this.#issue(proven, { scope, trustId, requestId });
  }

  /**
   * What a token says: its own bearer, administrators, readers of the system and services may ask.
   * @throws CloudError `not_found` when it is not valid, `forbidden`
   */
  async show(caller: Caller, token: string): Promise<TokenEntry> {
    const entry = await this.#subject(token);
    const may = entry.caller.userId === caller.userId || isService(caller) || isSystemReader(caller);
    if (!may) throw new CloudError('forbidden', 'token_of_another_user', { verb: 'read' });
    return entry;
  }

  /** @throws CloudError `not_found` when it is not valid, `forbidden` */
  async revoke(caller: Caller, token: string): Promise<void> {
    const { claims, caller: bearer } = await this.#subject(token);
    if (bearer.userId !== caller.userId && !isAdmin(caller)) {
      throw new CloudError('forbidden', 'token_of_another_user', { verb: 'revoke' });
    }
    await this.#context.write(actorOf(caller), async (tx) => {
      await sql`delete from token_revocation where id in
        (select id from token_revocation where expires_at < now() order by expires_at limit 100 for update skip locked)`.execute(
        tx,
      );
      await sql`insert into token_revocation (id, audit_id, expires_at)
        values (${newOrderedId()}, ${claims.auditIds[0]}, ${new Date(claims.expiresAt)}) on conflict (audit_id) do nothing`.execute(
        tx,
      );
    });
    this.#log.info(
      { requestId: caller.requestId, userId: claims.userId, auditId: claims.auditIds[0] },
      'token revoked',
    );
  }

  /** For who has proven something, and not enough: to be sent along with the rest. */
  async receipt({ proven }: InsufficientFactors): Promise<{ receipt: Receipt; text: string }> {
    const issuedAt = Date.now();
    const { userId, version, methods } = proven;
    const receipt = { userId, version, methods, issuedAt, expiresAt: issuedAt + receiptLifetimeMs };
    return { receipt, text: signReceipt(await this.keys.signing(), receipt) };
  }

  async #withReceipt(proven: Proven, text: string | undefined): Promise<Proven> {
    if (text === undefined) return proven;
    const keyId = receiptKeyIdOf(text);
    const key = keyId === undefined ? undefined : await this.keys.find(keyId);
    const receipt = key && verifyReceipt(key, text, Date.now());
    if (receipt?.userId !== proven.userId || receipt.version !== proven.version)
      throw unauthenticated('no such receipt');
    return { ...proven, methods: [...new Set([...receipt.methods, ...proven.methods])] };
  }

  /** One after the other: who has not the password gets no try at the passcode. */
  async #prove({ proofs, address = '' }: LoginRequest): Promise<Proven[]> {
    const proven: Proven[] = [];
    for (const proof of proofs) proven.push(await this.#proveOne(proof, address));
    return proven;
  }

  async #proveOne(proof: Proof, address: string): Promise<Proven> {
    const { query, passwords } = this.#context;
    switch (proof.method) {
      case 'password':
        return provePassword(this.#context, proof.user, proof.password, { address });
      case 'totp':
        return provePasscode(this.#context, this.credentials, proof);
      case 'application_credential':
        return proveApplicationCredential(query, passwords, proof, address);
      case 'token':
        return proveToken((await this.#subject(proof.token.reveal())).claims);
    }
  }

  async #issue(
    proven: Proven,
    { scope, trustId, requestId }: { scope: ScopeRequest; trustId: string | null; requestId: string },
  ): Promise<{ token: string; entry: TokenEntry }> {
    const { database, query, passwordRules } = this.#context;
    if (!(await noteActivity(query, passwordRules.policy, proven.userId)))
      throw unauthenticated('inactive for too long');
    const applicationCredentialId = proven.applicationCredential?.id ?? null;
    const ask = { userId: proven.userId, version: proven.version, applicationCredentialId, trustId, auditId: null };
    if (trustId !== null) await this.trusts.requireTrustee(proven.userId, trustId);
    const epoch = this.#cache.epoch;
    let read = await loadAuthorization(database, { ...ask, scope });
    // A default project is a wish: where it does not hold, the token is unscoped.
    if ('refusal' in read && scope.type === 'project' && 'defaultOfUser' in scope) {
      read = await loadAuthorization(database, { ...ask, scope: { type: 'unscoped' } });
    }
    if ('refusal' in read) throw unauthenticated(read.refusal);
    const { authorization, now } = read;
    if (trustId !== null) await this.trusts.use(proven.userId, trustId, requestId);
    const claims: Claims = {
      userId: proven.userId,
      version: proven.version,
      scope: authorization.scope,
      methods: proven.methods,
      auditIds: proven.parentAuditId ? [newAuditId(), proven.parentAuditId] : [newAuditId()],
      applicationCredentialId,
      trustId,
      issuedAt: now,
      expiresAt: Math.min(
        ...[now + this.#lifetimeMs, proven.expiresAt, authorization.trust?.expiresAt].flatMap((end) => end ?? []),
      ),
    };
    const token = signToken(await this.keys.signing(), claims);
    const entry = toEntry(claims, authorization, now);
    if (this.#mayCache()) this.#cache.put(token, entry, epoch);
    return { token, entry };
  }

  /** A valid token's entry. @throws CloudError `unauthenticated` */
  async #entry(token: string): Promise<TokenEntry> {
    if (!this.#mayCache()) return this.#read(token);
    const cached = this.#cache.get(token);
    if (cached) {
      if (cached.endsAt <= performance.now()) throw unauthenticated('token expired');
      return cached;
    }
    let reading = this.#reading.get(token);
    if (!reading) {
      const epoch = this.#cache.epoch;
      const started = this.#read(token).then((entry) => {
        this.#cache.put(token, entry, epoch);
        return entry;
      });
      reading = started.finally(() => {
        if (this.#reading.get(token) === reading) this.#reading.delete(token);
      });
      this.#reading.set(token, reading);
    }
    return reading;
  }

  async #read(token: string): Promise<TokenEntry> {
    const keyId = keyIdOf(token);
    const key = keyId === undefined ? undefined : await this.keys.find(keyId);
    const claims = key && verifyToken(key, token);
    if (!claims) throw unauthenticated('token not signed by us');
    const read = await loadAuthorization(this.#context.database, {
      userId: claims.userId,
      version: claims.version,
      scope: scopeOf(claims),
      applicationCredentialId: claims.applicationCredentialId,
      trustId: claims.trustId,
      auditId: claims.auditIds[0]!,
    });
    if ('refusal' in read) throw unauthenticated(read.refusal);
    if (claims.expiresAt <= read.now) throw unauthenticated('token expired');
    return toEntry(claims, read.authorization, read.now);
  }

  async #subject(token: string): Promise<TokenEntry> {
    try {
      return await this.#entry(token);
    } catch (error) {
      if (error instanceof CloudError && error.code === 'unauthenticated') {
        throw new CloudError('not_found', 'token_not_found', {}, { cause: error });
      }
      throw error;
    }
  }

  /** Copies count only while changes reach this process at once; what was copied before a gap is forgotten. */
  #mayCache(): boolean {
    const { listening } = this.#feed;
    if (listening !== this.#wasListening) {
      this.#wasListening = listening;
      this.#cache.clear();
      this.#reading.clear();
    }
    return listening;
  }
}

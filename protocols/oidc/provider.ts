/**
 * An OpenID Connect provider as whoever takes its word sees it: found by its issuer (OpenID Connect Discovery 1.0), its access
 * tokens verified by its keys (RFC 9068, RFC 7519) or, where they are no statements themselves, asked about (RFC 7662); and a log-in of a
 * browser there by authorization code (OpenID Connect Core 1.0, section 3.1) with a proof that only who began it can end it (RFC 7636).
 *
 * What the provider answers is bounded in time and size. Knows no user of ours and no cloud.
 */
import { createHash } from 'node:crypto';
import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';

export interface ProviderOptions {
  /** Exactly as the provider names itself. */
  issuer: string;
  /** Whom a token must be for: one of these must be its audience, or the client that it was given to. */
  audiences: readonly string[];
  /** To ask about tokens that are no statements, and to log in; without a secret it is a public one, which may only log in. */
  client?: { id: string; secret: string | null };
  /** How long the provider's configuration is believed; an hour. */
  configurationLastsMs?: number;
}

export type Claims = Readonly<Record<string, unknown>>;

/** The token is not good, or not for us; `message` is for the log. */
export class TokenRefused extends Error {}
/** The provider could not be asked. */
export class ProviderUnreachable extends Error {}

interface Configuration {
  issuer: string;
  jwks_uri?: string;
  introspection_endpoint?: string;
  userinfo_endpoint?: string;
  authorization_endpoint?: string;
  token_endpoint?: string;
  token_endpoint_auth_methods_supported?: string[];
}

/** What a log-in of a browser begins with and ends with; texts that nobody else can guess. */
export interface BrowserLogin {
  /** Where the provider sends the browser back to. */
  redirectUri: string;
  /** Is repeated in what the provider states of the user. */
  nonce: string;
  /** RFC 7636's code_verifier: its digest goes with the browser, itself with the code. */
  verifier: string;
}

const timeoutMs = 5000;
const mostBytes = 262_144;
const usualLastsMs = 3_600_000;
/** Symmetric ones and `none` are left out: a key that the provider publishes must not verify by being known. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

export class Provider {
  readonly #options: ProviderOptions;
  #configuration: Promise<Configuration> | undefined;
  #readAt = 0;
  /** With where they are: the provider may move them. */
  #keys: { uri: string; set: ReturnType<typeof createRemoteJWKSet> } | undefined;

  constructor(options: ProviderOptions) {
    this.#options = options;
  }

  /**
   * What an access token says of its bearer, with what the provider tells besides.
   * @throws TokenRefused, ProviderUnreachable
   */
  async claimsOf(token: string): Promise<Claims> {
    const own = isStatement(token) ? await this.#verify(token) : await this.#introspect(token);
    return { ...(await this.#userinfo(token, own)), ...own };
  }

  /**
   * Where a browser is sent so that its user logs in there.
   * @param login.state comes back with the browser
   * @throws ProviderUnreachable
   */
  async authorizationUrl(login: BrowserLogin & { scope: string; state: string }): Promise<string> {
    const { authorization_endpoint: endpoint } = await this.#configured();
    if (!endpoint) throw new ProviderUnreachable('it has no page to log in');
    const url = new URL(requireSafe(endpoint));
    const parameters = {
      ...{ response_type: 'code', client_id: this.#client().id, redirect_uri: login.redirectUri, scope: login.scope },
      ...{ state: login.state, nonce: login.nonce, code_challenge_method: 'S256' },
      code_challenge: createHash('sha256').update(login.verifier).digest('base64url'),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url.href;
  }

  /**
   * What the provider states of the user who logged in there, for the code that the browser came back with.
   * @throws TokenRefused, ProviderUnreachable
   */
  async claimsOfCode(code: string, { redirectUri, nonce, verifier }: BrowserLogin): Promise<Claims> {
    const given = await this.#exchange({ code, redirect_uri: redirectUri, code_verifier: verifier });
    const { id_token: statement, access_token: token } = given;
    if (typeof statement !== 'string') throw new TokenRefused('the provider states nothing of the user');
    const { id } = this.#client();
    const own = await this.#verify(statement, id);
    if (own.nonce !== nonce) throw new TokenRefused('a statement for another log-in');
    if (own.azp !== undefined && own.azp !== id) throw new TokenRefused(`a statement for ${String(own.azp)}`);
    if (typeof own.sub !== 'string') throw new TokenRefused('a statement of nobody');
    const told = typeof token === 'string' ? await this.#userinfo(token, { ...own, scope: 'openid' }) : {};
    return { ...told, ...own };
  }

  async #exchange(sent: Record<string, string>): Promise<Claims> {
    const { token_endpoint: url, token_endpoint_auth_methods_supported: ways } = await this.#configured();
    if (!url) throw new ProviderUnreachable('it gives no tokens');
    const { id, secret } = this.#client();
    const inBody = secret === null || (ways !== undefined && !ways.includes('client_secret_basic'));
    return fetchJson(
      url,
      {
        method: 'POST',
        headers: { accept: 'application/json', ...(inBody ? {} : { authorization: basic(id, secret) }) },
        body: new URLSearchParams({
          ...{ grant_type: 'authorization_code', ...sent },
          ...(inBody && { client_id: id, ...(secret !== null && { client_secret: secret }) }),
        }),
      },
      // RFC 6749, section 5.2: a code that is no good, or not any more.
      [400, 401, 403],
    );
  }

  #client(): NonNullable<ProviderOptions['client']> {
    const { client } = this.#options;
    if (!client) throw new TokenRefused('we are no client of the provider');
    return client;
  }

  /** @param audience the only one that it may be for; else one of ours */
  async #verify(token: string, audience?: string): Promise<JWTPayload> {
    const { jwks_uri: uri } = await this.#configured();
    if (!uri) throw new TokenRefused('the provider publishes no keys');
    if (this.#keys?.uri !== uri) {
      const set = createRemoteJWKSet(new URL(requireSafe(uri)), {
        timeoutDuration: timeoutMs,
        cooldownDuration: 30_000,
      });
      this.#keys = { uri, set };
    }
    try {
      const { payload } = await jwtVerify(token, this.#keys.set, {
        issuer: this.#options.issuer,
        algorithms,
        clockTolerance: 30,
        ...(audience !== undefined && { audience }),
      });
      if (payload.exp === undefined) throw new TokenRefused('a token without an end');
      if (audience === undefined) this.#requireOurs(payload);
      return payload;
    } catch (error) {
      if (error instanceof TokenRefused) throw error;
      if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
        throw new ProviderUnreachable('its keys could not be read', { cause: error });
      }
      throw new TokenRefused(error.message, { cause: error });
    }
  }

  async #introspect(token: string): Promise<Claims> {
    const { client } = this.#options;
    const { introspection_endpoint: url } = await this.#configured();
    if (!client?.secret || !url) throw new TokenRefused('the token is no statement, and nobody here may ask about it');
    const answer = await fetchJson(url, {
      method: 'POST',
      headers: { authorization: basic(client.id, client.secret) },
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    });
    if (answer.active !== true) throw new TokenRefused('the provider says that it is not active');
    if (answer.iss !== undefined && answer.iss !== this.#options.issuer) throw new TokenRefused('of another issuer');
    this.#requireOurs(answer);
    return answer;
  }

  /** More of the user, where the token is good for that (scope openid). Its subject must be the token's. */
  async #userinfo(token: string, own: Claims): Promise<Claims> {
    const { userinfo_endpoint: url } = await this.#configured();
    if (
      !url ||
      !String(own.scope ?? '')
        .split(' ')
        .includes('openid')
    )
      return {};
    // A provider may refuse that to a token for somebody else's interface, as ours is; the token is good nevertheless.
    const told = await fetchJson(url, { headers: { authorization: `Bearer ${token}` } }).catch((error) => {
      if (error instanceof TokenRefused) return undefined;
      throw error;
    });
    if (!told) return {};
    if (told.sub !== own.sub) throw new TokenRefused('the provider tells of another user');
    return told;
  }

  /** A token that was given to somebody else for something else is good there, not here. */
  #requireOurs({ aud, azp, client_id: client }: Claims): void {
    const said = [aud, azp, client].flat().filter((one) => typeof one === 'string');
    if (!said.some((one) => this.#options.audiences.includes(one))) throw new TokenRefused(`for ${said.join(', ')}`);
  }

  #configured(): Promise<Configuration> {
    const { configurationLastsMs = usualLastsMs } = this.#options;
    const now = performance.now();
    if (!this.#configuration || now - this.#readAt > configurationLastsMs) {
      this.#readAt = now;
      const reading = this.#discover();
      this.#configuration = reading;
      reading.catch(() => {
        if (this.#configuration === reading) this.#configuration = undefined;
      });
    }
    return this.#configuration;
  }

  async #discover(): Promise<Configuration> {
    const { issuer } = this.#options;
    const found = await fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {});
    if (found.issuer !== issuer) throw new ProviderUnreachable(`it calls itself ${String(found.issuer).slice(0, 200)}`);
    return found as unknown as Configuration;
  }
}

/** RFC 6749, section 2.3.1. */
const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`;

const isStatement = (token: string): boolean => {
  try {
    decodeJwt(token);
    return true;
  } catch {
    return false;
  }
};

/** TLS, but for this machine itself. @throws ProviderUnreachable */
function requireSafe(url: string): string {
  const { protocol, hostname } = URL.parse(url) ?? {};
  const local = hostname === '127.0.0.1' || hostname === '[::1]' || hostname === 'localhost';
  if (protocol === 'https:' || (protocol === 'http:' && local)) return url;
  throw new ProviderUnreachable('an address that is not https');
}

/** @param refusals statuses that speak of what was sent, not of the provider */
async function fetchJson(
  url: string,
  init: RequestInit,
  refusals: readonly number[] = [401, 403],
): Promise<Record<string, unknown>> {
  try {
    const answer = await fetch(requireSafe(url), {
      ...init,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (refusals.includes(answer.status)) throw new TokenRefused(`the provider answers ${answer.status}`);
    if (!answer.ok) throw new ProviderUnreachable(`${url} answers ${answer.status}`);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of answer.body ?? []) {
      length += part.length;
      if (length > mostBytes) throw new ProviderUnreachable(`${url} says too much`);
      parts.push(part);
    }
    const document: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
    if (document === null || typeof document !== 'object') throw new ProviderUnreachable(`${url} says nothing`);
    return document as Record<string, unknown>;
  } catch (error) {
    if (error instanceof TokenRefused || error instanceof ProviderUnreachable) throw error;
    throw new ProviderUnreachable(`${url} could not be read`, { cause: error });
  }
}

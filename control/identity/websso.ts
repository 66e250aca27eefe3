/**
 * Log-in at an OpenID provider with a browser, as dashboards begin it: the browser goes to the provider, comes back with a code, and takes a
 * token to the dashboard. Only to one that the operator trusts, since whoever gets the token is the user.
 *
 * What has to be known at the end travels with the browser, sealed: nothing is stored, any control process ends what another began, and a
 * process that dies takes nothing along. Each provider has an address of its own to send browsers back to, so that none can pass
 * another's code off as its own (RFC 9700, section 4.4.2).
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { CloudError } from '../../contract/errors.ts';
import type { FederatedLogin } from './federated-login.ts';
import { type Proven, unauthenticated } from './login.ts';
import type { Sealer } from './sealing.ts';

export interface WebSsoWish {
  /** Undefined: the only one that there is. */
  provider?: string | undefined;
  protocol: string;
  /** Where the token shall go: a page of a dashboard. */
  origin: string | undefined;
}

/** How a browser comes back. */
export interface WebSsoReturn {
  provider: string;
  protocol: string;
  /** What went with it. */
  kept: string | undefined;
  state: string | undefined;
  code: string | undefined;
  /** RFC 9207: as the provider names itself, where it does. */
  issuer: string | undefined;
  /** The provider's word where it let nobody in. */
  error: string | undefined;
}

interface Kept {
  state: string;
  nonce: string;
  verifier: string;
  provider: string;
  protocol: string;
  origin: string;
  /** Milliseconds since 1970. */
  until: number;
}

export const webSsoMinutes = 10;
/** What is sealed for this opens as nothing else. */
const purpose = 'web sso';

const secret = (): string => randomBytes(32).toString('base64url');

export class WebSso {
  readonly #sealer: Sealer;
  readonly #federated: FederatedLogin;
  readonly #trusted: readonly string[];
  readonly #base: string;

  /** @param options.base of this cloud's identity service */
  constructor(options: { sealer: Sealer; federated: FederatedLogin; trusted: readonly string[]; base: string }) {
    this.#sealer = options.sealer;
    this.#federated = options.federated;
    this.#trusted = options.trusted.map(inLowerCase);
    this.#base = options.base;
  }

  /**
   * @returns where the browser goes, and what goes with it: `kept` under a name that `state` gives
   * @throws CloudError `invalid`, `unauthenticated` for a dashboard that is not trusted, `not_found`, `forbidden`, `unavailable`
   */
  async begin({ provider, protocol, origin }: WebSsoWish): Promise<{ url: string; state: string; kept: string }> {
    if (!origin) throw new CloudError('invalid', 'websso_without_origin', {});
    if (!this.#trusted.includes(origin)) throw unauthenticated(`${origin} is no trusted dashboard`);
    const name = provider ?? (await this.#federated.onlyProvider(protocol));
    const [state, nonce, verifier] = [secret(), secret(), secret()];
    const login = { redirectUri: this.#redirectUri(name, protocol), state, nonce, verifier };
    const url = await this.#federated.authorizationUrl(name, protocol, login);
    const until = Date.now() + webSsoMinutes * 60_000;
    const kept: Kept = { state, nonce, verifier, provider: name, protocol, origin, until };
    return { url, state, kept: this.#sealer.seal(JSON.stringify(kept), purpose).toString('base64url') };
  }

  /** @throws CloudError `invalid`, `unauthenticated`, `not_found`, `forbidden`, `unavailable` */
  async finish(back: WebSsoReturn, requestId: string): Promise<{ proven: Proven; origin: string }> {
    const { provider, protocol, code, state } = back;
    if (!state) throw new CloudError('invalid', 'websso_without_state', {});
    const kept = this.#opened(back.kept);
    if (!kept || !same(kept.state, state)) throw unauthenticated('a log-in that this browser has not begun');
    if (kept.provider !== provider || kept.protocol !== protocol) throw unauthenticated('a log-in at another provider');
    if (kept.until < Date.now()) throw unauthenticated('a log-in that took too long');
    // What was trusted then may not be any more.
    if (!this.#trusted.includes(kept.origin)) throw unauthenticated(`${kept.origin} is no trusted dashboard`);
    if (back.error !== undefined) throw unauthenticated(`the provider says ${back.error.slice(0, 200)}`);
    if (!code) throw unauthenticated('the provider gave no code');
    const login = { redirectUri: this.#redirectUri(provider, protocol), nonce: kept.nonce, verifier: kept.verifier };
    const given = { code, issuer: back.issuer, login };
    return {
      proven: await this.#federated.proveByCode(provider, protocol, given, requestId),
      origin: kept.origin,
    };
  }

  #redirectUri(provider: string, protocol: string): string {
    const [one, other] = [provider, protocol].map(encodeURIComponent);
    return `${this.#base}/v3/auth/OS-FEDERATION/identity_providers/${one}/protocols/${other}/websso/callback`;
  }

  /** Undefined for what is not ours, or not any more. */
  #opened(kept: string | undefined): Kept | undefined {
    if (kept === undefined) return undefined;
    try {
      return JSON.parse(this.#sealer.open(Buffer.from(kept, 'base64url'), purpose)) as Kept;
    } catch {
      return undefined;
    }
  }
}

const same = (one: string, other: string): boolean => {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** Browsers tell hosts in lower case, people write them as they like. */
const inLowerCase = (url: string): string => url.replace(/^[a-z]+:\/\/[^/]*/i, (beginning) => beginning.toLowerCase());

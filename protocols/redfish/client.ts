/**
 * One system behind a service processor: whether it has power, what it takes, and the three things that may be asked of it. Every answer is somebody else's word: see reading.ts.
 * Owns its connection and, where the service knows nothing else, a session; both end with `close`. A process that dies leaves the session to the service's own limit.
 */
import type { Secret } from '../../contract/secret.ts';
import {
  BmcError,
  type BmcSystem,
  labelOf,
  type PowerState,
  plain,
  type ResetOptions,
  type ResetType,
  type ServiceProcessor,
  swapped,
  wattsIn,
} from '../bmc/index.ts';
import { isObject, type Json, linkAt, listAt, objectAt, pathOf, refusalOf } from './reading.ts';
import { type Answer, type RedfishTrust, Transport, type Wish } from './transport.ts';

export interface RedfishOptions {
  /** `https://NAME[:PORT]` */
  url: string;
  user: string;
  password: Secret;
  trust: RedfishTrust;
  /** Of several systems which one: its `@odata.id` or its `Id`. */
  system?: string | null;
  /** For one request and its answer. */
  timeoutMs?: number;
}

const usualTimeoutMs = 10_000;
const maxSystems = 64;
/** DSP0268, ComputerSystem. */
const states: Record<string, PowerState> = {
  ...{ On: 'on', Off: 'off', PoweringOn: 'changing', PoweringOff: 'changing', Paused: 'changing' },
};

interface Found {
  system: BmcSystem;
  body: Json;
}

export class Redfish implements ServiceProcessor {
  readonly #options: RedfishOptions;
  readonly #transport: Transport;
  #session: { token: string; path: string | undefined } | undefined;
  #path: string | undefined;
  /** Of what was found, all that was said. */
  readonly #bodies = new WeakMap<BmcSystem, Json>();

  constructor(options: RedfishOptions) {
    this.#options = options;
    const { url, trust, timeoutMs = usualTimeoutMs } = options;
    this.#transport = new Transport({ url, trust, timeoutMs });
  }

  async system(): Promise<BmcSystem> {
    return (await this.#find()).system;
  }

  async reset(type: ResetType, options: ResetOptions = {}): Promise<string> {
    const { withinMs } = options;
    const signal = withinMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(withinMs));
    const system = options.system ?? (await this.system());
    const action = objectAt(objectAt(this.#bodies.get(system), 'Actions'), '#ComputerSystem.Reset');
    const path =
      linkAt(action, 'target', this.#transport.origin) ??
      `${system.path.replace(/\/$/, '')}/Actions/ComputerSystem.Reset`;
    const { status, body: said } = await this.#ask({ method: 'POST', path, body: { ResetType: type }, signal });
    const words = [`HTTP ${status}`, refusalOf(said)].filter((part) => part !== '').join(': ');
    if (status < 200 || status > 299) throw new BmcError('refused', words);
    return words;
  }

  /** Of its first chassis. */
  async watts(): Promise<number | undefined> {
    const { body } = await this.#find();
    const [first] = listAt(objectAt(body, 'Links'), 'Chassis');
    if (first === undefined) return undefined;
    const chassis = await this.#get(pathOf(first, this.#transport.origin));
    const metrics = await this.#linked(chassis, 'EnvironmentMetrics');
    const measured = wattsIn(objectAt(metrics, 'PowerWatts').Reading);
    if (measured !== undefined) return measured;
    const [control] = listAt(await this.#linked(chassis, 'Power'), 'PowerControl');
    return wattsIn(objectAt({ control }, 'control').PowerConsumedWatts);
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session?.path !== undefined) {
      const headers = { 'x-auth-token': session.token };
      await this.#transport.ask({ method: 'DELETE', path: session.path, headers }).catch(() => {});
    }
    this.#transport.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #find(): Promise<Found> {
    this.#path ??= await this.#choose();
    const askedAt = performance.now();
    const body = await this.#get(this.#path);
    const { UUID: uuid, PowerState: power, Manufacturer, Model, SerialNumber } = body;
    const own = typeof uuid === 'string' && /^[0-9a-f-]{36}$/i.test(uuid) ? uuid.toLowerCase() : null;
    const system: BmcSystem = {
      path: this.#path,
      ...{ uuid: own, otherUuids: own === null ? [] : [swapped(own)] },
      power: (typeof power === 'string' && Object.hasOwn(states, power) && states[power]) || 'unknown',
      ...{ label: labelOf([Manufacturer, Model, SerialNumber]), askedAt },
    };
    this.#bodies.set(system, body);
    return { body, system };
  }

  /** @throws BmcError `ambiguous` */
  async #choose(): Promise<string> {
    const { system: wanted } = this.#options;
    const root = await this.#get('/redfish/v1/');
    const systems = linkAt(root, 'Systems', this.#transport.origin) ?? '/redfish/v1/Systems';
    const members = listAt(await this.#get(systems), 'Members').slice(0, maxSystems);
    const paths = members.map((member) => pathOf(member, this.#transport.origin));
    const known = paths.map((path) => plain(path, 80)).join(', ') || 'none';
    if (wanted == null) {
      if (paths.length === 1) return paths[0]!;
      throw new BmcError('ambiguous', `there are ${paths.length} systems: ${known}`);
    }
    const found = paths.find((path) => path === wanted || path.replace(/\/$/, '').endsWith(`/${wanted}`));
    if (found === undefined) throw new BmcError('ambiguous', `there is no system ${wanted}, but ${known}`);
    return found;
  }

  async #linked(from: Json, name: string): Promise<Json | undefined> {
    const path = linkAt(from, name, this.#transport.origin);
    if (path === undefined) return undefined;
    const { status, body } = await this.#ask({ method: 'GET', path });
    return status === 200 && isObject(body) ? body : undefined;
  }

  async #get(path: string): Promise<Json> {
    const { status, body } = await this.#ask({ method: 'GET', path });
    if (status !== 200) {
      const kind = status >= 500 || status === 429 ? 'unreachable' : 'malformed';
      throw new BmcError(kind, `HTTP ${status} for ${plain(path, 80)}`);
    }
    if (!isObject(body)) throw new BmcError('malformed', `no JSON object at ${plain(path, 80)}`);
    return body;
  }

  /** @throws BmcError `denied` where neither way to log in is taken */
  async #ask(wish: Wish): Promise<Answer> {
    const answer = await this.#transport.ask({ ...wish, headers: this.#authorization() });
    if (answer.status !== 401 && answer.status !== 403) return answer;
    if (answer.status === 403) throw new BmcError('denied', 'HTTP 403: the user may not do that');
    await this.#logIn(wish.signal);
    const again = await this.#transport.ask({ ...wish, headers: this.#authorization() });
    if (again.status === 401 || again.status === 403) throw new BmcError('denied', `HTTP ${again.status}`);
    return again;
  }

  #authorization(): Record<string, string> {
    if (this.#session) return { 'x-auth-token': this.#session.token };
    const { user, password } = this.#options;
    return { authorization: `Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}` };
  }

  async #logIn(signal: AbortSignal | undefined): Promise<void> {
    const { user, password } = this.#options;
    const { status, headers } = await this.#transport.ask({
      ...{ method: 'POST', path: '/redfish/v1/SessionService/Sessions' },
      body: { UserName: user, Password: password.reveal() },
      signal,
    });
    const { 'x-auth-token': token, location } = headers;
    if (status < 200 || status > 299 || typeof token !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(token))
      throw new BmcError('denied', `it does not take the user and the password (HTTP ${status})`);
    this.#session = { token, path: location === undefined ? undefined : pathOf(location, this.#transport.origin) };
  }
}

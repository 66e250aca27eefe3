/** A client of the OpenStack APIs, as small as the demo needs: log in, find what has a name, make it where it is missing. */

import type { HttpClient, HttpRequest } from '../cloud/http.ts';
import { CommandError } from '../command.ts';

export interface Credentials {
  authUrl: string;
  user: string;
  password: string;
  project: string;
}

export type Service = 'identity' | 'image' | 'network' | 'compute';
// biome-ignore lint/suspicious/noExplicitAny: bodies of foreign APIs; what is read of them is checked where it is read.
type Json = any;

/** Versions that endpoints may or may not have in their catalogue entry. */
const versionPath: Record<Service, string> = { identity: '/v3', image: '/v2', network: '/v2.0', compute: '/v2.1' };

export class OpenStack {
  readonly #http: HttpClient;
  readonly #token: string;
  readonly #catalog: { type: string; endpoints: { interface: string; url: string }[] }[];
  readonly userId: string;
  readonly projectId: string;

  private constructor(http: HttpClient, token: string, body: Json) {
    this.#http = http;
    this.#token = token;
    this.#catalog = body.token.catalog ?? [];
    this.userId = body.token.user.id;
    this.projectId = body.token.project.id;
  }

  static async login(http: HttpClient, credentials: Credentials): Promise<OpenStack> {
    const domain = { name: 'Default' };
    const user = { name: credentials.user, password: credentials.password, domain };
    const scope = { project: { name: credentials.project, domain } };
    const answer = await http.request(`${credentials.authUrl}/auth/tokens`, {
      method: 'POST',
      json: { auth: { identity: { methods: ['password'], password: { user } }, scope } },
    });
    const token = answer.headers['x-subject-token'];
    if (answer.status !== 201 || typeof token !== 'string') throw refused('log in', `as ${credentials.user}`, answer);
    return new OpenStack(http, token, answer.body);
  }

  #endpoint(service: Service): string {
    const entry = this.#catalog.find((candidate) => candidate.type === service);
    const url = entry?.endpoints.find((endpoint) => endpoint.interface === 'public')?.url.replace(/\/$/, '');
    if (url === undefined)
      throw new CommandError(`the catalogue has no public endpoint of ${service}`, "see 'bothy doctor'");
    return /\/v\d[^/]*$/.test(url) ? url : url + versionPath[service];
  }

  /** One call; refusals become errors that say what was refused and why. 404 to a GET or DELETE answers undefined. */
  async call(service: Service, method: string, path: string, options: Omit<HttpRequest, 'method'> = {}): Promise<Json> {
    const headers = { 'x-auth-token': this.#token, ...options.headers };
    const answer = await this.#http.request(this.#endpoint(service) + path, { ...options, method, headers });
    if (answer.status === 404 && (method === 'GET' || method === 'DELETE')) return undefined;
    if (answer.status >= 400) throw refused(`${method} ${service}${path}`, '', answer);
    return answer.body;
  }

  get = (service: Service, path: string): Promise<Json> => this.call(service, 'GET', path);
  post = (service: Service, path: string, json: unknown): Promise<Json> => this.call(service, 'POST', path, { json });
  put = (service: Service, path: string, json?: unknown): Promise<Json> =>
    this.call(service, 'PUT', path, json === undefined ? {} : { json });

  /** The first of a list for which the test holds; `key` names the list in the answer. */
  async find(service: Service, path: string, key: string, test: (item: Json) => boolean): Promise<Json | undefined> {
    const body = await this.get(service, path);
    return (body?.[key] as Json[] | undefined)?.find(test);
  }

  /** The resource of that name, made where there is none. */
  async ensure(
    service: Service,
    path: string,
    nouns: { one: string; many: string },
    wanted: Json,
    query = '',
  ): Promise<Json> {
    const found = await this.find(
      service,
      `${path}?name=${encodeURIComponent(wanted.name)}${query}`,
      nouns.many,
      (item) => item.name === wanted.name,
    );
    if (found !== undefined) return found;
    return (await this.post(service, path, { [nouns.one]: wanted }))[nouns.one];
  }
}

function refused(what: string, subject: string, answer: { status: number; body: unknown }): CommandError {
  return new CommandError(
    `${what}${subject === '' ? '' : ` ${subject}`} was refused with ${answer.status}: ${faultText(answer.body)}`,
    "'bothy logs control -n 20' and 'bothy doctor' tell more",
  );
}

/** OpenStack's services put their message in different places. */
function faultText(body: unknown): string {
  if (typeof body !== 'object' || body === null) return String(body).slice(0, 300);
  for (const value of [body, ...Object.values(body)]) {
    if (typeof value === 'object' && value !== null && 'message' in value) return String(value.message);
  }
  return JSON.stringify(body).slice(0, 300);
}

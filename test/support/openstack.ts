/**
 * A small OpenStack client for tests: password login, endpoints from the catalogue, JSON in and out. It shares no code
 * with the cloud, so that a mistake in ours can't hide in both.
 */
import { readFileSync } from 'node:fs';
import https from 'node:https';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by assertions, not by types
  body: any;
  headers: Record<string, string | string[] | undefined>;
}

export class OpenStack {
  readonly #authUrl: string;
  readonly #agent: https.Agent;
  readonly #ca: Buffer;
  token = '';
  projectId = '';
  #endpoints = new Map<string, string>();

  constructor(options: { authUrl: string; caFile: string }) {
    this.#authUrl = options.authUrl.replace(/\/$/, '');
    this.#ca = readFileSync(options.caFile);
    this.#agent = new https.Agent({ keepAlive: true, maxSockets: 16, ca: this.#ca });
  }

  async login(user: { name: string; password: string; project: string; domain?: string }): Promise<this> {
    const domain = { name: user.domain ?? 'Default' };
    const answer = await this.raw('POST', `${this.#authUrl}/auth/tokens`, {
      auth: {
        identity: { methods: ['password'], password: { user: { name: user.name, password: user.password, domain } } },
        scope: { project: { name: user.project, domain } },
      },
    });
    if (answer.status !== 201)
      throw new Error(`login of ${user.name}: ${answer.status} ${JSON.stringify(answer.body)}`);
    this.token = String(answer.headers['x-subject-token']);
    this.projectId = answer.body.token.project.id;
    for (const service of answer.body.token.catalog) {
      const endpoint = service.endpoints.find((e: { interface: string }) => e.interface === 'public');
      this.#endpoints.set(service.type, endpoint.url.replace(/\/$/, ''));
    }
    return this;
  }

  /** @param path below the service's endpoint; network paths start with /v2.0, image paths with /v2 */
  url(service: 'identity' | 'image' | 'network' | 'compute' | 'block-storage' | 'placement', path: string): string {
    const base = this.#endpoints.get(service);
    if (!base) throw new Error(`no endpoint of type ${service}`);
    const version = path.match(/^\/v\d[\d.]*/)?.[0];
    return version && base.endsWith(version) ? base + path.slice(version.length) : base + path;
  }

  call(
    method: string,
    service: Parameters<OpenStack['url']>[0],
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return this.raw(method, this.url(service, path), body, headers);
  }

  /** The body of an answer that must be a success. */
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  async must(method: string, service: Parameters<OpenStack['url']>[0], path: string, body?: unknown): Promise<any> {
    const answer = await this.call(method, service, path, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${service}${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  nativeUrl(path: string): string {
    return `${new URL(this.#authUrl).origin}/native/v1${path}`;
  }

  /** The body of a native answer that must be a success. */
  // biome-ignore lint/suspicious/noExplicitAny: see Answer
  async native(method: string, path: string, body?: unknown): Promise<any> {
    const answer = await this.raw(method, this.nativeUrl(path), body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  raw(method: string, url: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const bytes =
      body === undefined
        ? undefined
        : Buffer.isBuffer(body)
          ? body
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return new Promise((done, failed) => {
      const request = https.request(
        url,
        {
          method,
          agent: this.#agent,
          ca: this.#ca,
          timeout: 60_000,
          headers: {
            ...(this.token && { 'x-auth-token': this.token }),
            ...(bytes && { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
            ...headers,
          },
        },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part) => parts.push(part));
          response.on('error', failed);
          response.on('end', () => {
            const text = Buffer.concat(parts).toString();
            let parsed: unknown = text;
            try {
              parsed = text === '' ? undefined : JSON.parse(text);
            } catch {
              // Not JSON: the text itself is the answer.
            }
            done({ status: response.statusCode!, body: parsed, headers: response.headers });
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`no answer within 60 s: ${method} ${url}`)));
      request.on('error', failed);
      request.end(bytes);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

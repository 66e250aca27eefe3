/**
 * Vendor data of services of the operator's (Nova's vendordata_dynamic_targets): each is told about a server and says what its guest shall
 * know beside what every guest is told. Keeps answers for a few seconds, and nothing that must outlive it: what dies with this process, the
 * next one asks again. A guest cannot make it ask more often than that, nor wait for longer than its own request lasts; what does not
 * answer in time, or with something else than JSON, gave nothing.
 *
 * @see nova/api/metadata/vendordata_dynamic.py
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import type { DesiredServer } from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';
import { http } from '../../contract/node-http.ts';
import { Credentials } from '../../protocols/tls/index.ts';
import type { HostLogger } from '../logger.ts';
import type { VendorData } from './document.ts';

export interface VendorTarget {
  /** Of its entry in vendor_data2.json. */
  name: string;
  /** http or https. */
  url: string;
}

export interface VendorServicesOptions {
  targets: readonly VendorTarget[];
  /** PEM of the only authorities that targets' certificates may be of; absent: those that Node.js knows. */
  ca?: string | undefined;
  /** This host's, shown to a target that asks for one: by the cloud's CA it knows who calls. */
  tls?: ConstructorParameters<typeof Credentials>[0];
  log: HostLogger;
  limits?: Partial<VendorLimits>;
}

interface VendorLimits {
  /** From the request to the last byte of the answer. */
  callMs: number;
  /** As long as Nova keeps a server's metadata. */
  keptMs: number;
  /** Of one answer; as much as the file of setting vendor_data may have. */
  bytes: number;
}
const defaults: VendorLimits = { callMs: 5000, keptMs: 15_000, bytes: 65_535 };

/** What writes the answer into a document, and what reads it there, may recurse: as deep as bodies of callers may be. */
const maxDepth = 64;

interface Asked {
  /** What the services were told: another server's document is another question. */
  question: string;
  answers: readonly Promise<unknown>[];
  forget: NodeJS.Timeout | undefined;
}

export class VendorServices {
  readonly #options: VendorServicesOptions;
  readonly #limits: VendorLimits;
  readonly #credentials: Credentials | undefined;
  readonly #asked = new Map<ServerId, Asked>();
  readonly #closed = new AbortController();

  constructor(options: VendorServicesOptions) {
    this.#options = options;
    this.#limits = { ...defaults, ...options.limits };
    if (options.tls && options.targets.length > 0) this.#credentials = new Credentials(options.tls);
  }

  /** An entry for each service, within the time given: an empty one of whoever says nothing until then. Never fails. */
  async of(server: DesiredServer, withinMs = this.#limits.callMs): Promise<VendorData> {
    const { targets } = this.#options;
    if (targets.length === 0) return {};
    const { answers } = this.#ask(server);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<object>((resolve) => {
      timer = setTimeout(() => resolve({}), Math.max(0, withinMs));
    });
    const found = await Promise.all(answers.map((answer) => Promise.race([answer, late])));
    clearTimeout(timer);
    return Object.fromEntries(targets.map(({ name }, index) => [name, found[index]]));
  }

  close(): void {
    this.#closed.abort();
    for (const { forget } of this.#asked.values()) clearTimeout(forget);
    this.#asked.clear();
    this.#credentials?.close();
  }

  #ask(server: DesiredServer): Asked {
    const question = questionAbout(server);
    const known = this.#asked.get(server.id);
    if (known?.question === question) return known;
    clearTimeout(known?.forget);
    const answers = this.#options.targets.map((target) => this.#answer(target, server.id, question));
    const asked: Asked = { question, answers, forget: undefined };
    this.#asked.set(server.id, asked);
    void Promise.all(answers).then(() => {
      if (this.#closed.signal.aborted) return;
      asked.forget = setTimeout(() => {
        if (this.#asked.get(server.id) === asked) this.#asked.delete(server.id);
      }, this.#limits.keptMs).unref();
    });
    return asked;
  }

  async #answer(target: VendorTarget, serverId: ServerId, question: string): Promise<unknown> {
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(this.#limits.callMs)]);
    try {
      const response = await this.#post(target.url, question, signal);
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) {
        response.destroy();
        throw new Error(`it answered ${status}`);
      }
      const text = await textOf(response, this.#limits.bytes);
      return text === '' ? {} : readJson(text);
    } catch (error) {
      const why = signal.aborted ? 'no answer in time' : (error as Error).message;
      // Its address may have a secret in it.
      this.#options.log.warn({ serverId, service: target.name, why }, 'a service gave no vendor data');
      return {};
    }
  }

  #post(url: string, body: string, signal: AbortSignal): Promise<IncomingMessage> {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      // As Nova's: some services look at it.
      'user-agent': 'openstack-nova-vendordata',
    };
    const options = { method: 'POST', headers, signal, agent: false as const };
    const { ca } = this.#options;
    const { cert, key } = this.#credentials?.current ?? {};
    return new Promise((resolve, reject) => {
      const call: ClientRequest = url.startsWith('https:')
        ? requestTls(url, { ...options, ...(ca && { ca }), ...(cert && key && { cert, key }) })
        : http.request(url, options);
      call.on('error', reject).on('response', resolve);
      call.end(body);
    });
  }
}

/** What Nova tells, by its names. The administrator's password is not among it. */
const questionAbout = (server: DesiredServer): string =>
  JSON.stringify({
    'project-id': server.projectId,
    'instance-id': server.id,
    'image-id': server.image?.id ?? '',
    'user-data': server.userData,
    hostname: server.hostname,
    metadata: server.metadata,
    'boot-roles': (server.bootRoles ?? []).join(','),
  });

/** @throws without a word of the text: JSON.parse quotes what it can't read, and that may be a token */
function readJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('its answer is not JSON');
  }
  if (isDeeper(value, maxDepth)) throw new Error(`its answer is nested deeper than ${maxDepth} levels`);
  return value;
}

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((item) => isDeeper(item, levels - 1)));

async function textOf(response: IncomingMessage, most: number): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > most) throw new Error(`its answer has more than ${most} bytes`);
    pieces.push(piece);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
}

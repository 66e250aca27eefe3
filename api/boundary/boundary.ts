/**
 * The one way into a dialect. A route is registered with its contract; before its handler runs, path, query and body have
 * been checked: text that can be stored, no deeper than we go, and of the schema. What is refused is said in the
 * dialect's own sentences. Answers are not touched here: tests hold them to their schemas (testing/).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import { type TSchema, Type } from 'typebox';
import type { CloudError } from '../../contract/errors.ts';
import { type Chosen, chosenAction, hasVersion, onlyMember } from './actions.ts';
import { faultsOf, fits } from './check.ts';
import {
  type ActionContract,
  type Asked,
  type Contract,
  type Part,
  type RouteEntry,
  type Sentences,
  Versions,
} from './contract.ts';
import { headersOf } from './headers.ts';
import { Refusal } from './refusal.ts';
import { unstorable } from './storable.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the route takes and answers. */
    contract?: Contract;
    /** No route of the dialect: it only says that the method is wrong. */
    refusesMethod?: true;
  }
}

export interface BoundaryOptions {
  sentences: Sentences;
  /** Which version of versioned schemas a request asks for. */
  versionOf?(request: FastifyRequest): number;
  /** What a caller must be beside what the services ask for. @throws CloudError */
  permit?(contract: Pick<Contract, 'summary' | 'rights'>, request: FastifyRequest): void;
}

type Handler<Path extends string, C extends Contract> = (request: Asked<Path, C>, reply: FastifyReply) => unknown;

export class Boundary {
  /** All routes so far, in the order of registration. */
  readonly entries: RouteEntry[] = [];
  readonly #app: FastifyInstance;
  readonly #options: BoundaryOptions;

  constructor(app: FastifyInstance, options: BoundaryOptions) {
    this.#app = app;
    this.#options = options;
  }

  get<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['GET'], path, contract, handler);
  }

  /** GET, and HEAD with the same answer less its body. */
  read<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['GET', 'HEAD'], path, contract, handler);
  }

  post<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['POST'], path, contract, handler);
  }

  put<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['PUT'], path, contract, handler);
  }

  patch<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['PATCH'], path, contract, handler);
  }

  delete<Path extends string, const C extends Contract>(path: Path, contract: C, handler: Handler<Path, C>): void {
    this.route(['DELETE'], path, contract, handler);
  }

  /** POST of one of several things, which the only member of the body names. */
  actions<Path extends string, A extends ActionContract>(
    path: Path,
    contract: Pick<Contract, 'summary' | 'rights'>,
    actions: Readonly<Record<string, A>>,
    perform: (request: Asked<Path, Contract>, reply: FastifyReply, chosen: Chosen<A>) => unknown,
  ): void {
    this.post(path, { ...contract, actions, answers: {} } as Contract, (request, reply) =>
      perform(request as never, reply, chosenAction(actions, request.body)!),
    );
  }

  route<Path extends string, const C extends Contract>(
    methods: readonly HTTPMethods[],
    path: Path,
    contract: C,
    handler: Handler<Path, C>,
  ): void {
    const url = `${this.#app.prefix}${path}`.replace(/(.)\/$/, '$1');
    for (const method of methods) this.entries.push({ method: String(method), url, contract });
    this.#app.route({
      method: [...methods],
      url: path,
      config: { contract, open: contract.rights === 'open' },
      handler: (request, reply) => {
        this.#requireVersion(contract, request);
        this.#options.permit?.(contract, request);
        this.#check('path', request.params, contract, request);
        this.#check('query', request.query, contract, request);
        if (contract.headers) this.#check('headers', headersOf(request), contract, request);
        if (!contract.bytes) this.#check('body', request.body, contract, request);
        if (contract.actions) this.#checkAction(contract.actions, request);
        return handler(request as unknown as Asked<Path, C>, reply);
      },
    });
  }

  /** For the paths so far: any other method is refused, by the words for the methods that there are. */
  refuseOtherMethods(refusal: (allowed: readonly string[]) => CloudError): void {
    const byUrl = Map.groupBy(this.entries, ({ url }) => url.slice(this.#app.prefix.length));
    for (const [url, entries] of byUrl) {
      if (url === '') continue;
      const allowed = entries.map(({ method }) => method);
      const handler = async () => {
        throw refusal(allowed);
      };
      const method = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((one) => !allowed.includes(one));
      this.#app.route({ method, url, config: { refusesMethod: true }, handler });
    }
  }

  /** In a version that does not have it a route is like a path that never was. */
  #requireVersion({ versions }: Contract, request: FastifyRequest): void {
    if (hasVersion(versions, this.#versionOf(request))) return;
    throw new Refusal('not_found', 'The resource could not be found.');
  }

  #checkAction(actions: Readonly<Record<string, ActionContract>>, request: FastifyRequest): void {
    const chosen = chosenAction(actions, request.body);
    if (!chosen) {
      const name = onlyMember(request.body);
      throw this.#options.sentences.noAction?.(name) ?? new Refusal('invalid', 'the body names no action of this page');
    }
    this.#requireVersion(chosen.action, request);
    this.#options.permit?.(chosen.action, request);
    this.#fit('body', chosen.argument, chosen.action, request);
  }

  /** @throws CloudError in the dialect's words */
  #check(part: Part, value: unknown, contract: Contract, request: FastifyRequest): void {
    const { sentences } = this.#options;
    const why = unstorable(value);
    if (why !== undefined) {
      throw sentences.unstorable?.(part, why) ?? new Refusal('invalid', `the ${part} can't be taken: ${why}`);
    }
    this.#fit(part, value, contract, request);
  }

  #fit(part: Part, value: unknown, contract: Contract, request: FastifyRequest): void {
    const { sentences } = this.#options;
    const schema = this.#schema(part === 'path' ? pathSchema(contract) : contract[part], request);
    if (schema === undefined || fits(schema, value)) return;
    contract.explain?.[part]?.(value, request);
    throw sentences.refuse(part, { errors: faultsOf(schema, value), value, contract });
  }

  #schema(schema: TSchema | Versions | undefined, request: FastifyRequest): TSchema | undefined {
    return schema instanceof Versions ? schema.at(this.#versionOf(request)) : schema;
  }

  #versionOf(request: FastifyRequest): number {
    return this.#options.versionOf?.(request) ?? 1;
  }
}

const pathSchemas = new WeakMap<object, TSchema>();

/** Of those parameters that are more than a text. */
function pathSchema({ path }: Contract): TSchema | undefined {
  if (!path) return undefined;
  const schema = pathSchemas.get(path) ?? Type.Object(path);
  pathSchemas.set(path, schema);
  return schema;
}

/**
 * What a route takes and answers, said once. From a contract come the check of a request, the types of its handler, the
 * route's entry in the OpenAPI document, and the tests that hold every route to it.
 */
import type { FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { CloudError } from '../../contract/errors.ts';

/**
 * The least that a caller must be. Finer rules (whose resource it is, which policy) stay with the services; tests walk
 * all routes and prove that less than this is refused.
 *
 * - `open`: anybody, without a token
 * - `caller`: whoever has a token
 * - `reader`, `member`, `manager`: that role in a project
 * - `service`: a service of the cloud, or an administrator
 * - `admin`: an administrator
 */
export type Rights = 'open' | 'caller' | 'reader' | 'member' | 'manager' | 'service' | 'admin';

/** The parts of a request that have a schema. */
export type Part = 'path' | 'query' | 'headers' | 'body';

/** A schema that depends on the version that a request asks for (Nova's microversions). */
export class Versions<T extends TSchema = TSchema> {
  /** By the first version that each is of. */
  readonly brackets: Readonly<Record<number, () => T>>;
  readonly #starts: readonly number[];
  readonly #made = new Map<number, T>();

  constructor(brackets: Readonly<Record<number, () => T>>) {
    this.brackets = brackets;
    this.#starts = Object.keys(brackets)
      .map(Number)
      .sort((a, b) => b - a);
  }

  /** The newest schema that is not newer than the version; each is made when first asked for. */
  at(version: number): T {
    const start = this.#starts.find((one) => one <= version) ?? this.#starts.at(-1)!;
    let schema = this.#made.get(start);
    if (!schema) {
      schema = this.brackets[start]!();
      this.#made.set(start, schema);
    }
    return schema;
  }

  /** First and last version (undefined: the newest that there is) of each schema, oldest first. */
  ranges(): { from: number; to: number | undefined; schema: T }[] {
    const starts = [...this.#starts].reverse();
    return starts.map((from, index) => {
      const next = starts[index + 1];
      return { from, to: next === undefined ? undefined : next - 1, schema: this.at(from) };
    });
  }
}

export interface Contract {
  /** What it does, in some words. */
  summary: string;
  rights: Rights;
  /** Schemas of path parameters that are more than a text; all others are texts. */
  path?: Readonly<Record<string, TSchema>>;
  /** Values are texts, or lists of texts where a parameter repeats. Default: what comes is overlooked. */
  query?: TSchema | Versions;
  /** Those that are input, as {@link headersOf} reads them: names in lower case, values texts. Others are overlooked. */
  headers?: TSchema;
  body?: TSchema | Versions;
  /** Media types of the body, where it is not plain JSON. */
  bodyTypes?: readonly string[];
  /** The body is a stream of bytes of this type; it is left on the wire. */
  bytes?: string;
  /** By status; null: without a body; a text: bytes of that media type. A refusal has its dialect's form. */
  answers: Readonly<Record<number, TSchema | Versions | string | null>>;
  /** Throws the service's own sentence for what the schema refuses; where it finds none, the dialect's general one is said. */
  explain?: Partial<Record<Part, (value: unknown, request: FastifyRequest) => unknown>>;
  /** Says 501: a client may call it, and hears that it comes later. */
  later?: true;
  /** The first and the last version that have the route; in others it is not there. */
  versions?: { from?: number; to?: number };
  /**
   * For a dialect whose operations the router can't tell apart (S3: by parameters of the query, and keys that look like paths): its one
   * route lists them here, each with its own contract; documents and tests read these instead of the route.
   */
  operations?: readonly RouteEntry[];
  /** What the route can do, by the name that the body's only member has; its value is what the action's own `body` describes. */
  actions?: Readonly<Record<string, ActionContract>>;
}

/** One of several things that a route does (actions.ts). Its rights and versions are its own. */
export type ActionContract = Pick<
  Contract,
  'summary' | 'rights' | 'body' | 'answers' | 'explain' | 'later' | 'versions'
>;

/** A route as it was registered, with its full path. */
export interface RouteEntry {
  method: string;
  /** In Fastify's form, with the dialect's prefix: `/compute/v2.1/servers/:id`. */
  url: string;
  contract: Contract;
}

export type Input<S, Otherwise> = S extends Versions<infer T> ? Static<T> : S extends TSchema ? Static<S> : Otherwise;

type Names<Path extends string> = string extends Path
  ? string
  : Path extends `${string}:${infer Name}/${infer Rest}`
    ? Name | Names<`/${Rest}`>
    : Path extends `${string}:${infer Name}`
      ? Name
      : never;

/** A request that met its contract. */
export type Asked<Path extends string, C extends Contract> = FastifyRequest<{
  Params: { [Name in Names<Path>]: string };
  Querystring: Input<C['query'], unknown>;
  Body: Input<C['body'], unknown>;
}>;

/** How a dialect says no. */
export interface Sentences {
  /** For what a schema refuses. */
  refuse(part: Part, fault: SchemaFault): CloudError;
  /** For text that can't be stored, or a body that is nested too deeply. */
  unstorable?(part: Part, why: string): CloudError;
  /** For a body that names no action or several (undefined), or one that there is not. */
  noAction?(name: string | undefined): CloudError;
}

/** Where a value breaks its schema. */
export interface SchemaFault {
  /** All that is wrong, as the validator tells it. */
  errors: readonly SchemaError[];
  value: unknown;
  contract: Contract;
}

export interface SchemaError {
  keyword: string;
  /** A JSON pointer into the schema. */
  schemaPath: string;
  /** A JSON pointer. */
  instancePath: string;
  params: Record<string, unknown>;
  message: string;
}

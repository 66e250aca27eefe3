/**
 * OpenAPI 3.1 from a table of routes. Schemas with a title become components. What depends on a microversion is written as
 * OpenStack's own documents do it: `oneOf`, each with `x-openstack` and the versions that it is of.
 */
import type { TSchema } from 'typebox';
import { wholeBody } from './actions.ts';
import { type ActionContract, type Contract, type RouteEntry, Versions } from './contract.ts';
import { headerOf } from './headers.ts';

export interface ApiInfo {
  title: string;
  /** Of one with microversions the newest: `3.70`. What depends on them is written with its major number. */
  version: string;
  description: string;
  /** The form of every refusal. */
  fault: TSchema;
  /** Media type of refusals, where it is not JSON only. */
  faultTypes?: readonly string[];
}

type Json = Record<string, unknown>;

interface Written {
  schemas: Json;
  /** Says the microversion that has this minor number. */
  version(minor: number): string;
}

export function openApiDocument(info: ApiInfo, entries: readonly RouteEntry[]): Json {
  const schemas: Json = {};
  const [major] = info.version.split('.');
  const document: Written = { schemas, version: (minor) => `${major}.${minor}` };
  const write: Write = Object.assign((schema: TSchema | Versions) => written(schema, document), document);
  const paths: Record<string, Json> = {};
  for (const { method, url, contract } of entries) {
    const path = url.replace(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = operationOf({ method, url, contract }, info, write);
  }
  return {
    openapi: '3.1.0',
    info: { title: info.title, version: info.version, description: info.description },
    paths: sorted(paths),
    components: {
      schemas: sorted(schemas),
      securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
    },
  };
}

type Write = ((schema: TSchema | Versions) => Json) & Pick<Written, 'version'>;

function operationOf({ method, url, contract }: RouteEntry, info: ApiInfo, write: Write): Json {
  const bytes = contract.bytes && { [contract.bytes]: { schema: { type: 'string', format: 'binary' } } };
  const body = contract.actions ? actionBodies(contract.actions, write) : contract.body && write(contract.body);
  const content = body ? contentOf(body, contract.bodyTypes) : bytes;
  const parameters = [
    ...pathParameters(url, contract.path ?? {}, write),
    ...queryParameters(contract.query, write),
    ...headerParameters(contract.headers, write),
  ];
  return {
    summary: contract.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(content ? { requestBody: { required: true, content } } : {}),
    responses: {
      ...Object.fromEntries(answersOf(contract).map(([status, answers]) => [status, answerOf(method, answers, write)])),
      ...(contract.later ? { 501: { description: 'Not in this release' } } : {}),
      default: {
        description: 'A refusal',
        content: contentOf(write(info.fault), info.faultTypes),
      },
    },
    ...(contract.versions ? { 'x-openstack': versionsOf(contract.versions, write) } : {}),
    security: contract.rights === 'open' ? [] : [{ token: [] }],
    'x-bothy-rights': contract.rights,
  };
}

const contentOf = (schema: Json, types: readonly string[] = ['application/json']): Json =>
  Object.fromEntries(types.map((type) => [type, { schema }]));

/** Each with the versions that it is of, as OpenStack's own documents write it. */
function actionBodies(actions: Readonly<Record<string, ActionContract>>, write: Write): Json {
  return {
    oneOf: Object.entries(actions).map(([name, action]) => ({
      ...write(wholeBody(name, action)),
      description: action.summary,
      'x-openstack': { 'action-name': name, ...versionsOf(action.versions, write) },
      'x-bothy-rights': action.rights,
      ...(action.later ? { deprecated: true } : {}),
    })),
    'x-openstack': { discriminator: 'action' },
  };
}

const versionsOf = (
  { from, to }: NonNullable<Contract['versions']> = {},
  { version }: Pick<Written, 'version'>,
): Json => ({
  ...(from === undefined ? {} : { 'min-ver': version(from) }),
  ...(to === undefined ? {} : { 'max-ver': version(to) }),
});

type Answer = TSchema | Versions | string | null;

/** By status: of a route with actions all that any of them answers. */
function answersOf({ answers, actions }: Contract): [status: string, Answer[]][] {
  if (!actions) return Object.entries(answers).map(([status, answer]) => [status, [answer]]);
  const all = new Map<string, Set<Answer>>();
  for (const action of Object.values(actions)) {
    for (const [status, answer] of Object.entries(action.answers)) {
      all.set(status, (all.get(status) ?? new Set()).add(answer));
    }
  }
  return [...all].map(([status, answers]) => [status, [...answers]]);
}

function answerOf(method: string, answers: readonly Answer[], write: (schema: TSchema | Versions) => Json): Json {
  const description = 'Done';
  if (method === 'HEAD') return { description };
  const bytes = answers.find((answer) => typeof answer === 'string');
  if (bytes !== undefined)
    return { description, content: { [bytes]: { schema: { type: 'string', format: 'binary' } } } };
  const schemas = answers.filter((answer) => answer !== null).map((answer) => write(answer as TSchema | Versions));
  if (schemas.length === 0) return { description };
  return {
    description,
    content: { 'application/json': { schema: schemas.length === 1 ? schemas[0] : { oneOf: schemas } } },
  };
}

function pathParameters(
  url: string,
  known: Readonly<Record<string, TSchema>>,
  write: (schema: TSchema) => Json,
): Json[] {
  return [...url.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: known[name!] ? write(known[name!]!) : { type: 'string' },
  }));
}

/** Of versioned queries the newest: it has all parameters that there ever were. */
function queryParameters(query: TSchema | Versions | undefined, write: (schema: TSchema) => Json): Json[] {
  if (!query) return [];
  const schema = (query instanceof Versions ? query.ranges().at(-1)!.schema : query) as Json;
  const required = (schema.required ?? []) as string[];
  return Object.entries((schema.properties ?? {}) as Record<string, TSchema>).map(([name, one]) => ({
    name,
    in: 'query',
    ...(required.includes(name) ? { required: true } : {}),
    schema: write(one),
  }));
}

/** Of names that begin alike one stands for all: `x-object-meta-*`. */
function headerParameters(headers: TSchema | undefined, write: (schema: TSchema) => Json): Json[] {
  const { properties = {}, patternProperties = {} } = (headers ?? {}) as Record<string, Record<string, TSchema>>;
  const alike = Object.entries(patternProperties).map(([pattern, one]) => [`${headerOf(pattern)}*`, one] as const);
  return [...Object.entries(properties), ...alike].map(([name, one]) => ({ name, in: 'header', schema: write(one) }));
}

/** The schema as JSON, without what only our validator reads; titled parts are moved to the components. */
function written(schema: TSchema | Versions, document: Written): Json {
  if (schema instanceof Versions) {
    const ranges = schema.ranges();
    if (ranges.length === 1) return written(ranges[0]!.schema, document);
    return {
      oneOf: ranges.map(({ from, to, schema: one }) => ({
        ...plain(one, document),
        'x-openstack': versionsOf({ from, ...(to !== undefined && { to }) }, document),
      })),
      'x-openstack': { discriminator: 'microversion' },
    };
  }
  const { title } = schema as { title?: string };
  if (title === undefined) return plain(schema, document);
  const name = title.replaceAll(/[^A-Za-z0-9]/g, '');
  const { schemas } = document;
  if (!Object.hasOwn(schemas, name)) {
    schemas[name] = {};
    schemas[name] = plain(schema, document);
  }
  return { $ref: `#/components/schemas/${name}` };
}

function plain(schema: unknown, document: Written): Json {
  const result: Json = {};
  for (const [key, value] of Object.entries(schema as Json)) {
    if (key.startsWith('~')) continue;
    result[key] = inner(value, document, { schemas: key === 'properties' || key === 'patternProperties' });
  }
  return result;
}

/** @param options.schemas the value's members are schemas by name, so that a property may be called `title` */
function inner(value: unknown, document: Written, options: { schemas: boolean }): unknown {
  if (Array.isArray(value)) return value.map((item) => inner(item, document, { schemas: false }));
  if (typeof value !== 'object' || value === null) return value;
  if (options.schemas) {
    return Object.fromEntries(
      Object.entries(value).map(([name, schema]) => [name, written(schema as TSchema, document)]),
    );
  }
  return written(value as TSchema, document);
}

const sorted = (members: Json): Json =>
  Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

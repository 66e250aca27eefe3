/** What the routes of Identity v3 share: ids, filters, pages, links, attributes that Keystone keeps unread. */
import type { FastifyRequest } from 'fastify';
import { type TUnsafe, Type } from 'typebox';
import { CloudError } from '../../../contract/errors.ts';
import { type DomainId, parseId } from '../../../contract/ids.ts';
import type { Page, PageRequest } from '../../../control/identity/directory.ts';
import type { EntryChange } from '../../../control/identity/entries.ts';
import type { IdentityService } from '../../../control/identity/index.ts';
import type { Extra } from '../../../control/identity/tables.ts';
import type { Caller } from '../../../control/kit/caller.ts';
import { type Noun, notFound } from '../../../control/kit/refusal.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';

export interface Deps {
  identity: IdentityService;
  /** Where this dialect is reached, e.g. https://cloud.example:8443/identity */
  base: string;
}
export type Routes = (app: Boundary, deps: Deps) => void;

export const text = Type.String({ maxLength: 65_535 });
export const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
/** Keystone takes booleans from JSON only. */
export const flag = Type.Boolean();
export const options = Type.Record(Type.String(), Type.Unknown());
export const tags = Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 1000 });

/** `{noun: schema}`, as all of Keystone's requests; what else the object holds is kept. */
export const wrapped = <const Noun extends string>(
  noun: Noun,
  properties: Parameters<typeof Type.Object>[0],
  required: string[] = [],
) => {
  const name = noun.replaceAll('_', ' ');
  const title = required.length > 0 ? `New ${name}` : `${name[0]!.toUpperCase()}${name.slice(1)} change`;
  const inner = Type.Unsafe<Record<string, unknown>>({
    ...Type.Object(properties, { title, additionalProperties: true }),
    required,
  });
  return Type.Object({ [noun]: inner } as Record<Noun, TUnsafe<Record<string, unknown>>>);
};

const repeatable = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));

/** A query of these. Keystone overlooks what else there is, and of what repeats it takes the last. */
export const asks = (...names: string[]) => Type.Object(Object.fromEntries(names.map((name) => [name, repeatable])));
export const pageWords = ['limit', 'marker'] as const;

/** A request to a path with these parameters. */
export type With<Names extends string = 'id'> = FastifyRequest & { params: Record<Names, string> };

export const query = (request: FastifyRequest): Record<string, string | undefined> => {
  const given = request.query as Record<string, string | string[]>;
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key, Array.isArray(value) ? value.at(-1) : value]),
  );
};

function markerOf(given: string): string {
  const id = parseId(given);
  if (!id) throw new CloudError('not_found', 'marker_not_found', { marker: given });
  return id;
}

/** @throws CloudError `not_found` where the text is no id: it names nothing */
export function pathId<T extends string>(given: string | undefined, noun: Noun): T {
  const id = parseId<T>(given ?? '');
  if (!id) throw notFound(noun, given ?? '');
  return id;
}

/** An id that nothing has. */
export const nothing = '00000000-0000-0000-0000-000000000000';

/** For filters and proofs: a text that is no id is an id that nothing has. */
export const anyId = <T extends string>(given: string): T => parseId<T>(given) ?? (nothing as T);
export const filterId = <T extends string>(given: string | undefined): T | undefined =>
  given === undefined ? undefined : anyId<T>(given);

/**
 * The default domain's id is `default`, as in every Keystone: clients write it down and compare it with what they get. Its row has
 * a UUID like all rows; the two meet here, on the way in and in {@link shownDomainId} on the way out, and nowhere else.
 */
const defaultName = 'default';

/** A domain's id as callers write it. */
export const domainId = (deps: Deps, given: string): DomainId =>
  given === defaultName ? deps.identity.defaultDomainId : anyId<DomainId>(given);
export const filterDomainId = (deps: Deps, given: string | undefined): DomainId | undefined =>
  given === undefined ? undefined : domainId(deps, given);

/** A domain's id as callers read it. */
export const shownDomainId = <T extends string | null>(deps: Deps, id: T): T | typeof defaultName =>
  (id as string | null) === deps.identity.defaultDomainId ? defaultName : id;

/** Keystone's reading of a flag in a query: there, and not `0` or `false`. */
export const queryFlag = (value: string | undefined): boolean =>
  value !== undefined && !['0', 'false', 'no', 'off'].includes(value.toLowerCase());
export const queryBoolean = (value: string | undefined): boolean | undefined =>
  value === undefined ? undefined : queryFlag(value);

const maxLimit = 10_000;

/** @throws CloudError `invalid` */
export function pageOf(request: FastifyRequest): PageRequest {
  const { limit, marker } = query(request);
  const page: PageRequest = {};
  if (limit !== undefined) {
    if (!/^\d{1,9}$/.test(limit)) throw new Refusal('invalid', `limit ${limit} is no whole number`);
    const wanted = Math.min(Number(limit), maxLimit);
    if (wanted > 0) page.limit = wanted;
  }
  if (marker !== undefined) page.marker = markerOf(marker);
  return page;
}

/** A collection with its links. */
export function collection<Row>(
  deps: Deps,
  request: FastifyRequest,
  name: string,
  page: Page<Row> | Row[],
  view: (row: Row) => unknown,
) {
  const { rows, next } = Array.isArray(page) ? { rows: page, next: null } : page;
  return {
    [name]: rows.map(view),
    links: { self: here(deps, request), previous: null, next: nextLink(deps, request, next) },
  };
}

/** The address of this request, as clients see it. */
const here = (deps: Deps, request: FastifyRequest): string => `${deps.base}${request.url.replace(/^\/identity/, '')}`;

function nextLink(deps: Deps, request: FastifyRequest, marker: string | null): string | null {
  if (marker === null) return null;
  const url = new URL(here(deps, request));
  url.searchParams.set('marker', marker);
  return url.href;
}

/** The attributes of a resource that Keystone stores without knowing them. */
export function extraOf(given: Record<string, unknown>, known: readonly string[]): Extra {
  return Object.fromEntries(
    Object.entries(given).filter(([key]) => !known.includes(key) && key !== 'id' && key !== 'links'),
  );
}

/** The change of an entry that a request asks for; what its kind does not know is further attributes. */
export function changeOf(given: Record<string, unknown>, properties: object): EntryChange {
  const known = Object.keys(properties);
  const common = ['name', 'description', 'enabled', 'tags', 'options'].filter((name) => known.includes(name));
  return { ...Object.fromEntries(common.map((name) => [name, given[name]])), extra: extraOf(given, known) };
}

/** The domain that a new entry shall be in: as given, or the one of the caller's scope. */
export const domainOfNew = (deps: Deps, caller: Caller, given: string | null | undefined): DomainId =>
  given ? domainId(deps, given) : (caller.domainId ?? caller.projectDomainId ?? deps.identity.defaultDomainId);

/** A resource keeps its id: one that a change names is the one of its path. */
export async function idMustStay({ method, params, body }: FastifyRequest): Promise<void> {
  const { id } = (params ?? {}) as { id?: string };
  if (method !== 'PATCH' || id === undefined || typeof body !== 'object' || body === null) return;
  for (const change of Object.values(body) as unknown[]) {
    if (typeof change !== 'object' || change === null || !Object.hasOwn(change, 'id')) continue;
    const named = (change as { id: unknown }).id;
    if (named === null || named === id) continue;
    if (typeof named === 'string' && parseId(named) !== undefined && parseId(named) === parseId(id)) continue;
    throw new Refusal('invalid', 'Cannot change ID');
  }
}

/** @throws CloudError `invalid` where a request would change what can't change */
export function mustStay(given: unknown, present: string | null, attribute: string): void {
  if (given === undefined || given === present) return;
  if (typeof given === 'string' && present !== null && parseId(given) === present) return;
  throw new Refusal('invalid', `${attribute} can not be changed`);
}

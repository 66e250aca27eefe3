/** The five operations that all of Neutron's resources share, from one description of a resource. */
import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin } from '../../../control/kit/caller.ts';
import type { Listing, ListQuery } from '../../../control/kit/listing.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import { type Attributes, badRequest, readPost, readPut } from './attributes.ts';
import { answers, fieldsQuery, listQuery, postBody, putBody } from './contracts.ts';
import { callerFor } from './if-match.ts';
import { pageLinks, type RawQuery, readListQuery } from './list-query.ts';

export type View = Record<string, unknown>;

// biome-ignore lint/suspicious/noExplicitAny: a resource reads its wishes by its own attributes; the pairing is per resource
export interface Resource<Row extends { id: string } = any> {
  /** Key of one in a body, e.g. 'floatingip'. */
  single: string;
  plural: string;
  /** Path segment, e.g. 'security-groups'. */
  path: string;
  attributes: Attributes;
  listing: Listing<Row>;
  view(row: Row, caller: Caller): View;
  list(caller: Caller, query: ListQuery): Promise<Row[]>;
  read(caller: Caller, id: string): Promise<Row>;
  /** Many at once where `bulk`, else one. */
  create?(caller: Caller, wishes: Record<string, unknown>[]): Promise<Row[]>;
  bulk?: boolean;
  update?(caller: Caller, id: string, wish: Record<string, unknown>): Promise<Row>;
  delete(caller: Caller, id: string): Promise<void>;
  /** Who makes, changes and deletes; default: members of its project. */
  writers?: 'admin';
}

/** The id in a path; what is no id names nothing. */
export function idOf(request: FastifyRequest, resource: Pick<Resource, 'listing'>): string {
  const { id } = request.params as { id: string };
  const parsed = parseId(id);
  if (parsed === undefined) throw notFound(resource.listing.noun, id.slice(0, 255));
  return parsed;
}

const only = (view: View, fields: readonly string[] | undefined): View =>
  fields ? Object.fromEntries(Object.entries(view).filter(([name]) => fields.includes(name))) : view;

const fieldsOf = (request: FastifyRequest): string[] | undefined => {
  const { fields } = request.query as RawQuery;
  if (fields === undefined) return undefined;
  return Array.isArray(fields) ? fields : [fields];
};

/** One that is found and made below another: how it is for this parent. Its path may name the parameter. */
export type Bound = (request: FastifyRequest) => Resource;

/**
 * @param bound for one that is below another (`floatingips/:floatingip_id/…`): the same, for the one in the request's path
 */
export function addResource(
  app: Boundary,
  baseUrl: (request: FastifyRequest) => string,
  resource: Resource,
  bound: Bound = () => resource,
): void {
  const { single, path, attributes, listing } = resource;
  const shown = answers(resource);
  addReads(app, baseUrl, resource, bound, shown);
  const { writers = 'member' } = resource;
  const noun = single.replaceAll('_', ' ');
  if (resource.create) {
    const names = { single, plural: resource.plural };
    const contract = {
      summary: resource.bulk ? `Create one or more ${noun}s` : `Create a ${noun}`,
      rights: writers,
      body: postBody(resource),
      answers: { 201: shown.made },
      explain: { body: (body: unknown) => readPost(names, attributes, body) },
    } as const;
    app.post(`/v2.0/${path}`, contract, async (request, reply) => {
      const caller = callerOf(request);
      const { bulk, wishes } = readPost(names, attributes, request.body);
      if (bulk && !resource.bulk) throw badRequest('Bulk operation not supported');
      const { create } = bound(request) as Required<Resource>;
      const rows = await create(caller, wishes);
      const views = rows.map((row) => resource.view(row, caller));
      return reply.code(201).send(bulk ? { [resource.plural]: views } : { [single]: views[0] });
    });
  }
  if (resource.update) {
    const contract = {
      summary: `Change a ${noun}`,
      rights: writers,
      body: putBody(resource),
      answers: { 200: shown.one },
      explain: { body: (body: unknown) => readPut(single, attributes, body) },
    } as const;
    app.put(`/v2.0/${path}/:id`, contract, async (request) => {
      const id = idOf(request, resource);
      const caller = callerFor(request, listing.noun, id);
      const { update } = bound(request) as Required<Resource>;
      const row = await update(caller, id, readPut(single, attributes, request.body));
      return { [single]: resource.view(row, caller) };
    });
  }
  const remove = { summary: `Delete a ${noun}`, rights: writers, answers: { 204: null } } as const;
  app.delete(`/v2.0/${path}/:id`, remove, async (request, reply) => {
    const id = idOf(request, { listing });
    await bound(request).delete(callerFor(request, listing.noun, id), id);
    return reply.code(204).send();
  });
}

function addReads(
  app: Boundary,
  baseUrl: (request: FastifyRequest) => string,
  resource: Resource,
  bound: Bound,
  shown: ReturnType<typeof answers>,
): void {
  const { single, plural, path, attributes, listing } = resource;
  const noun = single.replaceAll('_', ' ');
  const list = {
    summary: `List ${noun}s`,
    rights: 'reader',
    query: listQuery(attributes, listing.columns),
    answers: { 200: shown.list },
    explain: { query: (raw: unknown) => readListQuery(raw as RawQuery, attributes, listing, { admin: true }) },
  } as const;
  app.get(`/v2.0/${path}`, list, async (request) => {
    const caller = callerOf(request);
    const raw = request.query as RawQuery;
    const { query, fields } = readListQuery(raw, attributes, listing, { admin: isAdmin(caller) });
    const { list: rowsFor, path: place } = bound(request);
    const rows = await rowsFor(caller, query);
    const views = rows.map((row) => resource.view(row, caller));
    const body: View = { [plural]: fields ? views.map((view) => only(view, fields)) : views };
    const links = pageLinks(
      `${baseUrl(request)}/v2.0/${place}`,
      raw,
      query,
      rows.map(({ id }) => id as string),
    );
    if (links.length > 0) body[`${plural}_links`] = links;
    return body;
  });
  const show = {
    summary: `Show a ${noun}`,
    rights: 'reader',
    query: fieldsQuery,
    answers: { 200: shown.onePart },
  } as const;
  app.get(`/v2.0/${path}/:id`, show, async (request) => {
    const caller = callerOf(request);
    const row = await bound(request).read(caller, idOf(request, resource));
    return { [single]: only(resource.view(row, caller), fieldsOf(request)) };
  });
}

/** The last that was written. Rows of a list are often of one moment, and most were never changed: to write each anew was a tenth of a long list. */
let written = { second: Number.NaN, text: '' };

/** Neutron's times have no fraction. */
export const time = (at: Date | string): string => {
  const second = Math.floor((typeof at === 'string' ? Date.parse(at) : at.getTime()) / 1000);
  if (second !== written.second) {
    written = { second, text: `${new Date(second * 1000).toISOString().slice(0, 19)}Z` };
  }
  return written.text;
};

interface StandardRow {
  id: string;
  project_id: string;
  generation: number;
  created_at: Date | string;
  updated_at: Date | string;
}

/** What every resource shows. */
export const standardView = (row: StandardRow & { tags?: string[]; description: string }) => ({
  tenant_id: row.project_id,
  project_id: row.project_id,
  description: row.description,
  tags: row.tags ?? [],
  created_at: time(row.created_at),
  updated_at: time(row.updated_at),
  revision_number: row.generation,
});

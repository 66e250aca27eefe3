/** /os-aggregates. Nova keeps the availability zone among the metadata, and so shows it there, too. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { AggregateRow, AggregateService } from '../../../control/compute/aggregate/index.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { plainTime } from './server-view.ts';
import * as v from './validate.ts';

/** Nova separates zone and host by a colon. */
const zone = Type.Refine(
  v.name,
  (text) => !text.includes(':'),
  (text) => `'${text}' has a colon, which no availability zone may have`,
);
const zoneOrNone = Type.Optional(Type.Union([zone, Type.Null()]));
const created = v.strict({ aggregate: v.strict({ name: v.name, availability_zone: zoneOrNone }) });
const updated = v.strict({
  aggregate: Type.Object(
    { name: Type.Optional(v.name), availability_zone: zoneOrNone },
    { additionalProperties: false, minProperties: 1 },
  ),
});
const metadata = Type.Refine(
  Type.Record(Type.String(), Type.Union([v.text(0, 255), Type.Null()])),
  (given) => Object.keys(given).every(v.metadataKey),
  () => 'a key is empty, too long or not printable',
);

const brief = (version: number) => ({
  ...{ id: a.integer, name: a.text, availability_zone: a.orNull(a.text), created_at: a.text },
  ...{ updated_at: a.orNull(a.text), deleted: a.boolean, deleted_at: a.orNull(a.text) },
  ...(version >= 41 && { uuid: a.id }),
});
const whole = (version: number) => a.record({ ...brief(version), hosts: a.texts, metadata: a.textsByName });
const one = { 200: v.since([1, 41], (version) => a.record({ aggregate: whole(version) })) };
const admin = { rights: 'admin' } as const;
const contracts = {
  list: {
    ...{ summary: 'List aggregates', ...admin },
    answers: { 200: v.since([1, 41], (version) => a.record({ aggregates: a.listOf(whole(version)) })) },
  },
  create: {
    ...{ summary: 'Make an aggregate', ...admin, body: created },
    answers: { 200: v.since([1, 41], (version) => a.record({ aggregate: a.record(brief(version)) })) },
  },
  show: { summary: 'Show an aggregate', ...admin, answers: one },
  update: { summary: 'Change the name or the zone of an aggregate', ...admin, body: updated, answers: one },
  images: {
    ...{ summary: 'Have images on the hosts of an aggregate', ...admin, versions: { from: 81 } },
    body: v.strict({ cache: Type.Array(v.strict({ id: v.uuid }), { minItems: 1, maxItems: 1000 }) }),
    answers: { 202: null },
  },
  remove: { summary: 'Delete an aggregate', ...admin, answers: { 200: null } },
} as const;

const host = v.strict({ host: v.fqdn });
type Act = (aggregates: AggregateService, request: FastifyRequest, argument: never) => Promise<AggregateRow>;

const withHost = (act: 'addHost' | 'removeHost'): Act =>
  ((aggregates: AggregateService, request: FastifyRequest, argument: { host: string }) =>
    aggregates[act](callerOf(request), numberOf(request), argument.host)) as Act;

const setMetadata = ((
  aggregates: AggregateService,
  request: FastifyRequest,
  argument: { metadata: Record<string, string | null> },
) => {
  const { availability_zone, ...rest } = argument.metadata;
  if (typeof availability_zone === 'string') requireZone(availability_zone);
  const change = { metadata: rest, ...(availability_zone !== undefined && { availabilityZone: availability_zone }) };
  return aggregates.update(callerOf(request), numberOf(request), change);
}) as Act;

const actions = {
  add_host: { summary: 'Add a host to an aggregate', ...admin, body: host, answers: one, act: withHost('addHost') },
  remove_host: {
    ...{ summary: 'Remove a host from an aggregate', ...admin, body: host },
    ...{ answers: one, act: withHost('removeHost') },
  },
  set_metadata: {
    ...{ summary: "Change an aggregate's metadata", ...admin, body: v.strict({ metadata }) },
    ...{ answers: one, act: setMetadata },
  },
};

export function aggregateRoutes(app: Boundary, aggregates: AggregateService): void {
  app.get('/os-aggregates', contracts.list, async (request) => ({
    aggregates: (await aggregates.list(callerOf(request))).map((row) => wholeBody(request, row)),
  }));
  app.post('/os-aggregates', contracts.create, async (request) => {
    const { name, availability_zone = null } = request.body.aggregate;
    const row = await aggregates.create(callerOf(request), { name, availabilityZone: availability_zone });
    return { aggregate: briefBody(request, row) };
  });
  app.get('/os-aggregates/:id', contracts.show, async (request) => ({
    aggregate: wholeBody(request, await aggregates.get(callerOf(request), numberOf(request))),
  }));
  app.put('/os-aggregates/:id', contracts.update, async (request) => {
    const { name, availability_zone: availabilityZone } = request.body.aggregate;
    const change = { ...(name !== undefined && { name }), ...(availabilityZone !== undefined && { availabilityZone }) };
    return { aggregate: wholeBody(request, await aggregates.update(callerOf(request), numberOf(request), change)) };
  });
  app.delete('/os-aggregates/:id', contracts.remove, async (request, reply) => {
    await aggregates.delete(callerOf(request), numberOf(request));
    return reply.code(200).send();
  });
  app.post('/os-aggregates/:id/images', contracts.images, async (request, reply) => {
    const images = request.body.cache.map(({ id }) => id);
    if (new Set(images).size < images.length) throw new Refusal('invalid', 'Duplicate images in request');
    await aggregates.requireImages(callerOf(request), numberOf(request), images);
    return reply.code(202).send();
  });
  const summary = 'Act on an aggregate';
  app.actions('/os-aggregates/:id/action', { summary, ...admin }, actions, async (request, _reply, chosen) => ({
    aggregate: wholeBody(request, await chosen.action.act(aggregates, request, chosen.argument as never)),
  }));
}

function numberOf(request: FastifyRequest): number {
  const { id } = request.params as { id: string };
  if (!/^-?\d+$/.test(id)) throw new Refusal('invalid', 'Invalid input received: id must be an integer');
  // Of a number that none can have there is none.
  if (!/^\d{1,9}$/.test(id)) throw notFound('aggregate', id.slice(0, 100));
  return Number(id);
}

function requireZone(text: string): void {
  if (text !== '' && text === text.trim() && !text.includes(':')) return;
  throw new Refusal('invalid', `'${text.slice(0, 100)}' is no name of an availability zone`);
}

const briefBody = (request: FastifyRequest, row: AggregateRow) => ({
  id: row.number,
  name: row.name,
  availability_zone: row.availability_zone,
  created_at: plainTime(row.created_at),
  updated_at: row.generation > 1 ? plainTime(row.updated_at) : null,
  deleted: false,
  deleted_at: null,
  ...(request.microversion >= 41 && { uuid: row.id }),
});

const wholeBody = (request: FastifyRequest, row: AggregateRow) => ({
  ...briefBody(request, row),
  hosts: row.hosts,
  metadata: {
    ...row.metadata,
    ...(row.availability_zone !== null && { availability_zone: row.availability_zone }),
  },
});

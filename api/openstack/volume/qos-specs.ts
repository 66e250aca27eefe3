/** /qos-specs: limits, and the volume types that they are given to. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { QosSpecsRow, QosSpecsService } from '../../../control/storage/qos-specs/index.ts';
import type { QosConsumer } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, linksOf, nextLinks, pageOf, queryOf } from './paging.ts';
import * as v from './validate.ts';

const specs = a.record({ id: a.id, name: a.text, consumer: a.text, specs: a.textsByName });
const shown = { 200: a.record({ qos_specs: specs, links: a.links }) };
const done = { 202: null };
const ofType = a.query('vol_type_id');
/** Name, consumer and specs stand side by side in what is sent. */
const wish = v.strict({ qos_specs: v.extraSpecs });
const contracts = {
  list: {
    summary: 'List QoS specs',
    rights: 'admin',
    query: a.query('limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'id', 'name', 'consumer'),
    answers: a.pageOf('qos_specs', specs),
  },
  show: { summary: 'Show QoS specs', rights: 'admin', answers: shown },
  create: { summary: 'Make QoS specs', rights: 'admin', body: wish, answers: shown },
  set: {
    summary: 'Set keys of QoS specs',
    rights: 'admin',
    body: wish,
    answers: { 200: a.record({ qos_specs: a.textsByName }) },
  },
  unset: {
    summary: 'Delete keys of QoS specs',
    rights: 'admin',
    body: v.strict({ keys: Type.Array(v.text(1, 255), { uniqueItems: true, maxItems: 1000 }) }),
    answers: done,
  },
  delete: { summary: 'Delete QoS specs', rights: 'admin', query: a.query('force'), answers: done },
  associations: {
    summary: 'List the volume types that have QoS specs',
    rights: 'admin',
    answers: { 200: a.record({ qos_associations: a.list({ association_type: a.text, id: a.id, name: a.text }) }) },
  },
  associate: { summary: 'Give QoS specs to a volume type', rights: 'admin', query: ofType, answers: done },
  disassociate: { summary: 'Take QoS specs from a volume type', rights: 'admin', query: ofType, answers: done },
  disassociateAll: { summary: 'Take QoS specs from all volume types', rights: 'admin', answers: done },
} as const;

const columns = {
  ...{ id: 'id', name: 'name', consumer: 'consumer', created_at: 'created_at', updated_at: 'updated_at' },
};
const body = ({ id, name, consumer, specs }: QosSpecsRow) => ({ id, name, consumer, specs });

/** @throws CloudError `invalid` */
function consumerOf(text: string | undefined): QosConsumer | undefined {
  if (text === undefined || text === 'front-end' || text === 'back-end' || text === 'both') return text;
  throw new Refusal('invalid', `Invalid qos specs: consumer is front-end, back-end or both, not '${text}'.`);
}

export function qosSpecsRoutes(app: Boundary, qos: QosSpecsService): void {
  app.get('/qos-specs', contracts.list, async (request) => {
    const query = queryOf(request);
    const { marker, ...page } = pageOf(query, columns);
    const filters = ['id', 'name', 'consumer'].flatMap((column) => {
      const value = first(query, column);
      return value === undefined ? [] : [{ column, values: [value] }];
    });
    const rows =
      page.limit === 0
        ? []
        : await qos.list(callerOf(request), { ...page, filters, ...(marker !== undefined && { marker }) });
    const links = nextLinks(request, 'qos-specs', { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
    return { qos_specs: rows.map(body), ...(links && { qos_specs_links: links }) };
  });
  const show = (request: FastifyRequest, row: QosSpecsRow) => ({
    qos_specs: body(row),
    links: linksOf(request, 'qos-specs', row.id),
  });
  app.get('/qos-specs/:id', contracts.show, async (request) =>
    show(request, await qos.get(callerOf(request), request.params.id)),
  );
  app.post('/qos-specs', contracts.create, async (request) => {
    const { name, consumer, ...given } = request.body.qos_specs;
    const wanted = (name ?? '').trim();
    if (wanted === '')
      throw new Refusal('invalid', "Invalid input for field/attribute qos_specs. 'name' is a required property");
    return show(
      request,
      await qos.create(callerOf(request), { name: wanted, consumer: consumerOf(consumer) ?? 'back-end', specs: given }),
    );
  });
  app.put('/qos-specs/:id', contracts.set, async (request) => {
    const { consumer, ...given } = request.body.qos_specs;
    const meant = consumerOf(consumer);
    await qos.set(callerOf(request), request.params.id, { specs: given, ...(meant && { consumer: meant }) });
    return { qos_specs: request.body.qos_specs };
  });
  app.put('/qos-specs/:id/delete_keys', contracts.unset, async (request, reply) => {
    await qos.unset(callerOf(request), request.params.id, request.body.keys);
    return reply.code(202).send();
  });
  app.delete('/qos-specs/:id', contracts.delete, async (request, reply) => {
    const force = v.looseBoolean(first(queryOf(request), 'force') ?? 'false');
    await qos.delete(callerOf(request), request.params.id, { force });
    return reply.code(202).send();
  });
  associationRoutes(app, qos);
}

/** Cinder changes what types have by GET. */
function associationRoutes(app: Boundary, qos: QosSpecsService): void {
  const typeIn = (request: FastifyRequest): string => {
    const type = first(queryOf(request), 'vol_type_id');
    if (!type) throw new Refusal('invalid', 'Volume Type id must not be None.');
    return type;
  };
  app.get('/qos-specs/:id/associations', contracts.associations, async (request) => ({
    qos_associations: (await qos.associations(callerOf(request), request.params.id)).map((type) => ({
      association_type: 'volume_type',
      ...type,
    })),
  }));
  app.get('/qos-specs/:id/associate', contracts.associate, async (request, reply: FastifyReply) => {
    await qos.associate(callerOf(request), request.params.id, typeIn(request));
    return reply.code(202).send();
  });
  app.get('/qos-specs/:id/disassociate', contracts.disassociate, async (request, reply: FastifyReply) => {
    await qos.disassociate(callerOf(request), request.params.id, typeIn(request));
    return reply.code(202).send();
  });
  app.get('/qos-specs/:id/disassociate_all', contracts.disassociateAll, async (request, reply: FastifyReply) => {
    await qos.disassociate(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
}

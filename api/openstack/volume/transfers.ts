/**
 * /os-volume-transfer, and /volume-transfers (3.55), which leaves snapshots where it is told to, and gives encrypted volumes (3.70): volumes
 * that change hands.
 */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { TransferRow, TransferService } from '../../../control/storage/transfer/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { linksOf, listPage } from './paging.ts';
import { cinderTime } from './times.ts';
import * as v from './validate.ts';

const brief = { id: a.id, name: a.orNull(a.text), volume_id: a.id, links: a.links };
const more = {
  no_snapshots: a.some(a.boolean),
  ...{ source_project_id: a.some(a.id), destination_project_id: a.some(a.orNull(a.id)), accepted: a.some(a.boolean) },
};
const detail = a.record({ ...brief, created_at: a.time, ...more });
const whole = { 200: a.record({ transfer: detail }) };
const made = { 202: a.record({ transfer: a.record({ ...brief, created_at: a.time, auth_key: a.text, ...more }) }) };
const accepted = { 202: a.record({ transfer: a.record({ ...brief, ...more }) }) };
const name = Type.Optional(v.nameOrNull);
const query = a.query(
  ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'all_tenants'],
  ...['name', 'volume_id', 'id'],
);

interface Api {
  path: 'os-volume-transfer' | 'volume-transfers';
  versions: { from: number };
}

const contractsOf = ({ versions }: Api) =>
  ({
    list: {
      summary: 'List transfers of volumes',
      rights: 'reader',
      ...{ versions, query },
      answers: a.pageOf('transfers', a.record(brief)),
    },
    details: {
      summary: 'List transfers of volumes in full',
      rights: 'reader',
      ...{ versions, query },
      answers: a.pageOf('transfers', detail),
    },
    show: { summary: 'Show a transfer of a volume', rights: 'reader', versions, answers: whole },
    create: {
      summary: 'Give a volume to whoever shows the key',
      rights: 'member',
      versions,
      body: v.strict({
        transfer: v.strict({
          ...{ volume_id: v.uuid, name },
          no_snapshots: v.when(versions.from >= 55, v.boolean),
        }),
      }),
      answers: made,
    },
    accept: {
      summary: 'Take a volume that was given away',
      rights: 'member',
      versions,
      body: v.strict({ accept: v.strict({ auth_key: v.text(1, 255) }) }),
      answers: accepted,
    },
    delete: { summary: 'Keep a volume that was to be given away', rights: 'member', versions, answers: { 202: null } },
  }) as const;

const listed = {
  columns: { created_at: 'created_at', id: 'id', name: 'name', volume_id: 'volume_id' },
  filters: { name: 'name', volume_id: 'volume_id', id: 'id' },
};

const apis: readonly Api[] = [
  { path: 'os-volume-transfer', versions: { from: 0 } },
  { path: 'volume-transfers', versions: { from: 55 } },
];

export function transferRoutes(app: Boundary, transfers: TransferService): void {
  for (const api of apis) routesOf(app, transfers, api);
}

function routesOf(app: Boundary, transfers: TransferService, api: Api): void {
  const contracts = contractsOf(api);
  const path = `/${api.path}` as const;
  const list = async <Shown>(
    request: FastifyRequest,
    { show, at }: { show: (request: FastifyRequest, row: TransferRow) => Shown; at: string },
  ) => {
    const { rows, links } = await listPage(request, at, listed, (...asked) =>
      transfers.list(callerOf(request), ...asked),
    );
    return { transfers: rows.map((row) => show(request, row)), ...(links && { transfers_links: links }) };
  };
  app.get(path, contracts.list, (request) => list(request, { show: briefBody, at: api.path }));
  app.get(`${path}/detail`, contracts.details, (request) =>
    list(request, { show: detailBody, at: `${api.path}/detail` }),
  );
  app.get(`${path}/:id`, contracts.show, async (request) => ({
    transfer: detailBody(request, await transfers.get(callerOf(request), request.params.id)),
  }));
  app.post(path, contracts.create, async (request, reply) => {
    const { volume_id: volumeId, name: called, no_snapshots: alone = false } = request.body.transfer;
    const wish = {
      ...{ volumeId, name: called?.trim() ?? '', withSnapshots: !v.toBoolean(alone) },
      encrypted: api.versions.from >= 55 && request.microversion >= 70,
    };
    const { transfer, key } = await transfers.create(callerOf(request), wish);
    return reply.code(202).send({ transfer: { ...detailBody(request, transfer), auth_key: key } });
  });
  app.post(`${path}/:id/accept`, contracts.accept, async (request, reply) => {
    const caller = callerOf(request);
    const row = await transfers.accept(caller, request.params.id, request.body.accept.auth_key);
    const body = { ...briefBody(request, row), ...moreOf(request, row, caller.projectId) };
    return reply.code(202).send({ transfer: body });
  });
  app.delete(`${path}/:id`, contracts.delete, async (request, reply) => {
    await transfers.delete(callerOf(request), request.params.id);
    return reply.code(202).send();
  });
}

const briefBody = (request: FastifyRequest, { id, name: called, volume_id }: TransferRow) => ({
  ...{ id, name: called, volume_id, links: linksOf(request, 'os-volume-transfer', id) },
});

const detailBody = (request: FastifyRequest, row: TransferRow) => ({
  ...{ ...briefBody(request, row), created_at: cinderTime(row.created_at) },
  ...moreOf(request, row, null),
});

/** @param taker the project that has accepted it; null: none yet */
const moreOf = ({ microversion: version }: FastifyRequest, row: TransferRow, taker: string | null) => ({
  ...(version >= 55 && { no_snapshots: !row.with_snapshots }),
  ...(version >= 57 && {
    ...{ source_project_id: row.project_id, destination_project_id: taker, accepted: taker !== null },
  }),
});

import { Type } from 'typebox';
import type { SubportWish, TrunkService, TrunkWish } from '../../../control/network/trunk/service.ts';
import { type TrunkRow, trunkListing } from '../../../control/network/trunk/trunk.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  badRequest,
  boolean,
  integer,
  listOf,
  object,
  readAttributes,
  standard,
  text,
  uuid,
} from './attributes.ts';
import { callerFor } from './if-match.ts';
import { idOf, type Resource, standardView, type View } from './resource.ts';

export const subportShown = { port_id: a.id, segmentation_type: a.text, segmentation_id: a.integer } as const;
const subports = listOf(object({ port_id: uuid, 'segmentation_type?': text(32), 'segmentation_id?': integer }));
const subportsShown = a.list(subportShown);

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  admin_state_up: { post: true, put: true, read: boolean, show: a.boolean },
  port_id: { post: true, required: true, read: uuid, show: a.id },
  status: { show: a.text },
  sub_ports: { post: true, read: subports, noFilter: true, show: subportsShown },
  tags: { noFilter: true, show: a.texts },
};

const viewOf = (row: TrunkRow): View => ({
  id: row.id,
  name: row.name,
  ...standardView(row),
  admin_state_up: row.admin_state_up,
  port_id: row.port_id,
  status: row.status,
  sub_ports: row.sub_ports,
});

export const trunks = (service: TrunkService): Resource<TrunkRow> => ({
  single: 'trunk',
  plural: 'trunks',
  path: 'trunks',
  attributes,
  listing: trunkListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as TrunkWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish),
  delete: (caller, id) => service.delete(caller, id),
  view: viewOf,
});

const verbAttributes: Attributes = { sub_ports: { put: true, read: subports } };

function subportsOf(body: unknown): SubportWish[] {
  const { sub_ports } = readAttributes(verbAttributes, body, 'put') as { sub_ports?: SubportWish[] };
  if (sub_ports === undefined) throw badRequest("Unable to find 'sub_ports' in request body");
  return sub_ports;
}

/** The trunk without a name around it, as Neutron answers. */
const bare = a.record(
  Object.fromEntries(Object.entries(attributes).flatMap(([name, { show }]) => (show ? [[name, show]] : []))),
);

export function addTrunkVerbs(app: Boundary, service: TrunkService): void {
  const target = { listing: trunkListing };
  const contract = {
    rights: 'member',
    body: Type.Object({ sub_ports: subports.schema }, { additionalProperties: false }),
    answers: { 200: bare },
    explain: { body: subportsOf },
  } as const;
  app.put('/v2.0/trunks/:id/add_subports', { summary: 'Add subports to a trunk', ...contract }, async (request) => {
    const id = idOf(request, target);
    return viewOf(await service.addSubports(callerFor(request, 'trunk', id), id, subportsOf(request.body)));
  });
  app.put(
    '/v2.0/trunks/:id/remove_subports',
    { summary: 'Remove subports of a trunk', ...contract },
    async (request) => {
      const id = idOf(request, target);
      const ports = subportsOf(request.body).map(({ port_id }) => port_id);
      return viewOf(await service.removeSubports(callerFor(request, 'trunk', id), id, ports));
    },
  );
  const list = {
    summary: 'List subports of a trunk',
    rights: 'reader',
    answers: { 200: a.record({ sub_ports: subportsShown }) },
  } as const;
  app.get('/v2.0/trunks/:id/get_subports', list, async (request) => {
    const { sub_ports } = await service.read(callerOf(request), idOf(request, target));
    return { sub_ports };
  });
}

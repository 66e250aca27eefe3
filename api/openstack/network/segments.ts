/** Segments of networks: Neutron's extension `segment`, for administrators. */
import { type SegmentRow, segmentListing } from '../../../control/network/segment/segment.ts';
import type { SegmentService, SegmentWish } from '../../../control/network/segment/service.ts';
import * as a from './answers.ts';
import { type Attributes, integer, nullable, standard, text, uuid } from './attributes.ts';
import { type Resource, time } from './resource.ts';

const { id, description, revision_number, created_at, updated_at } = standard as Required<typeof standard>;

const attributes: Attributes = {
  id: id!,
  // Taken and let go, as Neutron does: a segment is of its network's project.
  tenant_id: { to: 'project_id', post: true, read: uuid, noFilter: true },
  network_id: { post: true, required: true, read: uuid, show: a.id },
  network_type: { post: true, required: true, read: text(32), show: a.text },
  physical_network: { post: true, read: nullable(text(64)), show: a.orNull(a.text) },
  segmentation_id: { post: true, read: nullable(integer), show: a.orNull(a.integer) },
  name: { post: true, put: true, read: nullable(text(255)), show: a.orNull(a.text) },
  description: description!,
  ...{ revision_number: revision_number!, created_at: created_at!, updated_at: updated_at! },
};

export const segments = (service: SegmentService): Resource<SegmentRow> => ({
  single: 'segment',
  plural: 'segments',
  path: 'segments',
  attributes,
  listing: segmentListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.list(caller, query),
  read: (caller, wanted) => service.read(caller, wanted),
  create: (caller, wishes) => service.create(caller, wishes.map(wishOf)),
  update: (caller, wanted, wish) => service.update(caller, wanted, wish as Pick<SegmentWish, 'name' | 'description'>),
  delete: (caller, wanted) => service.delete(caller, wanted),
  view: (row) => ({
    ...{ id: row.id, network_id: row.network_id, name: row.name, description: row.description },
    ...{ network_type: row.network_type, physical_network: row.physical_network, segmentation_id: row.segmentation_id },
    ...{ revision_number: row.generation, created_at: time(row.created_at), updated_at: time(row.updated_at) },
  }),
});

const wishOf = ({ project_id: _, ...wish }: Record<string, unknown>) => wish as unknown as SegmentWish;

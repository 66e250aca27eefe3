/** /messages (3.3): what came to nothing after it was accepted, with Cinder's numbers for what it was and our reason. */
import type { FastifyRequest } from 'fastify';
import type { MessageKind, MessageRow, MessageService } from '../../../control/storage/message/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { refuseFilters } from './filters.ts';
import { first, linksOf, nextLinks, pageOf, queryOf } from './paging.ts';
import { cinderTime } from './times.ts';

const message = a.record({
  ...{ id: a.id, event_id: a.text, user_message: a.text, message_level: a.text, created_at: a.time },
  ...{ guaranteed_until: a.time, request_id: a.text, links: a.links },
  ...{ resource_type: a.text, resource_uuid: a.id },
});
const versions = { from: 3 };
const contracts = {
  list: {
    summary: 'List what came to nothing',
    rights: 'reader',
    versions,
    query: a.query(
      ...['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir'],
      ...['resource_uuid', 'resource_uuid~', 'resource_type', 'event_id', 'request_id', 'request_id~', 'message_level'],
    ),
    answers: a.pageOf('messages', message),
  },
  show: {
    summary: 'Show what came to nothing',
    rights: 'reader',
    versions,
    answers: { 200: a.record({ message }) },
  },
  delete: { summary: 'Hear no more of what came to nothing', rights: 'member', versions, answers: { 204: null } },
} as const;

const resourceTypes: Readonly<Record<string, string>> = {
  volume: 'VOLUME',
  volume_snapshot: 'VOLUME_SNAPSHOT',
  backup: 'VOLUME_BACKUP',
};

interface Event extends MessageKind {
  /** Cinder's numbers and words (cinder/message/message_field.py). */
  action: readonly [number: string, words: string];
  detail: readonly [number: string, words: string];
}

const unknownDetail = ['001', 'An unknown error occurred.'] as const;
const allocate = ['001', 'schedule allocate volume'] as const;
const created = { resource_type: 'volume', verb: 'create', action: allocate } as const;
/** The first that fits counts. */
const events: readonly Event[] = [
  { ...created, error_code: 'no_capacity', detail: ['003', 'Could not find any available weighted backend.'] },
  { ...created, detail: ['012', 'Driver failed to create the volume.'] },
  {
    ...{ resource_type: 'volume', verb: 'extend', action: ['007', 'extend volume'] },
    detail: ['010', 'Volume Driver failed to extend volume.'],
  },
  {
    ...{ resource_type: 'volume', verb: 'upload', action: ['003', 'copy volume to image'] },
    detail: ['004', 'Failed to upload volume to image at backend.'],
  },
  {
    ...{ resource_type: 'volume', verb: 'reimage', action: ['016', 'reimage volume'] },
    detail: ['028', 'Compute service failed to reimage volume.'],
  },
  {
    ...{ resource_type: 'volume', verb: 'attach', action: ['002', 'attach volume'] },
    detail: ['021', 'Failed to attach volume.'],
  },
  {
    ...{ resource_type: 'volume', verb: 'restore', action: ['015', 'restore backup'] },
    detail: ['026', 'Backup driver failed to restore backup.'],
  },
  {
    ...{ resource_type: 'volume_snapshot', verb: 'create', action: ['009', 'create snapshot'] },
    detail: ['013', 'Snapshot failed to create.'],
  },
  {
    ...{ resource_type: 'volume_snapshot', verb: 'delete', action: ['010', 'delete snapshot'] },
    detail: ['016', 'Snapshot failed to delete.'],
  },
  // Nobody had asked for anything, so Cinder has no number for it.
  {
    ...{ resource_type: 'volume', verb: 'write', action: ['000', 'write to volume'] },
    detail: ['000', 'There is no room.'],
  },
  {
    ...{ resource_type: 'volume', verb: 'detach', action: ['000', 'detach volume'] },
    detail: ['002', 'The guest does not let go of it.'],
  },
  { ...{ resource_type: 'volume', verb: 'keep', action: ['000', 'keep volume'] }, detail: unknownDetail },
  { ...{ resource_type: 'volume_snapshot', verb: 'keep', action: ['000', 'keep snapshot'] }, detail: unknownDetail },
  {
    ...{ resource_type: 'backup', verb: 'create', action: ['013', 'create backup'] },
    detail: ['020', 'Backup driver failed to create backup.'],
  },
  {
    ...{ resource_type: 'backup', verb: 'delete', action: ['014', 'delete backup'] },
    detail: ['025', 'Backup driver failed to delete backup.'],
  },
];

const eventOf = (row: MessageRow): Pick<Event, 'action' | 'detail'> =>
  events.find(
    (one) =>
      one.resource_type === row.resource_type &&
      one.verb === row.verb &&
      (one.error_code === undefined || one.error_code === row.error_code),
  ) ?? { action: ['000', row.verb], detail: unknownDetail };

const eventId = (resourceType: string, { action, detail }: Pick<Event, 'action' | 'detail'>): string =>
  `VOLUME_${resourceTypes[resourceType]}_${action[0]}_${detail[0]}`;

export function messageRoutes(app: Boundary, messages: MessageService): void {
  const body = (request: FastifyRequest, row: MessageRow) => {
    const event = eventOf(row);
    // Cinder tells no more than its own words; why it came to nothing helps whoever asked for it.
    const why = row.error_message === null ? '' : ` ${row.error_message}`;
    return {
      ...{ id: row.id, event_id: eventId(row.resource_type, event), message_level: 'ERROR' },
      user_message: `${event.action[1]}:${event.detail[1]}${why}`,
      created_at: cinderTime(row.created_at),
      guaranteed_until: cinderTime(messages.keptUntil(row)),
      request_id: row.request_id ?? '',
      links: linksOf(request, 'messages', row.id),
      ...{ resource_type: resourceTypes[row.resource_type]!, resource_uuid: row.resource_id },
    };
  };
  app.get('/messages', contracts.list, async (request) => {
    refuseFilters(request, 'message');
    // Pages came with 3.5.
    const query = request.microversion < 5 ? {} : queryOf(request);
    const { marker, ...page } = pageOf(query, columns);
    const filters = request.microversion < 5 ? [] : filtersOf(request);
    const rows =
      page.limit === 0
        ? []
        : await messages.list(callerOf(request), { ...page, filters, ...(marker !== undefined && { marker }) });
    const links = nextLinks(request, 'messages', { limit: page.limit, count: rows.length, last: rows.at(-1)?.id });
    return { messages: rows.map((row) => body(request, row)), ...(links && { messages_links: links }) };
  });
  app.get('/messages/:id', contracts.show, async (request) => ({
    message: body(request, await messages.get(callerOf(request), request.params.id)),
  }));
  app.delete('/messages/:id', contracts.delete, async (request, reply) => {
    await messages.dismiss(callerOf(request), request.params.id);
    return reply.code(204).send();
  });
}

const columns = {
  ...{ id: 'id', resource_type: 'resource_type', resource_uuid: 'resource_id', request_id: 'request_id' },
  ...{ created_at: 'created_at', updated_at: 'updated_at' },
};

function filtersOf(request: FastifyRequest): { column: string; values: string[] }[] {
  const query = queryOf(request);
  const filters: { column: string; values: string[] }[] = [];
  const [type, event, level] = ['resource_type', 'event_id', 'message_level'].map((key) => first(query, key));
  for (const [key, column] of [
    ['resource_uuid', 'resource_id'],
    ['request_id', 'request_id'],
    ['resource_uuid~', 'resource_like'],
    ['request_id~', 'request_like'],
  ] as const) {
    const value = key.endsWith('~') && request.microversion < 34 ? undefined : first(query, key);
    if (value !== undefined) filters.push({ column, values: [value] });
  }
  if (type !== undefined) {
    const meant = Object.keys(resourceTypes).filter((own) => resourceTypes[own] === type.toUpperCase());
    filters.push({ column: 'resource_type', values: meant });
  }
  if (event !== undefined) {
    const meant = events.filter((one) => eventId(one.resource_type, one) === event);
    filters.push({ column: 'kind', values: meant.map(({ action: _, detail: __, ...kind }) => JSON.stringify(kind)) });
  }
  // All of them are errors.
  if (level !== undefined && level.toUpperCase() !== 'ERROR') filters.push({ column: 'kind', values: [] });
  return filters;
}

/** /native/v1/meters: what has passed ports, floating IPs and routers, and what metering labels have counted. Whoever owns the metered thing sees it. */
import { Type } from 'typebox';
import { type MeterRow, meteredTypes } from '../../control/network/meter/index.ts';
import type { Boundary } from '../boundary/boundary.ts';
import { callerOf } from '../openstack/common/authenticate.ts';
import type { NativeDeps } from './deps.ts';
import { meterList, oneMeter } from './documents.ts';
import { idText, numberText, parameters } from './query.ts';

const list = {
  summary: 'List meters',
  rights: 'caller',
  query: parameters({
    resource_type: Type.Optional(Type.Enum([...meteredTypes])),
    project_id: Type.Optional(idText),
    limit: Type.Optional(numberText(1, 1000)),
    marker: Type.Optional(idText),
  }),
  answers: { 200: meterList },
} as const;
const show = { summary: 'Show what has passed one thing', rights: 'caller', answers: { 200: oneMeter } } as const;

export function meterRoutes(app: Boundary, service: NativeDeps['meters']): void {
  app.get('/v1/meters', list, async (request) => {
    const { limit, marker, ...filters } = request.query;
    const found = await service.list(callerOf(request), {
      limit: Number(limit ?? 100),
      filters: Object.entries(filters).map(([column, value]) => ({ column, values: [value as string] })),
      ...(marker !== undefined && { marker }),
    });
    return { meters: found.map(document) };
  });
  app.get('/v1/meters/:id', show, async (request) => ({
    meter: document(await service.read(callerOf(request), request.params.id)),
  }));
}

const document = (row: MeterRow) => ({
  ...{ id: row.id, resource_type: row.resource_type, project_id: row.project_id },
  ...{ rx_bytes: row.rx_bytes, rx_packets: row.rx_packets, tx_bytes: row.tx_bytes, tx_packets: row.tx_packets },
  ...{ created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() },
});

/** Port forwardings, below their floating IP. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import {
  type PortForwardingRow,
  portForwardingListing,
} from '../../../control/network/port-forwarding/port-forwarding.ts';
import { externalOf, internalOf, type PortRange } from '../../../control/network/port-forwarding/rules.ts';
import type { PortForwardingService, PortForwardingWish } from '../../../control/network/port-forwarding/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import * as a from './answers.ts';
import { type Attributes, ip, nullable, oneOf, type Reader, reader, text, Unreadable, uuid } from './attributes.ts';
import { addResource, type Resource, type View } from './resource.ts';

const mostPort = 65_535;
const portNumber = Type.Union([
  Type.Integer({ minimum: 1, maximum: mostPort }),
  Type.String({ pattern: '^\\d{1,5}$' }),
]);
const portNumbers = Type.Union([portNumber, Type.String({ pattern: '^\\d{1,5}:\\d{1,5}$', examples: ['80:90'] })]);

function readPort(value: unknown): number {
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > mostPort) {
    throw new Unreadable(
      `Invalid port: ${String(value).slice(0, 40)}, the port must be in the range [1, ${mostPort}].`,
    );
  }
  return port;
}

const port: Reader = reader(portNumber, (value) => {
  const first = readPort(value);
  return { first, last: first };
});

/** "80:90", or one alone. */
const range: Reader = reader(portNumbers, (value) => {
  const parts = String(value).split(':');
  if (parts.length > 2) throw new Unreadable('Port range must be two integers separated by a colon.');
  const [first, last] = [readPort(parts[0]), readPort(parts.at(-1))];
  if (first > last) throw new Unreadable('First port in a port range must be lower than the second port.');
  return { first, last };
});

const protocols = oneOf('tcp', 'udp');
const protocol: Reader = reader(Type.String({ examples: ['tcp'], pattern: '^([Tt][Cc]|[Uu][Dd])[Pp]$' }), (value) =>
  protocols(typeof value === 'string' ? value.toLowerCase() : value),
);

const both = { post: true, put: true } as const;
const attributes: Attributes = {
  id: { show: a.id },
  protocol: { ...both, required: true, read: protocol, show: a.text },
  internal_port_id: { to: 'port_id', ...both, required: true, read: uuid, show: a.id },
  internal_ip_address: { to: 'fixed_ip', ...both, read: nullable(ip), noFilter: true, show: a.text },
  external_port: { ...both, read: nullable(port), show: a.orNull(a.integer) },
  external_port_range: { ...both, read: nullable(range), show: a.text },
  internal_port: { ...both, read: nullable(port), noFilter: true, show: a.orNull(a.integer) },
  internal_port_range: { ...both, read: nullable(range), noFilter: true, show: a.text },
  description: { ...both, read: text(255), show: a.text },
};

/** What Neutron shows of a range under the name of a single port. */
export const singlePort = (first: number, last: number): number | null => (first === last ? first : null);

const ports = ({ first, last }: PortRange): string => `${first}:${last}`;

const viewOf = (row: PortForwardingRow): View => ({
  id: row.id,
  protocol: row.protocol,
  internal_port_id: row.port_id,
  internal_ip_address: row.fixed_ip,
  external_port: singlePort(row.external_first, row.external_last),
  external_port_range: ports(externalOf(row)),
  internal_port: singlePort(row.internal_first, row.internal_last),
  internal_port_range: ports(internalOf(row)),
  description: row.description,
});

/** A range goes before a single port, as in Neutron. */
function wishOf(wish: Record<string, unknown>): Partial<PortForwardingWish> {
  const { external_port, external_port_range, internal_port, internal_port_range, fixed_ip, ...rest } = wish;
  const [external, internal] = [external_port_range ?? external_port, internal_port_range ?? internal_port];
  return {
    ...rest,
    ...(external ? { external: external as PortRange } : {}),
    ...(internal ? { internal: internal as PortRange } : {}),
    ...(fixed_ip ? { fixed_ip: fixed_ip as string } : {}),
  };
}

/** Of one floating IP. */
export const portForwardings = (service: PortForwardingService, floatingIp: string): Resource<PortForwardingRow> => ({
  single: 'port_forwarding',
  plural: 'port_forwardings',
  path: `floatingips/${floatingIp}/port_forwardings`,
  attributes,
  listing: portForwardingListing,
  bulk: true,
  list: (caller, query) => service.list(caller, floatingIp, query),
  read: (caller, id) => service.read(caller, floatingIp, id),
  create: (caller, wishes) => service.create(caller, floatingIp, wishes.map(wishOf) as PortForwardingWish[]),
  update: (caller, id, wish) => service.update(caller, floatingIp, id, wishOf(wish)),
  delete: (caller, id) => service.delete(caller, floatingIp, id),
  view: viewOf,
});

const parameter = 'floatingip_id';

function floatingIpOf(request: FastifyRequest): string {
  const given = (request.params as Record<typeof parameter, string>)[parameter];
  const id = parseId(given);
  if (id === undefined) throw notFound('floating_ip', given.slice(0, 255));
  return id;
}

export function addPortForwardings(
  app: Boundary,
  baseUrl: (request: FastifyRequest) => string,
  service: PortForwardingService,
): void {
  addResource(app, baseUrl, portForwardings(service, `:${parameter}`), (request) =>
    portForwardings(service, floatingIpOf(request)),
  );
}

/** What else hangs below /servers/{id}: addresses and interfaces (security groups: security-groups.ts, volumes: volume-attachments.ts). */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type PortId, parseId } from '../../../contract/ids.ts';
import { type ServerService, serverActions } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { addressesBody } from './server-view.ts';
import { serverIdOf } from './servers.ts';
import * as v from './validate.ts';

const addresses = a.byName(a.list({ version: a.one(4, 6), addr: a.text }));
const attachment = (version: number) =>
  a.record({
    ...{ net_id: a.id, port_id: a.id, mac_addr: a.text, port_state: a.one('ACTIVE', 'DOWN') },
    fixed_ips: a.list({ subnet_id: a.id, ip_address: a.text }),
    ...(version >= 70 && { tag: a.orNull(a.text) }),
  });

const attached = (version: number) =>
  v.strict({
    interfaceAttachment: Type.Optional(
      v.strict({
        net_id: Type.Optional(v.uuid),
        port_id: Type.Optional(v.uuid),
        fixed_ips: Type.Optional(Type.Array(v.strict({ ip_address: v.ip }), { minItems: 1, maxItems: 1 })),
        tag: v.when(version >= 49, v.tag),
      }),
    ),
  });

const contracts = {
  addresses: { summary: "List a server's addresses", rights: 'reader', answers: { 200: a.record({ addresses }) } },
  ofNetwork: { summary: "List a server's addresses on a network", rights: 'reader', answers: { 200: addresses } },
  interfaces: {
    summary: "List a server's interfaces",
    rights: 'reader',
    answers: { 200: v.since([1, 70], (version) => a.record({ interfaceAttachments: a.listOf(attachment(version)) })) },
  },
  interface: {
    summary: 'Show an interface of a server',
    rights: 'reader',
    answers: { 200: v.since([1, 70], (version) => a.record({ interfaceAttachment: attachment(version) })) },
  },
  attach: {
    summary: 'Attach an interface to a server',
    rights: 'member',
    body: v.since([1, 49], attached),
    answers: { 200: v.since([1, 70], (version) => a.record({ interfaceAttachment: attachment(version) })) },
  },
  detach: { summary: 'Detach an interface from a server', rights: 'member', answers: { 202: null } },
} as const;

export function serverNetworkRoutes(app: Boundary, servers: ServerService): void {
  const addressesOf = async (request: FastifyRequest) => {
    const id = serverIdOf(request);
    await servers.get(callerOf(request), id);
    return addressesBody((await servers.interfaces([id])).get(id) ?? [], { extended: false });
  };
  app.get('/servers/:id/ips', contracts.addresses, async (request) => ({ addresses: await addressesOf(request) }));
  app.get('/servers/:id/ips/:network', contracts.ofNetwork, async (request) => {
    const { network } = request.params;
    const all = await addressesOf(request);
    if (!Object.hasOwn(all, network)) {
      throw new Refusal('not_found', 'Instance is not a member of specified network');
    }
    return { [network]: all[network] };
  });
}

export function serverInterfaceRoutes(app: Boundary, servers: ServerService): void {
  app.get('/servers/:id/os-interface', contracts.interfaces, async (request) => {
    const ports = await servers.ports(callerOf(request), serverIdOf(request));
    return { interfaceAttachments: ports.map((port) => interfaceBody(request, port)) };
  });
  app.get('/servers/:id/os-interface/:port', contracts.interface, async (request) => {
    const id = serverIdOf(request);
    const asked = request.params.port;
    const port = (await servers.ports(callerOf(request), id)).find((one) => one.id === asked.toLowerCase());
    if (!port) throw new Refusal('not_found', `Instance ${id} does not have a port with id ${asked.slice(0, 100)}`);
    return { interfaceAttachment: interfaceBody(request, port) };
  });
  app.post('/servers/:id/os-interface', contracts.attach, async (request) => {
    const [caller, id] = [callerOf(request), serverIdOf(request)];
    let portId: PortId | undefined;
    await servers.act(caller, id, serverActions.attachInterface, {
      ...readAttachment(request.body.interfaceAttachment ?? {}),
      attached(port) {
        portId = port;
      },
    });
    const port = (await servers.ports(caller, id)).find((one) => one.id === portId);
    return { interfaceAttachment: interfaceBody(request, port!) };
  });
  app.delete('/servers/:id/os-interface/:port', contracts.detach, async (request, reply) => {
    const port = parseId<PortId>(request.params.port);
    const id = serverIdOf(request);
    if (!port)
      throw new Refusal(
        'not_found',
        `Instance ${id} does not have a port with id ${request.params.port.slice(0, 100)}`,
      );
    await servers.act(callerOf(request), id, serverActions.detachInterface, port);
    return reply.code(202).send();
  });
}

interface Attachment {
  net_id?: string;
  port_id?: string;
  fixed_ips?: { ip_address: string }[];
  tag?: string;
}

/** @throws Refusal in Nova's words */
function readAttachment({ net_id: network, port_id: port, fixed_ips: ips, tag }: Attachment) {
  if (network !== undefined && port !== undefined)
    throw new Refusal('invalid', 'Must not input both network_id and port_id');
  const fixedIp = ips?.[0]?.ip_address;
  if (fixedIp !== undefined && network === undefined) {
    throw new Refusal('invalid', 'Must input network_id when request IP address');
  }
  const onNetwork = network === undefined ? null : { networkId: network, ...(fixedIp !== undefined && { fixedIp }) };
  return { request: port ? { portId: port } : onNetwork, tag: tag ?? null };
}

type ServerPort = Awaited<ReturnType<ServerService['ports']>>[number];

const interfaceBody = (request: FastifyRequest, port: ServerPort) => ({
  net_id: port.network_id,
  port_id: port.id,
  mac_addr: port.mac,
  port_state: port.up ? 'ACTIVE' : 'DOWN',
  fixed_ips: port.fixed_ips,
  ...(request.microversion >= 70 && { tag: port.tag }),
});

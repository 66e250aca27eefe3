/** What else hangs below /servers/{id}: addresses, interfaces, volumes (security groups: security-groups.ts). */
import type { FastifyRequest } from 'fastify';
import type { ServerService } from '../../../control/compute/server/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { notInThisRelease } from './faults.ts';
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

const later = { rights: 'caller', answers: {}, later: true } as const;
const contracts = {
  addresses: { summary: "List a server's addresses", rights: 'reader', answers: { 200: a.record({ addresses }) } },
  ofNetwork: { summary: "List a server's addresses on a network", rights: 'reader', answers: { 200: addresses } },
  volumes: {
    summary: "List a server's volumes: none",
    rights: 'reader',
    answers: { 200: a.record({ volumeAttachments: a.none }) },
  },
  attachVolume: { summary: 'Attach a volume', ...later },
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
  attach: { summary: 'Attach an interface to a server', ...later },
  detach: { summary: 'Detach an interface from a server', ...later },
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
  // Volumes come with their own issue; until then no server has one.
  app.get('/servers/:id/os-volume_attachments', contracts.volumes, async (request) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return { volumeAttachments: [] };
  });
  app.post('/servers/:id/os-volume_attachments', contracts.attachVolume, async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Attaching a volume');
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
  app.post('/servers/:id/os-interface', contracts.attach, async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Attaching an interface to a server that exists');
  });
  app.delete('/servers/:id/os-interface/:port', contracts.detach, async (request, reply) => {
    await servers.get(callerOf(request), serverIdOf(request));
    return notInThisRelease(reply, 'Detaching an interface');
  });
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

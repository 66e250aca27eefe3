/**
 * What Nova answers with 410, at every version: parts of it that it let go of, and whose pages it keeps so that nobody takes them for
 * mistyped. And what was Ironic's, which it refuses with 400 until 2.35. Nothing here has a state.
 */
import type { HTTPMethods } from 'fastify';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { novaFault } from './faults.ts';

/** Nova's own (nova/api/openstack/compute/routes.py, where the controllers say HTTPGone). */
const gone: Readonly<Record<string, readonly HTTPMethods[]>> = {
  '/os-agents': ['GET', 'POST'],
  '/os-agents/:id': ['PUT', 'DELETE'],
  '/os-cells': ['GET', 'POST'],
  '/os-cells/capacities': ['GET'],
  '/os-cells/detail': ['GET'],
  '/os-cells/info': ['GET'],
  '/os-cells/sync_instances': ['POST'],
  '/os-cells/:id': ['GET', 'PUT', 'DELETE'],
  '/os-cells/:id/capacities': ['GET'],
  '/os-certificates': ['POST'],
  '/os-certificates/:id': ['GET'],
  '/os-cloudpipe': ['GET', 'POST'],
  '/os-cloudpipe/:id': ['PUT'],
  '/os-fixed-ips/:id': ['GET'],
  '/os-fixed-ips/:id/action': ['POST'],
  '/os-floating-ip-dns': ['GET'],
  '/os-floating-ip-dns/:id': ['PUT', 'DELETE'],
  '/os-floating-ip-dns/:id/entries/:name': ['GET', 'PUT', 'DELETE'],
  '/os-floating-ips-bulk': ['GET', 'POST'],
  '/os-floating-ips-bulk/:id': ['GET', 'PUT'],
  '/os-fping': ['GET'],
  '/os-fping/:id': ['GET'],
  '/os-networks': ['POST'],
  '/os-networks/add': ['POST'],
  '/os-networks/:id': ['DELETE'],
  '/os-networks/:id/action': ['POST'],
  '/os-security-group-default-rules': ['GET', 'POST'],
  '/os-security-group-default-rules/:id': ['GET', 'DELETE'],
  '/os-tenant-networks': ['POST'],
  '/os-tenant-networks/:id': ['DELETE'],
  '/servers/:id/consoles': ['GET', 'POST'],
  '/servers/:id/consoles/:console': ['GET', 'DELETE'],
  '/servers/:id/os-virtual-interfaces': ['GET'],
};

/** The command of Ironic's own client that each of them is now. */
const ironic: readonly [method: HTTPMethods, path: string, command: string][] = [
  ['POST', '/os-baremetal-nodes', 'node-create'],
  ['DELETE', '/os-baremetal-nodes/:id', 'node-delete'],
  ['POST', '/os-baremetal-nodes/:id/action', 'port-create'],
];

export function goneRoutes(app: Boundary): void {
  const text = 'This resource is no longer available. No forwarding address is given.';
  for (const [path, methods] of Object.entries(gone)) {
    for (const method of methods) {
      const contract = { summary: 'In no Nova any more', rights: 'caller', answers: {} } as const;
      app.route([method], path, contract, (_request, reply) => reply.code(410).send(novaFault(410, text)));
    }
  }
  for (const [method, path, command] of ironic) {
    const contract = {
      summary: "Bare metal is not Nova's",
      rights: 'admin',
      versions: { to: 35 },
      answers: {},
    } as const;
    app.route([method], path, contract, () => {
      const say = `Command not supported. Please use Ironic command ${command} to perform this action.`;
      throw new Refusal('invalid', say);
    });
  }
}

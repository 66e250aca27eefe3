/** /resource_classes: OpenStack's list (os-resource-classes). A host has the first three that it names; no others are made here. */
import { Type } from 'typebox';
import { requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';

export const standardClasses: readonly string[] = [
  ...['VCPU', 'MEMORY_MB', 'DISK_GB', 'PCI_DEVICE', 'SRIOV_NET_VF', 'NUMA_SOCKET', 'NUMA_CORE', 'NUMA_THREAD'],
  ...['NUMA_MEMORY_MB', 'IPV4_ADDRESS', 'VGPU', 'VGPU_DISPLAY_HEAD', 'NET_BW_EGR_KILOBIT_PER_SEC'],
  ...[
    'NET_BW_IGR_KILOBIT_PER_SEC',
    'PCPU',
    'MEM_ENCRYPTION_CONTEXT',
    'FPGA',
    'PGPU',
    'NET_PACKET_RATE_KILOPACKET_PER_SEC',
  ],
  ...['NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC', 'NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC'],
];

const admin = { rights: 'admin' } as const;
const since = { versions: { from: 2 } } as const;
const list = { summary: 'List resource classes', ...admin, ...since, answers: { 200: a.classes } } as const;
const show = { summary: 'Show a resource class', ...admin, ...since, answers: { 200: a.oneClass } } as const;
const refused = (summary: string) => ({ summary, ...admin, ...since, answers: {} }) as const;

const document = (name: string) => ({
  name,
  links: [{ rel: 'self', href: `/placement/resource_classes/${name}` }],
});
const notHere = () =>
  new Refusal(
    'conflict',
    'Hosts give out VCPU, MEMORY_MB and DISK_GB, which they say themselves; no other resource class can be made, since nothing would count it.',
  );

export function resourceClassRoutes(app: Boundary): void {
  app.get('/resource_classes', list, (request) => {
    requireAdmin(callerOf(request), 'list resource classes');
    return { resource_classes: standardClasses.map(document) };
  });
  app.get('/resource_classes/:name', show, (request) => {
    requireAdmin(callerOf(request), 'show a resource class');
    const { name } = request.params;
    if (!standardClasses.includes(name))
      throw new Refusal('not_found', `No such resource class ${name.slice(0, 255)}.`);
    return document(name);
  });
  app.post('/resource_classes', { ...refused('Refused: make a resource class'), body: Type.Unknown() }, (request) => {
    requireAdmin(callerOf(request), 'make a resource class');
    throw notHere();
  });
  app.put(
    '/resource_classes/:name',
    { ...refused('Refused, but of one that there is: make a resource class'), answers: { 204: null } },
    (request, reply) => {
      requireAdmin(callerOf(request), 'make a resource class');
      if (!standardClasses.includes(request.params.name)) throw notHere();
      reply.code(204).send();
    },
  );
  app.delete('/resource_classes/:name', refused('Refused: delete a resource class'), (request) => {
    requireAdmin(callerOf(request), 'delete a resource class');
    const { name } = request.params;
    if (!standardClasses.includes(name))
      throw new Refusal('not_found', `No such resource class ${name.slice(0, 255)}.`);
    throw new Refusal('invalid', `Cannot delete standard resource class ${name}.`);
  });
}

/** The auto-allocated topology of a project: asked for by its project, made by being asked for. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { AutoTopologyService } from '../../../control/network/auto-topology/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { badRequest } from './attributes.ts';
import { fieldsQuery } from './contracts.ts';
import { neutronRefusal } from './fault.ts';

const answer = a.record({
  auto_allocated_topology: a.record({
    id: Type.String({ description: "The network's id, or dry-run=pass" }),
    project_id: a.id,
    tenant_id: a.id,
  }),
});
const contracts = {
  show: {
    summary: 'Show the auto-allocated topology of a project, which is made if it is not there',
    // Its own project's member's; who may only read is shown one that is there.
    rights: 'caller',
    query: fieldsQuery,
    answers: { 200: answer },
  },
  remove: { summary: 'Delete the auto-allocated topology of a project', rights: 'caller', answers: { 204: null } },
} as const;

/** Undefined: the caller's; clients say 'None' (Python's). */
function projectOf(request: FastifyRequest): string | undefined {
  const { project } = request.params as { project: string };
  if (project === 'None') return undefined;
  const id = parseId(project);
  if (id !== undefined) return id;
  throw neutronRefusal('not_found', 'HTTPNotFound', `Could not find project: ${project.slice(0, 80)}.`);
}

const view = (id: string, project_id: string) => ({
  auto_allocated_topology: { id, project_id, tenant_id: project_id },
});

export function addAutoTopology(app: Boundary, service: AutoTopologyService): void {
  const path = '/v2.0/auto-allocated-topology/:project';
  app.get(path, contracts.show, async (request) => {
    const [caller, project] = [callerOf(request), projectOf(request)];
    const { fields } = request.query as { fields?: string | string[] };
    const wanted = [fields ?? []].flat();
    if (wanted.includes('dry-run')) return view('dry-run=pass', await service.check(caller, project));
    if (wanted.length > 0) throw badRequest('Bad auto_allocate request: Unrecognized field.');
    const { id, project_id } = await service.read(caller, project);
    return view(id, project_id);
  });
  app.delete(path, contracts.remove, async (request, reply) => {
    await service.delete(callerOf(request), projectOf(request));
    return reply.code(204).send();
  });
}

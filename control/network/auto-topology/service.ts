/** Auto-allocated topologies: the operations that the dialects may call. Each that writes is one transaction. */
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { forbidden, projectFor } from '../../kit/rows.ts';
import { ensureTopology, findGround, removeTopology, topologyNetwork } from './build.ts';

export interface AutoTopology {
  /** The network's. */
  id: string;
  project_id: string;
}

export class AutoTopologyService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Made if it is not there. @param projectId default: the caller's. @throws CloudError */
  async read(caller: Caller, projectId: string | undefined): Promise<AutoTopology> {
    const project_id = ownProject(caller, projectId, 'get_auto_allocated_topology');
    const known = await topologyNetwork(this.#database.query, project_id);
    if (known !== undefined) return { id: known, project_id };
    projectFor(caller, project_id, 'get_auto_allocated_topology');
    const id = await this.#database.transaction(actorOf(caller), (tx) => ensureTopology(tx, caller, project_id));
    return { id, project_id };
  }

  /** Whether one could be made: nothing is. Answers the project. @throws CloudError `conflict` */
  async check(caller: Caller, projectId: string | undefined): Promise<string> {
    const project = ownProject(caller, projectId, 'get_auto_allocated_topology');
    await findGround(this.#database.query);
    return project;
  }

  async delete(caller: Caller, projectId: string | undefined): Promise<void> {
    const project = ownProject(caller, projectId, 'delete_auto_allocated_topology');
    projectFor(caller, project, 'delete_auto_allocated_topology');
    await this.#database.transaction(actorOf(caller), (tx) => removeTopology(tx, caller, project));
  }
}

/** Another project's is for administrators. */
function ownProject(caller: Caller, projectId: string | undefined, operation: string): string {
  const project = projectId ?? caller.projectId;
  if (project === null || (project !== caller.projectId && !isAdmin(caller))) throw forbidden(operation);
  return project;
}

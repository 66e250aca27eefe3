/**
 * What people ask of a guest that runs, and that leaves nothing to be done: answered or refused at once, and recorded. Nothing shall be
 * otherwise afterwards, so no row changes, nobody waits, and no lock is held while the host is asked. If the process dies in
 * between, it has happened or it has not, and is not recorded.
 */
import { CloudError, isCloudError } from '../../../../contract/errors.ts';
import type { ServerId } from '../../../../contract/ids.ts';
import { endpointOf, type HostEndpoint } from '../../../host/index.ts';
import { actorOf, type Caller, isAdmin, requireProjectMember } from '../../../kit/caller.ts';
import { recordOperation } from '../../../kit/operation/operations.ts';
import { notFound } from '../../../kit/refusal.ts';
import { requireLegal, type Verb } from '../legal.ts';
import type { ShownServer } from '../server.ts';
import { findServer } from '../store.ts';
import { type ActionDependencies, reachOf, requireUnlocked } from './action.ts';

export interface GuestRequest<Argument = undefined> {
  verb: Verb;
  doing: string;
  ask(
    hosts: ActionDependencies['hosts'],
    to: { host: HostEndpoint; id: ServerId; server: ShownServer },
    argument: Argument,
  ): Promise<void>;
}

export async function request<Argument>(
  deps: ActionDependencies,
  caller: Caller,
  id: ServerId,
  asked: GuestRequest<Argument>,
  argument: Argument,
): Promise<void> {
  const { database } = deps;
  const server = await findServer(database.query, reachOf(caller), id);
  if (!server) throw notFound('server', id);
  if (!isAdmin(caller)) requireProjectMember(caller, asked.doing);
  requireUnlocked(caller, server);
  requireLegal(server, asked.verb);
  const host = await hostOf(deps, server);
  const { project_id: projectId, generation } = server;
  const record = (outcome?: Parameters<typeof recordOperation>[3]) =>
    database.transaction(actorOf(caller), (tx) =>
      recordOperation(
        tx,
        actorOf(caller),
        { ...{ projectId, generation, verb: asked.verb }, resourceType: 'server', resourceId: id },
        outcome,
      ),
    );
  try {
    await asked.ask(deps.hosts, { host, id, server }, argument);
  } catch (error) {
    if (isCloudError(error)) await record({ state: 'failed', code: error.code, message: asked.verb });
    throw error;
  }
  await record();
}

export async function hostOf({ database }: Pick<ActionDependencies, 'database'>, server: ShownServer) {
  const host = server.host_id === null ? undefined : await endpointOf(database.query, server.host_id);
  if (!host) throw new CloudError('unavailable', 'server_host_never_reported', { id: server.id });
  return host;
}

/** What a console needs to know of its server. */
import type { ServerId } from '../../../contract/ids.ts';
import type { HostEndpoint } from '../../host/index.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { reachOf } from './actions/action.ts';
import { hostOf } from './actions/request.ts';
import { requireLegal } from './legal.ts';
import { findServer } from './store.ts';

/** @throws CloudError `not_found`, `conflict` where it does not run */
export async function requireConsole(database: Database, caller: Caller, id: ServerId): Promise<void> {
  const server = await findServer(database.query, reachOf(caller), id);
  if (!server) throw notFound('server', id);
  requireLegal(server, 'console');
}

/** Where the server's host answers, whoever asks. @throws CloudError `not_found`, `unavailable` where its host never said */
export async function hostOfServer(database: Database, id: ServerId): Promise<HostEndpoint> {
  const server = await findServer(database.query, 'all', id);
  if (!server) throw notFound('server', id);
  return hostOf({ database }, server);
}

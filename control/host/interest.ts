/**
 * Which streams must look again after a change. Takes from a change only whom it may concern; facts are read from the tables.
 * Pure: marks the sessions it is given.
 */
import type { NetworkId, PortId, ServerId } from '../../contract/ids.ts';
import type { Change } from '../kit/change-log/changes.ts';
import type { HostSession } from './session.ts';

export interface Sessions {
  byHost: ReadonlyMap<string, HostSession>;
  /** The session that was last told of the server. */
  byServer(id: ServerId): Iterable<HostSession>;
}

/** Marks what each change makes doubtful and answers whether anything is. */
export function markDirty(sessions: Sessions, changes: readonly Change[]): boolean {
  let marked = false;
  const server = (session: HostSession | undefined, id: ServerId, options: { networks: boolean }) => {
    if (!session) return;
    session.dirtyServers.add(id);
    if (options.networks) session.dirtyNetworks = true;
    marked = true;
  };
  for (const change of changes) {
    const { body } = change;
    switch (change.resource_type) {
      case 'server': {
        const id = change.resource_id as ServerId;
        const owner = sessions.byHost.get(body.host_id as string);
        server(owner, id, { networks: owner !== undefined && (!owner.view.knows(id) || change.action === 'deleted') });
        for (const session of sessions.byServer(id)) if (session !== owner) server(session, id, { networks: true });
        break;
      }
      case 'server_absence':
        server(sessions.byHost.get(body.host_id as string), change.resource_id as ServerId, { networks: true });
        break;
      case 'port':
      case 'port_ip': {
        // A port_ip is named by its port's id and does not say whose port it is.
        const portId = change.resource_id as PortId;
        const deviceId = body.device_id as ServerId | undefined;
        const bound = sessions.byHost.get(body.host_id as string);
        if (bound && deviceId) server(bound, deviceId, { networks: true });
        for (const session of sessions.byHost.values()) {
          const known = session.view.serverOfPort(portId);
          if (known) server(session, known, { networks: true });
          else if (session.view.knowsNetwork(body.network_id as NetworkId) && isMetadataPort(body)) {
            session.dirtyNetworks = true;
            marked = true;
          }
        }
        break;
      }
      case 'subnet':
      case 'network': {
        const networkId = (change.resource_type === 'network' ? change.resource_id : body.network_id) as NetworkId;
        for (const session of sessions.byHost.values()) {
          for (const id of session.view.serversOnNetwork(networkId)) server(session, id, { networks: true });
          if (!session.view.knowsNetwork(networkId)) continue;
          session.dirtyNetworks = true;
          marked = true;
        }
        break;
      }
    }
  }
  return marked;
}

/** Of a port_ip row the owner is not known: any address on a known network may be the metadata port's. */
const isMetadataPort = (body: Record<string, unknown>): boolean =>
  body.device_owner === undefined || body.device_owner === 'network:distributed';

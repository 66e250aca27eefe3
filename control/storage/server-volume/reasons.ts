/** What is refused of servers' volumes (see contract/errors.ts). */

import type { NoFields } from '../../../contract/errors.ts';

export interface ServerVolumeReasons {
  volumes_on_several_hosts: NoFields;
  /** One that is there has one server at a time. */
  volumes_for_many_servers: NoFields;
  volume_not_bootable: { id: string };
  /** It lies on another host than its server, and `why` it does not come from there; of pools, what they `said`. */
  volume_not_brought: {
    id: string;
    server: string;
    why: 'cached' | 'replicated' | 'in_cluster' | 'branched' | 'host_too_old' | 'host_away' | 'no_pool';
    said: string | null;
  };
  /** A machine has no more places. */
  server_volumes_full: { maximum: number };
  /** Of all servers of one request together. */
  too_many_new_volumes: { maximum: number };
  volume_not_attached: { server: string; volume: string };
  /** The server boots from it. */
  root_volume_stays: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ServerVolumeReasons {}
}

/** What is refused of servers' volumes (see contract/errors.ts). */

import type { NoFields } from '../../../contract/errors.ts';

export interface ServerVolumeReasons {
  volumes_on_several_hosts: NoFields;
  /** One that is there has one server at a time. */
  volumes_for_many_servers: NoFields;
  volume_not_bootable: { id: string };
  /** A local volume is where its host is. */
  volume_on_other_host: { id: string; server: string };
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
